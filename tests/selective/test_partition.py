"""PartitionVotingClassifier: rows go by content, and poison turns no certified vote."""

import pickle
from time import process_time

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import MemberError, PartitionVotingClassifier, certified_radius
from ensemblekit.selective._hashing import row_hashes

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def make(**options):
    options = {"n_partitions": 7, "random_state": 0} | options
    return PartitionVotingClassifier(GaussianNB(), **options)


# Hashes.
def test_hashes_depend_on_values_alone():
    values = np.random.default_rng(0).integers(-3, 4, (200, 5))
    labels = np.random.default_rng(1).integers(0, 3, 200)
    known = row_hashes(values, labels)
    kinds = [
        values.astype(np.float32),
        values.astype(">f8"),
        np.asfortranarray(values),
        values.astype(object),
        pd.DataFrame(values),
        sparse.csr_matrix(values),
        sparse.coo_array(values),
        np.where(values == 0, -0.0, values),
    ]
    for same in kinds:
        assert_array_equal(row_hashes(same, labels.astype(float)), known)
    order = np.random.default_rng(2).permutation(200)
    assert_array_equal(row_hashes(values[order], labels[order]), known[order])


def test_hashes_are_the_same_in_every_process_and_version():
    found = row_hashes(np.array([[1.5, 0.0]]), np.array(["a"]))
    assert found.tolist() == [5992174303192454049]


def test_hashes_tell_rows_columns_and_labels_apart():
    rows = np.array([[0, 1], [1, 0], [0, 0], [1, 1], [2, 1], [0.1, np.nan]])
    found = {*row_hashes(rows, np.zeros(6)), *row_hashes(rows, np.ones(6))}
    assert len(found) == 12
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [1, 1, np.nan]})
    hashes = row_hashes(frame, np.array(["u", "u", "u"]))
    assert len({*hashes}) == 3
    assert hashes[0] == row_hashes(frame[::-1], np.array(["u", "u", "u"]))[2]


@pytest.mark.parametrize("kind", ["str", "int", "float", "mixed"])
def test_a_row_of_another_kind_moves_no_other_row(kind):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (300, 2)).astype(object)
    if kind == "str":
        values = values.astype(str).astype(object)
    elif kind == "float":
        values = np.where(rng.random((300, 2)) < 0.1, np.nan, values.astype(float))
    elif kind == "mixed":
        values[::3, 0] = "word"
    labels = rng.integers(0, 2, 300).astype(str)
    known = row_hashes(values, labels)
    for row in (["x", "0"], [None, 1], ["nan", "1e3"], [2**80, True], ["", "inf"]):
        poisoned = np.vstack([values.astype(object), np.array(row, dtype=object)])
        for data in (poisoned, pd.DataFrame(poisoned)):
            found = row_hashes(data, np.append(labels, "odd"))
            assert_array_equal(found[:-1], known)


def test_one_odd_row_turns_no_certified_answer():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 6, (400, 2)).astype(str))
    y = (X[0] > "2").astype(int).to_numpy() ^ (rng.random(400) < 0.2)
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0)
    )
    voting = PartitionVotingClassifier(model, n_partitions=25, random_state=0)
    before, radius = voting.fit(X, y).predict(X), voting.certified_radius(X)
    assert (radius >= 1).any()
    more = pd.concat([X, pd.DataFrame([["x", "x"]])], ignore_index=True)
    after = voting.fit(more, np.append(y, 1)).predict(X)
    assert_array_equal(after[radius >= 1], before[radius >= 1])


