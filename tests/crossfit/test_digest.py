"""What changes a digest, what does not, and what has none."""

import functools
import itertools
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ensemblekit import UncacheableError
from ensemblekit._digest import digest


def assert_all_differ(values):
    digests = [digest(value) for value in values]
    for (a, one), (b, other) in itertools.combinations(enumerate(digests), 2):
        assert one != other, (values[a], values[b])


# -- arrays -----------------------------------------------------------------------


@given(npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_side=0)))
def test_layout_in_memory_does_not_count(array):
    wider = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wider[..., ::2] = array
    for same in (array.copy("F"), array[::-1].copy()[::-1], wider[..., ::2]):
        assert digest(same) == digest(array)


@given(
    npst.arrays(
        st.sampled_from([np.float64, np.float32, np.int8, np.bool_]),
        npst.array_shapes(max_dims=3),
    ),
    st.data(),
)
def test_one_changed_element_counts(array, data):
    cell = tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)
    other = array.copy()
    with np.errstate(over="ignore"):
        other[cell] = not other[cell] if array.dtype == bool else other[cell] + 1
    if other.tobytes() != array.tobytes():
        assert digest(other) != digest(array)


def test_large_arrays_are_read_in_blocks_with_the_same_result():
    array = np.random.default_rng(0).normal(size=(3, 700, 500))  # 8 MB: several blocks
    for other in (np.asfortranarray(array), np.repeat(array, 2, axis=2)[..., ::2]):
        assert not other.flags.c_contiguous
        assert digest(other) == digest(array)


def test_dtype_shape_and_order_of_rows_count():
    array = np.arange(6)
    assert_all_differ(
        [
            array,
            array.astype(np.int32),
            array.astype(np.uint64),
            array.astype(">i8"),
            array.astype(float),
            array.astype("M8[s]"),
            array.astype("M8[ms]"),
            array.astype(object),
            array.reshape(2, 3),
            array.reshape(3, 2),
            array.reshape(6, 1),
            array[::-1],
            array[:5],
            array.tolist(),
            tuple(array.tolist()),
            sparse.csr_array(array.reshape(2, 3)),
            sparse.csc_array(array.reshape(2, 3)),
            sparse.coo_array(array.reshape(2, 3)),
            pd.DataFrame(array.reshape(2, 3)),
            pl.DataFrame(array.reshape(2, 3)),
        ]
    )


def test_memmaps_count_as_arrays(tmp_path):
    array = np.arange(5.0)
    np.save(tmp_path / "a.npy", array)
    assert digest(np.load(tmp_path / "a.npy", mmap_mode="r")) == digest(array)


def test_gaps_between_the_fields_of_records_do_not_count():
    gappy = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    ones, zeros = np.full(16 * 3, 1, np.uint8).view(gappy), np.zeros(3, gappy)
    ones["a"] = ones["b"] = 0
    assert ones.tobytes() != zeros.tobytes()
    assert digest(ones) == digest(zeros)
    ones["b"][1] = 2
    assert digest(ones) != digest(zeros)


def test_objects_in_arrays_count_by_type_and_value():
    cells = [["a", "b"], ["ab", ""], ["", "ab"], ["a", None], ["a", np.nan], ["a", 1]]
    cells += [["a", 1.0], ["a", True], ["a", "1"], ["a", b"1"], [1, "a"], ["b", "a"]]
    assert_all_differ([np.array(pair, dtype=object) for pair in cells])
    assert digest(np.array(["a", None], object)) == digest(
        np.array(["a", None], object)
    )


def test_sparse_matrices_count_by_cells_and_shape():
    dense = np.array([[0.0, 2.0], [3.0, 0.0]])
    for name in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        make = getattr(sparse, f"{name}_array")
        assert digest(make(dense)) == digest(make(dense.copy()))
        other = dense.copy()
        other[0, 1] = 4
        assert digest(make(dense)) != digest(make(other))
        assert digest(make(dense)) != digest(make(np.hstack([dense, 0 * dense])))


# -- frames -----------------------------------------------------------------------

