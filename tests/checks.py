"""The battery that every combiner has to pass: the contracts of all combiners.

Each ``check_*`` takes an unfitted combiner and its Task (how to make P and y for it).
`combiner_cases` finds all public combiners, so that a new one is tested by being there.
"""

import pickle
import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

import ensemblekit
from ensemblekit import combine

from .conftest import make_class_predictions, make_regression_predictions
from .oracles import pool_objective

# Votes count members, so one member's copy has a vote of its own; duplicating all
# members changes nothing. Their docstrings say so.
VOTING = (
    "AverageClassifier",
    "AverageRegressor",
    "CombinerSearchClassifier",
    "CombinerSearchRegressor",
    "LinearStackRegressor",
    "QuantilePoolRegressor",
    "SelectiveVoteClassifier",
)


@dataclass(frozen=True)
class Task:
    """How to make data for a combiner, and how its predictions are read."""

    name: str
    n_classes: int = 0

    def make(self, **options):
        if self.n_classes:
            return make_class_predictions(n_classes=self.n_classes, **options)
        return make_regression_predictions(**options)

    @property
    def n_outputs(self):
        return self.n_classes if self.n_classes > 2 else 1

    def columns(self, members):
        """Columns of P of the given members."""
        members = np.asarray(members)[:, None]
        return (members * self.n_outputs + np.arange(self.n_outputs)).ravel()

    def predict(self, combiner, P):
        method = "predict_proba" if self.n_classes else "predict"
        return getattr(combiner, method)(P)


TASKS = (Task("regression"), Task("binary", 2), Task("multiclass", 3))


# Combiners that change what a single member says, too.
RECALIBRATING = ("LinearStack", "Recalibrated", "SelectiveVote")


def make_combiner(name):
    """Make a public combiner with its defaults, around another where it needs one."""
    if name.startswith("Recalibrated"):  # the ridge of its default counts the weights
        kind = name.removeprefix("Recalibrated")
        inner = getattr(ensemblekit, f"Convex{kind}")(ridge=0.1)
        return getattr(ensemblekit, name)(inner)
    if name == "QuantileAggregator":  # its loss is flat: some weights settle late
        return ensemblekit.QuantileAggregator(tol=1e-10)
    if name == "SelectiveVoteClassifier":  # two members can answer
        return ensemblekit.SelectiveVoteClassifier(alpha=0.6)
    if name == "DecisionOffsetClassifier":
        return ensemblekit.DecisionOffsetClassifier(
            ensemblekit.ConvexClassifier(ridge=0.1)
        )
    if name.startswith("Guarded"):
        kind = name.removeprefix("Guarded")
        convex = getattr(ensemblekit, f"Convex{kind}")(ridge=0.1)
        return getattr(ensemblekit, name)(convex)
    if name.startswith("CombinerSearch"):  # folds within folds would split copies
        kind = name.removeprefix("CombinerSearch")
        average = getattr(ensemblekit, f"Average{kind}")()
        convex = getattr(ensemblekit, f"Convex{kind}")(ridge=0.1)
        return getattr(ensemblekit, name)([("mean", average), ("convex", convex)])
    return getattr(ensemblekit, name)()


def combiner_cases():
    """Yield (combiner, task) for every public combiner and every task it serves."""
    for name in combine.__all__:
        combiner = make_combiner(name)
        for task in TASKS:
            if is_classifier(combiner) == bool(task.n_classes):
                yield combiner, task


def check_permuting_members_permutes_the_weights(combiner, task):
    P, y, _ = task.make()
    order = np.random.default_rng(1).permutation(6)
    plain = clone(combiner).fit(P, y)
    permuted = clone(combiner).fit(P[:, task.columns(order)], y)
    if hasattr(plain, "weights_"):
        assert_allclose(permuted.weights_, plain.weights_[order], atol=1e-7)
    assert_allclose(
        task.predict(permuted, P[:, task.columns(order)]),
        task.predict(plain, P),
        atol=1e-7,
    )


def check_duplicates_leave_predictions_unchanged(combiner, task):
    P, y, _ = task.make()
    members = [0, 1, 2, 3, 4, 5, 2, 2]
    if type(combiner).__name__ in VOTING:
        assert "Duplicating all members" in type(combiner).__doc__
        members = [0, 1, 2, 3, 4, 5] * 2
    columns = task.columns(members)
    plain = clone(combiner).fit(P, y)
    doubled = clone(combiner).fit(P[:, columns], y)
    again = clone(combiner).fit(P[:, columns], y)
    assert_allclose(
        task.predict(doubled, P[:, columns]), task.predict(plain, P), atol=1e-7
    )
    if hasattr(doubled, "weights_"):
        assert_array_equal(doubled.weights_, again.weights_)