DAYS = pd.date_range("1999-12-31 22:15:07.123456", periods=40, freq="31h")
MOMENTS = {
    "dates": DAYS.insert(3, pd.NaT),
    "spans": (DAYS - DAYS[5]).insert(3, pd.NaT),
    "zones": DAYS.tz_localize("Asia/Tokyo").insert(3, pd.NaT),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_dates_beside_words_are_the_same_dates(kind):
    """A word makes a column one of objects: no other row may go elsewhere by that."""
    moments, labels = MOMENTS[kind], np.arange(41) % 2
    known = row_hashes(pd.DataFrame({"when": moments}), labels)
    assert len({*known}) == 41
    for odd in ("word", 5, None, "2000-01-01"):
        column = pd.Series([*moments, odd], dtype=object)
        found = row_hashes(pd.DataFrame({"when": column}), np.append(labels, 0))
        assert_array_equal(found[:-1], known)
    beside = pd.DataFrame({"when": moments, "zero": 0})  # numbers: objects again
    assert_array_equal(row_hashes(beside, labels), known)


def test_dates_are_the_same_in_every_type_and_unit():
    labels = np.zeros(40)
    known = row_hashes(DAYS.to_numpy()[:, None], labels)
    plain = [day.to_pydatetime() for day in DAYS]
    east = DAYS.tz_localize("UTC").tz_convert("Asia/Tokyo")
    for same in (
        DAYS.to_numpy().astype("M8[us]"),
        np.array(list(DAYS.to_numpy()), dtype=object),
        np.array(plain, dtype=object),
        east.astype(object).to_numpy(),
        np.array([day.to_pydatetime() for day in east], dtype=object),
    ):
        assert_array_equal(row_hashes(same[:, None], labels), known)
    day = np.array([DAYS[0].date(), np.datetime64("1999-12-31")], dtype=object)
    assert row_hashes(day[:, None], labels[:2]).tolist()[::-1] == list(
        row_hashes(day.astype("M8[s]")[:, None], labels[:2])
    )


def test_dates_spans_and_their_numbers_differ():
    cells = [
        np.datetime64(1, "ns"),
        np.timedelta64(1, "ns"),
        np.timedelta64(1, "D"),
        np.timedelta64(1, "M"),
        np.datetime64("9999-12-31"),
        np.datetime64("-9999-12-31"),
        1,
        "1970-01-01",
        np.nan,
        pd.NaT,
    ]
    rows = np.empty((len(cells), 1), dtype=object)
    rows[:, 0] = cells
    assert len({*row_hashes(rows, np.zeros(len(cells)))}) == len(cells)
    year, months = np.array([["1"]], "m8[Y]"), np.array([["12"]], "m8[M]")
    assert row_hashes(year, np.zeros(1)) == row_hashes(months, np.zeros(1))


def test_parts_are_of_like_size():
    rows = np.random.default_rng(0).normal(size=(20_000, 3))
    sizes = np.bincount((row_hashes(rows, np.zeros(20_000)) % 10).astype(int))
    assert np.abs(sizes - 2000).max() < 5 * np.sqrt(2000)


# Parts.
@pytest.mark.parametrize("spread", [1, 3])
def test_order_of_rows_and_dtype_change_nothing(spread):
    order = np.random.default_rng(0).permutation(len(X))
    single = X.astype(np.float32)
    ours = make(spread=spread).fit(single, NAMES)
    theirs = make(spread=spread).fit(
        X.astype(np.float32)[order].astype(float), NAMES[order]
    )
    assert_array_equal(ours.part_sizes_, theirs.part_sizes_)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0)
    assert_array_equal(ours.certified_radius(X), theirs.certified_radius(X))
    assert ours.part_sizes_.sum() == spread * len(X)