COLUMNS = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_frames_count(frame):
    assert_all_differ(
        [
            frame(COLUMNS),
            frame({**COLUMNS, "b": [4.0, 5.0, 7.0]}),
            frame({**COLUMNS, "b": [4, 5, 6]}),
            frame({**COLUMNS, "b": ["4", "5", "6"]}),
            frame({**COLUMNS, "b": ["4", "5", None]}),
            frame({**COLUMNS, "b": ["4", None, "5"]}),
            frame({**COLUMNS, "b": [True, False, True]}),
            frame({"a": COLUMNS["a"], "c": COLUMNS["b"]}),
            frame({"b": COLUMNS["a"], "a": COLUMNS["b"]}),
            frame({"b": COLUMNS["b"], "a": COLUMNS["a"]}),
            frame({"a": COLUMNS["a"]}),
        ]
    )


def test_the_index_of_a_frame_counts_where_it_says_something():
    frame = pd.DataFrame({**COLUMNS, "s": ["x", "y", "z"]})
    assert digest(frame.set_axis([7, 7, 8])) != digest(frame)
    assert digest(frame["s"].set_axis([7, 7, 8])) != digest(frame["s"])
    assert digest(frame.set_axis(pd.RangeIndex(5, 8))) == digest(frame)
    assert digest(frame.iloc[[1, 0, 2]]) != digest(frame)


def test_what_pandas_columns_can_be():
    dates = pd.to_datetime(["2020-01-01", None, "2020-01-03"])
    columns = [
        pd.Series(["u", "v", None]),
        pd.Series(["u", "v", None], dtype=object),
        pd.Categorical(["u", "v", None]),
        pd.Categorical(["u", "v", None], categories=["v", "u"]),
        pd.Categorical(["u", "v", None], categories=["u", "v", "w"]),
        pd.Categorical(["u", "v", None], ordered=True),
        pd.Categorical(["u", None, "v"]),
        pd.array([1, 2, None], dtype="Int64"),
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1, None, 2], dtype="Int64"),
        pd.array([1, 2, None], dtype="Int32"),
        pd.array([1, 2, None], dtype="Float64"),
        pd.array([True, False, None], dtype="boolean"),
        dates,
        dates.tz_localize("UTC"),
        dates.tz_localize("UTC").tz_convert("Asia/Tokyo"),
        dates.tz_localize("Asia/Tokyo"),
        pd.arrays.SparseArray([0.0, 0.0, 1.0]),
        pd.period_range("2020", periods=3, freq="D"),
        pd.interval_range(0, 3),
        [[1], (2,), {"3"}],
    ]
    frames = [pd.DataFrame({"n": [1, 2, 3], "c": column}) for column in columns]
    assert_all_differ(frames)
    for frame in frames:
        assert digest(frame.copy()) == digest(frame)
        assert digest(frame.iloc[[0, 1]]) != digest(frame)


def test_what_polars_columns_can_be():
    columns = [
        pl.Series(["u", "v", None], dtype=pl.String),
        pl.Series(["u", None, "v"], dtype=pl.String),
        pl.Series(["u", "v", None], dtype=pl.Categorical),
        pl.Series(["u", "v", None], dtype=pl.Enum(["u", "v"])),
        pl.Series(["u", "v", None], dtype=pl.Enum(["v", "u"])),
        pl.Series([1, 2, None], dtype=pl.Int64),
        pl.Series([1, 2, None], dtype=pl.Int8),
        pl.Series([1, 2, None], dtype=pl.Float64),
        pl.Series([1, 2, float("nan")], dtype=pl.Float64),
        pl.Series([1, 2, None], dtype=pl.Decimal(10, 2)),
        pl.Series([1, 2, None]).cast(pl.Date),
        pl.Series([1, 2, None]).cast(pl.Datetime("us")),
        pl.Series([1, 2, None]).cast(pl.Datetime("ms")),
        pl.Series([1, 2, None]).cast(pl.Datetime("us", "UTC")),
        pl.Series([1, 2, None]).cast(pl.Duration("us")),
        pl.Series([[1], [2, 3], None]),
        pl.Series([{"x": 1}, {"x": 2}, None]),
        pl.Series([b"u", b"v", None]),
    ]
    frames = [pl.DataFrame({"n": [1, 2, 3], "c": column}) for column in columns]
    assert_all_differ(frames)
    for frame in frames:
        in_pieces = pl.concat([frame[:1], frame[1:]], rechunk=False)
        assert digest(in_pieces) == digest(frame)
        assert digest(frame[:2]) != digest(frame)