def _splits(fold):
    """(train, test) row numbers of three folds."""
    return [(fold != f).nonzero() + (fold == f).nonzero() for f in range(3)]


def check_integer_weights_equal_repeated_rows(combiner, task):
    P, y, weight = task.make()
    copies = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted, repeated = clone(combiner), clone(combiner)
    if "cv" in combiner.get_params():  # copies of a row have to share a fold
        fold = np.arange(len(y)) % 3
        weighted.set_params(cv=_splits(fold))
        repeated.set_params(cv=_splits(fold[copies]))
    weighted.fit(P, y, sample_weight=weight)
    repeated.fit(P[copies], y[copies])
    assert_allclose(task.predict(weighted, P), task.predict(repeated, P), atol=1e-7)


def check_rows_of_weight_zero_are_as_if_removed(combiner, task):
    P, y, weight = task.make()
    weight[::4] = 0.0
    kept = weight > 0
    weighted, removed = clone(combiner), clone(combiner)
    if "ridge" in combiner.get_params():  # folds of other rows choose other penalties
        weighted.set_params(ridge=0.1), removed.set_params(ridge=0.1)
    if {"calibrate", "strategy"} & combiner.get_params().keys():
        fold = np.arange(len(y)) % 3
        weighted.set_params(cv=_splits(fold))
        removed.set_params(cv=_splits(fold[kept]))
    weighted.fit(P, y, sample_weight=weight)
    removed.fit(P[kept], y[kept], sample_weight=weight[kept])
    assert_allclose(task.predict(weighted, P), task.predict(removed, P), atol=1e-7)


def check_weights_of_one_equal_none(combiner, task):
    P, y, _ = task.make()
    ones = clone(combiner).fit(P, y, sample_weight=np.ones(len(y)))
    none = clone(combiner).fit(P, y)
    assert_array_equal(task.predict(ones, P), task.predict(none, P))


def check_scale_and_offset_do_not_change_the_weights(combiner, task):
    if task.n_classes:
        return  # probabilities have neither
    P, y, _ = task.make()
    plain = clone(combiner).fit(P, y).weights_
    for scale, offset in [(1e-8, 0), (1e8, 0), (1, 1e4), (1, -1e6), (1e3, 1e8)]:
        moved = clone(combiner).fit(P * scale + offset, y * scale + offset)
        assert_allclose(moved.weights_, plain, atol=2e-6)


def check_float32_is_close_to_float64(combiner, task):
    P, y, _ = task.make()
    double = task.predict(clone(combiner).fit(P, y), P)
    P = P.astype(np.float32)
    single = task.predict(clone(combiner).fit(P, y), P)
    assert single.dtype == np.float64
    assert_allclose(single, double, atol=1e-3)


def check_arguments_stay_untouched(combiner, task):
    P, y, weight = task.make()
    copies = P.copy(), y.copy(), weight.copy()
    for array in (P, y, weight):
        array.setflags(write=False)
    task.predict(clone(combiner).fit(P, y, sample_weight=weight), P)
    for array, copy in zip((P, y, weight), copies, strict=True):
        assert_array_equal(array, copy)


def check_keeps_no_copy_of_the_rows(combiner, task):
    P, y, _ = task.make(n_samples=3001)
    fitted = clone(combiner).fit(P, y)
    assert len(pickle.dumps(fitted)) < P.nbytes / 2


def check_pickle_clone_and_params(combiner, task):
    P, y, _ = task.make()
    fitted = clone(combiner)
    params = fitted.get_params()
    assert fitted.fit(P, y).get_params() == params
    expected = task.predict(fitted, P)
    assert_array_equal(task.predict(pickle.loads(pickle.dumps(fitted)), P), expected)
    assert_array_equal(task.predict(clone(fitted).fit(P, y), P), expected)


def check_threads_and_memory_order_do_not_matter(combiner, task):
    P, y, _ = task.make(n_samples=2000)
    results = []
    for threads in (1, 2):
        for order in "CF":
            with threadpool_limits(limits=threads):
                ordered = np.asarray(P, order=order)
                results.append(task.predict(clone(combiner).fit(ordered, y), ordered))
    for result in results[1:]:
        assert_allclose(result, results[0], rtol=1e-10, atol=1e-12)