@pytest.mark.parametrize("spread", [1, 2])
def test_a_new_row_reaches_the_models_of_its_bucket_only(spread):
    first = make(spread=spread, n_partitions=5).fit(X, Y)
    rng = np.random.default_rng(0)
    reached = set()
    for _ in range(8):
        row = rng.normal(3.0, 1.0, (1, 4))
        second = make(spread=spread, n_partitions=5).fit(
            np.vstack([X, row]), np.append(Y, 1)
        )
        changed = [
            m
            for m, (a, b) in enumerate(
                zip(first.estimators_, second.estimators_, strict=True)
            )
            if not np.array_equal(a.theta_, b.theta_)
        ]
        assert sorted(changed) in np.sort(first.buckets_, axis=1).tolist()
        reached.add(tuple(changed))
    assert len(reached) > 2


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
@pytest.mark.parametrize("spread", [1, 2])
def test_poison_within_the_radius_turns_no_answer(voting, spread):
    """Insert rows of wrong labels until more buckets are hit than rows certify."""
    options = {"voting": voting, "spread": spread, "n_partitions": 11}
    clean = make(**options).fit(X[::2], Y[::2])
    labels, radius = clean.predict(X[1::2]), clean.certified_radius(X[1::2])
    assert (radius >= 1).any()
    rng = np.random.default_rng(0)
    turned = 0
    for n_rows in (1, 2, 3, 4, 8):
        for _ in range(4):
            poison = rng.normal(X.mean(axis=0), 3.0, (n_rows, 4))
            wrong = rng.integers(0, 3, n_rows)
            model = make(**options).fit(
                np.vstack([X[::2], poison]), np.append(Y[::2], wrong)
            )
            differs = model.predict(X[1::2]) != labels
            assert not (differs & (radius >= n_rows)).any()
            turned += differs.sum()
    assert turned > 0


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
def test_estimator_equals_the_function_on_scores(voting):
    model = make(voting=voting).fit(X, NAMES)
    scores = np.stack([m.predict_proba(X) for m in model.estimators_])
    votes = certified_radius(scores, voting=voting)
    assert_array_equal(model.predict(X), model.classes_[votes.winners])
    assert_array_equal(model.certified_radius(X), votes.radius)


def test_blocks_of_rows_change_nothing(monkeypatch):
    rows, labels = make_classification(3000, 6, random_state=0)
    model = make().fit(rows, labels)
    whole = model.predict_proba(rows), model.certified_radius(rows)
    monkeypatch.setattr("ensemblekit.selective.partition._SCORES", 1)
    assert_array_equal(model.predict_proba(rows), whole[0])
    assert_array_equal(model.certified_radius(rows), whole[1])


@pytest.mark.parametrize("voting", ["runoff", "plurality"])
@pytest.mark.parametrize("n_partitions", [1, 2, 30, 200])
def test_shares_sum_to_one_and_the_winner_has_most(voting, n_partitions):
    model = PartitionVotingClassifier(
        KNeighborsClassifier(1), n_partitions=n_partitions, voting=voting
    ).fit(X, NAMES)
    shares = model.predict_proba(X)
    assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares >= 0.0).all()
    assert_array_equal(model.classes_[shares.argmax(axis=1)], model.predict(X))
    assert (model.certified_radius(X) >= 0).all()


def test_one_part_is_the_estimator_itself():
    model = make(n_partitions=1).fit(X, NAMES)
    assert_array_equal(model.predict(X), GaussianNB().fit(X, NAMES).predict(X))
    assert_array_equal(model.certified_radius(X), 0)


def test_parts_of_one_label_vote_for_it_and_empty_parts_abstain():
    rows, labels = np.arange(6.0)[:, None], np.array(["a", "a", "a", "a", "b", "b"])
    model = make(n_partitions=40).fit(rows, labels)
    assert (model.part_sizes_ == 0).any()
    models = zip(model.estimators_, model.part_sizes_, strict=True)
    assert all(fitted is None for fitted, size in models if size < 2)
    assert_allclose(model.predict_proba([[0.0]]), [[4 / 6, 2 / 6]], atol=0.2)
    assert model.predict([[9.0]]).tolist() == ["a"]


@pytest.mark.parametrize(
    "member",
    [
        RidgeClassifier(),
        SVC(),
        SVC(decision_function_shape="ovo"),
        DecisionTreeClassifier(),
    ],
)
def test_any_classifier_votes(member):
    model = PartitionVotingClassifier(member, n_partitions=3, random_state=0)
    assert model.fit(X, NAMES).score(X, NAMES) > 0.7
    assert (model.certified_radius(X) == 1).any()