# -- plain values -----------------------------------------------------------------

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)
    ),
    max_leaves=8,
)


@given(plain, plain)
def test_plain_values_share_a_digest_only_if_they_are_the_same(one, other):
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


def test_values_that_look_alike_differ():
    assert_all_differ([None, "None", 0, 0.0, -0.0, False, 1, 1.0, True, "1", b"1", 1j])
    assert_all_differ([1.0, np.float64(1), np.float32(1), np.array(1.0), np.ones(1)])
    assert_all_differ([[1], (1,), {1}, frozenset({1}), {1: 1}, [[1]], [1, 1], ["1"]])
    assert_all_differ([[1, [2]], [[1], 2], [1, 2], [12], [1, 2, []], [[1, 2]], "12"])
    assert_all_differ([["a", "b"], ["ab", ""], ["ab"], ["", "ab"], ["a", b"b"]])


def test_whole_numbers_have_no_largest():
    assert_all_differ([10**5000, 10**5000 + 1, -(10**5000)])


def test_sets_have_no_order_and_dicts_do():
    assert digest({"a", "b", 3}) == digest({3, "b", "a"})
    assert digest({"a": 1, "b": 2}) != digest({"b": 2, "a": 1})


# -- members ----------------------------------------------------------------------


def double(x):
    return 2 * x


class Doubler(BaseEstimator):
    def __init__(self, factor=2):
        self.factor = factor

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return self.factor * X


def test_parameters_of_members_count_at_any_depth():
    assert_all_differ(
        [
            LogisticRegression(),
            LogisticRegression(C=2),
            LogisticRegression(random_state=0),
            LogisticRegression(random_state=np.random.RandomState(0)),
            LogisticRegression(random_state=np.random.RandomState(1)),
            Ridge(),
            make_pipeline(StandardScaler(), Ridge()),
            make_pipeline(StandardScaler(with_mean=False), Ridge()),
            make_pipeline(StandardScaler(), Ridge(alpha=2)),
            make_pipeline("passthrough", Ridge()),
            make_pipeline(FunctionTransformer(np.log1p), Ridge()),
            make_pipeline(FunctionTransformer(np.exp), Ridge()),
            make_pipeline(FunctionTransformer(double), Ridge()),
            make_pipeline(FunctionTransformer(functools.partial(pow, 2)), Ridge()),
            make_pipeline(FunctionTransformer(functools.partial(pow, 3)), Ridge()),
            GridSearchCV(Ridge(), {"alpha": [1]}),
            GridSearchCV(Ridge(), {"alpha": [1]}, cv=KFold(3)),
            GridSearchCV(Ridge(), {"alpha": [1]}, cv=KFold(4)),
            GridSearchCV(Ridge(), {"alpha": [1]}, scoring=make_scorer(f1_score)),
        ]
    )


def test_what_clone_forgets_does_not_count():
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    member = make_pipeline(StandardScaler(), LogisticRegression())
    before = digest(member)
    member.fit(X, y)
    assert digest(member) == before == digest(clone(member))


def test_what_clone_keeps_counts():
    X, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    inside = [RandomForestClassifier(3, random_state=seed) for seed in (0, 0, 1)]
    same, again, other = [
        digest(make_pipeline(FrozenEstimator(model.fit(X, y)))) for model in inside
    ]
    assert same == again != other