def check_fit_twice_gives_the_same(combiner, task):
    P, y, _ = task.make()
    fitted = clone(combiner).fit(P, y)
    first = task.predict(fitted, P)
    assert_array_equal(task.predict(fitted.fit(P, y), P), first)


def check_refitting_with_other_parameters_forgets_the_old_fit(combiner, task):
    P, y, _ = task.make()
    loss = "brier" if task.n_classes else "huber"
    other = {"kind": "rank", "ridge": 0.5, "loss": loss, "tol": 1e-6, "n_rounds": 3}
    other |= {"metric": "accuracy", "guard": "warn", "strategy": "best"}
    other["calibrate"], other["alpha"] = None, 0.5
    if type(combiner).__name__ == "QuantilePoolRegressor":
        other["kind"] = "median"
    changed = {key: other[key] for key in combiner.get_params() if key in other}
    again = clone(combiner).fit(P, y).set_params(**changed)
    again.fit(P[:, : 3 * task.n_outputs], y)
    fresh = clone(combiner).set_params(**changed).fit(P[:, : 3 * task.n_outputs], y)
    assert changed
    assert vars(again).keys() == vars(fresh).keys()


def check_weights_of_any_scale(combiner, task):
    P, y, weight = task.make()
    for name in ("ridge", "convex_ridge"):
        if combiner.get_params().get(name) == "auto":  # counts rows by their weights
            combiner = clone(combiner).set_params(**{name: 0.1})
    plain = task.predict(clone(combiner).fit(P, y, sample_weight=weight), P)
    for scale in (1e-280, 1e280):
        scaled = clone(combiner).fit(P, y, sample_weight=scale * weight)
        assert_allclose(task.predict(scaled, P), plain, rtol=1e-6, atol=1e-9)
    for scale in (1e-300, 1e300):
        assert_refuses(combiner, P, y, "1e-290", sample_weight=scale * weight)


def check_one_member_is_left_alone(combiner, task):
    P, y, _ = task.make(n_members=1)
    fitted = clone(combiner).fit(P, y)
    if type(combiner).__name__.startswith(RECALIBRATING):
        return
    expected = P[:, 0] if task.n_outputs == 1 else P
    found = task.predict(fitted, P)
    found = found[:, 1] if task.n_classes == 2 else found
    assert_allclose(found, expected, rtol=1e-12)


def check_weights_lie_on_the_simplex(combiner, task):
    P, y, _ = task.make(n_members=20)
    fitted = clone(combiner).fit(P, y)
    if not hasattr(fitted, "weights_"):
        return
    weights = fitted.weights_
    assert weights.shape == (20,)
    assert weights.dtype == np.float64
    if not type(combiner).__name__.startswith("LinearStack"):  # of any sign
        assert weights.min() >= 0.0
        assert abs(weights.sum() - 1.0) <= 1e-15


def check_certificate_holds(combiner, task):
    if not hasattr(type(combiner), "fit") or "tol" not in combiner.get_params():
        return
    P, y, weight = task.make()
    fitted = clone(combiner).set_params(ridge=0.0).fit(P, y, sample_weight=weight)
    assert 0.0 <= fitted.duality_gap_ <= 1e-9 * max(fitted.objective_, 1.0)
    assert fitted.n_iter_ >= 1

    def objective():
        if type(combiner).__name__ == "ConvexPoolRegressor":  # CRPS, and a penalty
            return pool_objective(P, y, weight, fitted.weights_, [1.0], fitted.ridge_)
        if type(combiner).__name__ == "QuantileAggregator":  # the median: half of it
            prediction = task.predict(fitted, P)
            return 0.5 * ensemblekit.evaluate_loss(
                "absolute_error", y, prediction, weight
            )
        loss = "log_loss" if task.n_classes else "squared_error"
        return ensemblekit.evaluate_loss(loss, y, task.predict(fitted, P), weight)

    assert_allclose(objective(), fitted.objective_, rtol=1e-12)
    rng = np.random.default_rng(0)
    for weights in rng.dirichlet(np.full(6, 0.3), size=50):
        fitted.weights_ = weights
        assert objective() >= fitted.objective_ - fitted.duality_gap_ - 1e-15


def check_many_members(combiner, task):
    P, y, _ = task.make(n_members=1000, n_samples=90)
    fitted = clone(combiner).fit(P, y)
    assert np.isfinite(task.predict(fitted, P)).all()