class LabelsOnly(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.tree_ = DecisionTreeClassifier(random_state=0).fit(X, y)
        self.classes_ = self.tree_.classes_
        return self

    def predict(self, X):
        return self.tree_.predict(X)


def test_labels_alone_are_votes():
    model = PartitionVotingClassifier(LabelsOnly(), n_partitions=3).fit(X, NAMES)
    tree = DecisionTreeClassifier(random_state=0)
    other = PartitionVotingClassifier(tree, n_partitions=3).fit(X, NAMES)
    assert_array_equal(model.predict(X), other.predict(X))


# Weights, containers, habits of estimators.
def test_rows_of_weight_zero_are_as_if_not_there():
    keep = np.arange(len(X)) % 3 > 0
    ours = make().fit(X, Y, sample_weight=keep.astype(float))
    theirs = make().fit(X[keep], Y[keep])
    assert_array_equal(ours.part_sizes_, theirs.part_sizes_)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


def test_weights_are_repeated_rows():
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    tree = DecisionTreeClassifier(random_state=0)
    model = PartitionVotingClassifier(tree, n_partitions=5, random_state=0)
    ours = clone(model).fit(X, Y, sample_weight=weight.astype(float))
    theirs = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_routed_weights_reach_the_models():
    weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
    plain = make().fit(X, Y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = make().set_fit_request(sample_weight=True)
        routed = make_pipeline(asked).fit(X, Y, sample_weight=weight)
        assert_array_equal(routed.predict_proba(X), plain.predict_proba(X))
    assert not np.array_equal(plain.predict_proba(X), make().fit(X, Y).predict_proba(X))


def test_frames_with_words_and_missing_values():
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["word"] = np.where(X[:, 0] > 5.5, "long", "short")
    frame.loc[::7, "b"] = np.nan
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["word"]),
        (SimpleImputer(), ["a", "b", "c", "d"]),
    )
    model = PartitionVotingClassifier(
        make_pipeline(encode, LogisticRegression(max_iter=1000)),
        n_partitions=3,
        random_state=0,
    ).fit(frame, NAMES)
    assert model.score(frame, NAMES) > 0.9
    assert model.feature_names_in_.tolist() == [*"abcd", "word"]
    shuffled = clone(model).fit(frame[::-1], NAMES[::-1])
    assert_array_equal(model.part_sizes_, shuffled.part_sizes_)
    with_nan = np.where(X > 6, np.nan, X)
    imputed = make_pipeline(SimpleImputer(), GaussianNB())
    PartitionVotingClassifier(imputed, n_partitions=3).fit(with_nan, Y).predict(
        with_nan
    )


def test_sparse_rows_are_the_dense_ones():
    tree = DecisionTreeClassifier(random_state=0)
    model = PartitionVotingClassifier(tree, n_partitions=4, random_state=0)
    dense = clone(model).fit(np.where(X < 1, 0, X), Y)
    thin = sparse.csr_matrix(np.where(X < 1, 0, X))
    fitted = clone(model).fit(thin, Y)
    assert_array_equal(fitted.part_sizes_, dense.part_sizes_)
    assert_array_equal(fitted.predict(thin), dense.predict(thin.toarray()))


def test_jobs_pickle_grid_and_second_fit():
    one = make(n_jobs=1).fit(X, NAMES)
    with parallel_config("threading"):
        two = make(n_jobs=2).fit(X, NAMES)
    assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))
    grid = GridSearchCV(
        make_pipeline(StandardScaler(), make()),
        {"partitionvotingclassifier__n_partitions": [1, 100]},
        cv=3,
    ).fit(X, NAMES)
    assert grid.best_params_["partitionvotingclassifier__n_partitions"] == 1
    again = one.fit(X[:100], NAMES[:100])
    assert again.classes_.tolist() == ["setosa", "versicolor"]


def test_seeds_reach_the_models():
    tree = DecisionTreeClassifier(max_features=1)
    model = PartitionVotingClassifier(tree, n_partitions=5, random_state=3)
    ours, theirs = clone(model).fit(X, Y), clone(model).fit(X, Y)
    assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert len({e.random_state for e in ours.estimators_}) == 5