def test_a_members_state_is_the_same_after_a_pickle(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = FrozenEstimator(
        RandomForestClassifier(5, random_state=0).fit(X, X[:, 0] > 0)
    )
    joblib.dump(model, tmp_path / "model")
    assert digest(joblib.load(tmp_path / "model")) == digest(model)


def test_the_versions_of_a_members_packages_count(monkeypatch):
    members = [Ridge(), make_pipeline(Ridge()), Doubler()]  # by what it inherits from
    before = [digest(member) for member in members]
    function = digest(double)
    monkeypatch.setattr(sklearn, "__version__", "0.0")
    assert not set(before) & {digest(member) for member in members}
    assert digest(double) == function


MODULE = """
from sklearn.base import BaseEstimator
class Changed(BaseEstimator):
    def predict(self, X):
        return {body}
def changed(X):
    return {body}
class Defaults(BaseEstimator):
    def predict(self, X, *, column="{body}"):
        return X
class Kept(BaseEstimator):
    def predict(self, X):
        return X[:, 0] if X.ndim in {{1, 2}} else None
"""
PRINT_DIGESTS = """
import numpy as np
import mine
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer
from ensemblekit._digest import digest
changed = [mine.Changed(), FunctionTransformer(mine.changed), mine.Defaults()]
kept = [mine.Kept(), RandomForestClassifier(), {"b", "a", "c"}, {"X": [1, "x", None]}]
print(*map(digest, [*changed, *kept, np.arange(3)]))
"""


def digests_elsewhere(folder, body, hash_seed):
    (folder / "mine.py").write_text(MODULE.format(body=body))
    done = subprocess.run(
        [sys.executable, "-B", "-c", PRINT_DIGESTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": hash_seed},
    )
    return done.stdout.split()


def test_own_code_counts_and_the_process_does_not(tmp_path):
    before = digests_elsewhere(tmp_path, "X[:, 0]", hash_seed="0")
    after = digests_elsewhere(tmp_path, "X[:, 1]", hash_seed="1")
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [False, False, False, True, True, True, True, True]


def test_anything_a_fit_depends_on_changes_its_key():
    X, y, weight = np.arange(12.0).reshape(6, 2), np.arange(6) % 2, np.ones(6)
    train, test = np.arange(4), np.arange(4, 6)
    frame = pd.DataFrame(X, columns=["a", "b"])

    def key(tol=1e-4, X=frame, y=y, weight=weight, train=train):
        member = LogisticRegression(tol=tol)
        return digest((member, X, y, {"sample_weight": weight}, train, test, 7))

    assert key() == key(1e-4, frame.copy(), y.copy(), weight.copy(), train.copy())
    other = X.copy()
    other[5, 1] = np.nextafter(other[5, 1], np.inf)
    keys = [
        key(),
        key(tol=1e-5),
        key(X=pd.DataFrame(other, columns=["a", "b"])),
        key(X=frame.rename(columns={"b": "c"})),
        key(X=frame[["b", "a"]]),
        key(X=frame.astype(np.float32)),
        key(X=X),
        key(X=frame[::-1]),
        key(y=1 - y),
        key(y=y.astype(float)),
        key(weight=2 * weight),
        key(weight=None),
        key(train=train[::-1]),
        key(train=train[1:]),
    ]
    assert len(set(keys)) == len(keys)


# -- what has no digest -----------------------------------------------------------


def test_functions_without_a_name_are_refused_by_the_parameters_name():
    def local(x):
        return x

    class Local(BaseEstimator):
        pass

    for value, name in [
        (lambda x: x, "<lambda>"),
        (local, "local"),
        (Local(), "Local"),
    ]:
        with pytest.raises(
            UncacheableError, match=rf"member 'a'.*{name}.*top of a mod"
        ):
            digest(value, "member 'a'")
    member = make_pipeline(FunctionTransformer(lambda x: x))
    with pytest.raises(UncacheableError, match=r"member 'a'\.steps\[0\]\[1\]\.func is"):
        digest(member, "member 'a'")


@pytest.mark.parametrize("value", [iter([1]), (i for i in "a"), sys, sys.stdout])
def test_what_ends_with_the_process_is_refused(value):
    with pytest.raises(UncacheableError, match="member 'a'"):
        digest(["x", value], "member 'a'")


def test_what_holds_itself_is_refused():
    loop = [1]
    loop.append(loop)
    with pytest.raises(UncacheableError, match="holds itself"):
        digest(loop)