def check_labels_of_any_type(combiner, task):
    if not task.n_classes:
        return
    P, y, _ = task.make()
    expected = clone(combiner).fit(P, y).predict(P)
    names = np.array(["low", "mid", "top"])
    for labels in (names[y], names.astype(object)[y], y + 7, y + 1.0):
        found = clone(combiner).fit(P, labels)
        assert_array_equal(found.predict(P), found.classes_[expected])
        assert found.predict(P).dtype == labels.dtype
    if task.n_classes == 2:
        assert_array_equal(clone(combiner).fit(P, y == 1).predict(P), expected == 1)


def check_constant_target(combiner, task):
    P, y, _ = task.make()
    if task.n_classes:
        assert_refuses(combiner, P, np.full(len(y), "b"), "y has one class ('b')")
    else:
        prediction = clone(combiner).fit(P, np.full(len(y), 3.0)).predict(P)
        assert np.isfinite(prediction).all()


def check_refuses_nan_naming_column_and_row(combiner, task):
    absent = get_tags(combiner).input_tags.allow_nan  # NaN is a member that is absent
    for bad in (np.inf, -np.inf) if absent else (np.nan, np.inf, -np.inf):
        P, y, _ = task.make()
        fitted = clone(combiner).fit(P, y)
        P[17, 2] = bad
        message = "infinity in column 'x2' (1 row, first at row 17)"
        assert_refuses(combiner, P, y, message)
        with pytest.raises(ValueError, match=re.escape(message)):
            task.predict(fitted, P)


def check_refuses_a_changed_number_of_columns(combiner, task):
    P, y, _ = task.make()
    fitted = clone(combiner).fit(P, y)
    with pytest.raises(ValueError, match="features, but"):
        task.predict(fitted, P[:, : -task.n_outputs])


def check_refuses_what_is_no_probability(combiner, task):
    if not task.n_classes:
        return
    P, y, _ = task.make()
    high = P.copy()
    high[3, 1] = 3.2
    assert_refuses(combiner, high, y, "P has values outside [0, 1] (column 'x1'")
    assert_refuses(combiner, high, y, "stack_method='predict_proba'")
    if task.n_classes > 2:
        assert_refuses(combiner, P * 0.5, y, "sum to 0.5, not 1")
        assert_refuses(combiner, P[:, :-1], y, "not a multiple of the 3 classes")


def check_refuses_unfit_weights(combiner, task):
    P, y, weight = task.make()
    for bad, message in [
        (np.where(np.arange(len(y)) == 3, -1.0, weight), "Negative"),
        (np.where(np.arange(len(y)) == 3, np.nan, weight), "NaN"),
        (np.zeros(len(y)), "zero"),
        (weight[:-1], "shape"),
    ]:
        assert_refuses(combiner, P, y, message, sample_weight=bad)


def check_works_in_grid_search_over_predictions(combiner, task):
    P, y, _ = task.make()
    search = GridSearchCV(clone(combiner), {}, cv=3, error_score="raise").fit(P, y)
    assert np.isfinite(search.best_score_)


def assert_refuses(combiner, P, y, message, **options):
    """Assert that fit raises ValueError with `message`."""
    with pytest.raises(ValueError, match="(?i)" + re.escape(message)):
        clone(combiner).fit(P, y, **options)


CHECKS = [
    value
    for name, value in list(globals().items())
    if name.startswith("check_") and value.__module__ == __name__
]


@cache  # pickle wants one class of a name
def on_legal_matrix(combiner_class):
    """Derive a class whose fit and predict turn X into probabilities first.

    Each column of X becomes one member by a fixed monotone map.
    """

    class Legal(combiner_class):
        def fit(self, P, y, sample_weight=None):
            P, y = validate_data(self, P, y)
            n_features, n_classes = P.shape[1], len(np.unique(y))
            super().fit(_legal_columns(P, n_classes), y, sample_weight=sample_weight)
            self.n_features_in_ = n_features
            return self

        def predict_proba(self, P):
            check_is_fitted(self)
            P = validate_data(self, P, reset=False)
            n_features = self.n_features_in_
            legal = _legal_columns(P, len(self.classes_))
            self.n_features_in_ = legal.shape[1]
            try:
                return super().predict_proba(legal)
            finally:
                self.n_features_in_ = n_features

    name = f"Legal{combiner_class.__name__}"
    Legal.__name__ = Legal.__qualname__ = name
    globals()[name] = Legal  # pickle looks classes up by name
    return Legal


def _legal_columns(X, n_classes):
    X = np.tanh(X / 4.0)
    if n_classes <= 2:
        return 0.5 + 0.45 * X
    powers = np.exp(X[:, :, None] * np.linspace(-1.0, 1.0, n_classes))
    return (powers / powers.sum(axis=2, keepdims=True)).reshape(len(X), -1)