class DrawsAlways(ClassifierMixin, BaseEstimator):
    """Answers by chance, one way for each seed, and by rows it has not looked at."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        random = np.random.RandomState(self.random_state)
        self.weights_ = random.normal(size=(X.shape[1], len(self.classes_)))
        return self

    def predict_proba(self, X):
        scores = np.exp(np.asarray(X) @ self.weights_ / 10)
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.mark.parametrize("spread", [1, 2])
@pytest.mark.parametrize("voting", ["runoff", "plurality"])
def test_members_that_draw_keep_certificates_without_a_seed(voting, spread):
    """Each row removed, many inserted: brute force over what one bucket may hold."""
    options = {"n_partitions": 5, "spread": spread, "voting": voting}
    rng = np.random.default_rng(3)
    rows, labels = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    new = rng.normal(size=(40, 3))
    model = PartitionVotingClassifier(DrawsAlways(), **options)
    before, radius = model.fit(rows, labels).predict(new), model.certified_radius(new)
    assert 0 < (radius >= 1).sum() < len(new)
    turned = 0
    for i in range(60):
        kept = np.arange(60) != i
        removed = model.fit(rows[kept], labels[kept]).predict(new)
        grown = np.vstack([rows, rng.normal(size=(1, 3))]), np.append(labels, i % 3)
        for after in (removed, model.fit(*grown).predict(new)):
            assert_array_equal(after[radius >= 1], before[radius >= 1])
            turned += (after != before).sum()
    assert turned > 0


@pytest.mark.parametrize("spread", [1, 3])
def test_equal_rows_give_equal_members_without_a_seed(spread):
    tree = DecisionTreeClassifier(max_features=1)
    model = PartitionVotingClassifier(tree, n_partitions=4, spread=spread)
    ours = clone(model).fit(X, Y)
    np.random.rand(7)  # noqa: NPY002 - what others draw meanwhile
    order = np.random.default_rng(0).permutation(len(X))
    theirs = clone(model).fit(X[order], Y[order])
    assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    seeds = [e.random_state for e in ours.estimators_]
    assert len({*seeds}) == 4 * spread
    assert seeds == [e.random_state for e in theirs.estimators_]


def test_rows_go_to_their_models_in_time_linear_in_rows():
    hashes = np.random.default_rng(0).integers(0, 2**63, 4000).astype(np.uint64)
    model = PartitionVotingClassifier(n_partitions=5000, spread=4)
    model._draw()
    # A pass over all rows for each of 20 000 models takes seconds.
    start = process_time()
    parts = model._parts(hashes, None)
    assert process_time() - start < 0.5
    assert sum(map(len, parts)) == 4 * 4000
    order = np.argsort(hashes)
    reached = model.buckets_[(hashes[order] % np.uint64(20_000)).astype(int)]
    for m in range(0, 20_000, 397):
        assert_array_equal(parts[m], order[(reached == m).any(axis=1)])


@pytest.mark.parametrize("spread", [1, 2])
def test_parts_of_few_rows_and_few_models(spread):
    model = PartitionVotingClassifier(n_partitions=1, spread=spread)
    model._draw()
    hashes = np.array([5, 3, 9, 3], dtype=np.uint64)
    weight = np.array([1.0, 2.0, 0.0, 1.0])
    for part in model._parts(hashes, weight):
        assert part.tolist() == [3, 1, 0]
    for part in model._parts(hashes[:0], None):
        assert part.size == 0


def test_refusals():
    with pytest.raises(ValueError, match="one class"):
        make().fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"n_partitions.*range"):
        make(n_partitions=0).fit(X, Y)
    with pytest.raises(ValueError, match="'voting' parameter"):
        make(voting="borda").fit(X, Y)
    frozen = FrozenEstimator(GaussianNB().fit(X, Y))
    with pytest.raises(ValueError, match="estimator is frozen"):
        PartitionVotingClassifier(frozen).fit(X, Y)
    with pytest.raises(ValueError, match="contains NaN"):
        make(n_partitions=500).fit(np.where(X > 7, np.nan, X), Y)
    with pytest.raises(MemberError, match=r"'SVC' failed in fit on part \d of 3"):
        PartitionVotingClassifier(SVC(C=-1), n_partitions=3).fit(X, Y)
    with pytest.raises(ValueError, match="takes no sample_weight in fit"):
        PartitionVotingClassifier(KNeighborsClassifier(1), n_partitions=2).fit(
            X, Y, sample_weight=np.ones(len(X))
        )
