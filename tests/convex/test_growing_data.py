"""Rows that come in batches."""

from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor

SCALARS = ["objective_", "loss_", "ridge_", "total_weight_"]


def in_batches(combiner, cuts, P, y, weight=None, **options):
    for rows in np.split(np.arange(len(y)), cuts):
        part = None if weight is None else weight[rows]
        combiner.partial_fit(P[rows], y[rows], sample_weight=part, **options)
    return combiner


def assert_same_fit(found, whole):
    assert_allclose(found.weights_, whole.weights_, atol=1e-12)
    for name in SCALARS:
        assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-11)
    if found.max_members is None:  # else the gap is that to all members
        assert found.duality_gap_ <= 1e-9 * found.objective_


SWITCHES = [
    {},
    {"ridge": 0},
    {"fit_intercept": True},
    {"sum_to_one": False},
    {"fit_intercept": True, "sum_to_one": False},
    {"nonnegative": False},
    {"max_weight": 0.3},
    {"max_members": 2},
    {"own_error": 0.2},
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("cuts", [[75], [1, 10, 140], []])
def test_batches_equal_all_rows(regression_predictions, switches, cuts, weighted):
    P, y, weight = regression_predictions()
    weight = weight if weighted else None
    whole = ConvexRegressor(**switches).fit(P + 0.2, y, weight)
    found = in_batches(ConvexRegressor(**switches), cuts, P + 0.2, y, weight)
    assert_same_fit(found, whole)
    assert_allclose(found.intercept_, whole.intercept_, atol=1e-12)
    assert_allclose(found.predict(P), whole.predict(P), atol=1e-12)


def test_batches_under_a_common_offset(regression_predictions):
    P, y, weight = regression_predictions()
    grid = 2.0**-20  # both problems hold exactly the same residuals
    P, y = np.round(P / grid) * grid, np.round(y / grid) * grid
    plain = ConvexRegressor().fit(P, y, weight)
    found = in_batches(ConvexRegressor(), [40, 90], P + 1e8, y + 1e8, weight)
    assert_same_fit(found, plain)


def test_batches_of_members_with_a_bias(regression_predictions):
    P, y, _ = regression_predictions()
    bias = 1e6 * np.arange(1, 7)
    plain = ConvexRegressor(fit_intercept=True).fit(P, y)
    found = in_batches(ConvexRegressor(fit_intercept=True), [40], P + bias, y)
    assert_allclose(found.weights_, plain.weights_, atol=1e-8)
    assert_allclose(found.loss_, plain.loss_, rtol=1e-8)


def test_drifting_batches_keep_their_intercept(regression_predictions):
    P, y, _ = regression_predictions()
    P = P + 0.05 * np.arange(150)[:, None]
    whole = ConvexRegressor(fit_intercept=True).fit(P, y)
    found = in_batches(ConvexRegressor(fit_intercept=True), [30, 60, 90], P, y)
    assert_same_fit(found, whole)
    assert_allclose(found.intercept_, whole.intercept_, atol=1e-11)


def test_members_that_are_copies_in_some_batches_only(regression_predictions):
    P, y, _ = regression_predictions()
    P[:75, 4], P[:, 5] = P[:75, 1], P[:, 2]
    first = ConvexRegressor().partial_fit(P[:75], y[:75])
    assert_array_equal(first.weights_[4:], 0.0)
    assert first.ridge_ == 4 / 75
    both = first.partial_fit(P[75:], y[75:])
    assert_same_fit(both, ConvexRegressor().fit(P, y))
    assert both.ridge_ == 5 / 150
    assert both.weights_[5] == 0.0


def test_three_copies_split_in_two(regression_predictions):
    P, y, _ = regression_predictions()
    P[:75, [1, 2, 3]] = P[:75, [1]]
    P[75:, 3] = P[75:, 2]
    found = in_batches(ConvexRegressor(), [75], P, y)
    assert_same_fit(found, ConvexRegressor().fit(P, y))
    assert found.ridge_ == 5 / 150


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_goes_on_from_fit(regression_predictions, switches):
    P, y, weight = regression_predictions()
    P = P + 0.2
    whole = ConvexRegressor(**switches).fit(P, y, weight)
    found = ConvexRegressor(**switches).fit(P[:60], y[:60], weight[:60])
    found.partial_fit(P[60:], y[60:], sample_weight=weight[60:])
    assert_same_fit(found, whole)
    assert_allclose(found.intercept_, whole.intercept_, atol=1e-12)


def test_fit_starts_anew(regression_predictions):
    P, y, _ = regression_predictions()
    found = ConvexRegressor().partial_fit(P[:60], -y[:60]).fit(P, y)
    assert_array_equal(found.weights_, ConvexRegressor().fit(P, y).weights_)
    assert found.total_weight_ == 150


@pytest.mark.parametrize("switches", [{}, {"fit_intercept": True}], ids=str)
def test_reports_after_batches(regression_predictions, switches):
    P, y, _ = regression_predictions()
    whole = ConvexRegressor(**switches).fit(P, y)
    found = in_batches(ConvexRegressor(**switches), [30], P, y)
    for name in ("predictions", "loss"):
        ours, theirs = (c.leave_one_out(P, y)[name] for c in (found, whole))
        assert_allclose(ours, theirs, atol=1e-12)
    assert found.explain(P, y)[0]["weight"] == pytest.approx(whole.weights_[0])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("start", ["classes", "fit"])
def test_batches_of_probabilities(class_predictions, n_classes, start):
    P, y, weight = class_predictions(n_classes=n_classes)
    labels = np.array(["a", "b", "c"])[y]
    whole = ConvexClassifier(loss="brier").fit(P, labels, weight)
    found, first = ConvexClassifier(loss="brier"), slice(0, 60)
    if start == "fit":
        found.fit(P[first], labels[first], weight[first])
    else:
        classes = np.unique(labels)[::-1]
        found.partial_fit(P[first], labels[first], classes, weight[first])
    # A batch may hold one class alone.
    for rows in (60 + np.flatnonzero(y[60:] == 0), 60 + np.flatnonzero(y[60:] != 0)):
        found.partial_fit(P[rows], labels[rows], sample_weight=weight[rows])
    assert_same_fit(found, whole)
    assert_array_equal(found.classes_, whole.classes_)
    assert_allclose(found.predict_proba(P), whole.predict_proba(P), atol=1e-12)


# Refusals.
def state(combiner):
    return deepcopy(vars(combiner))


def assert_unchanged(combiner, before):
    assert vars(combiner).keys() == before.keys()
    for name, value in before.items():
        now = getattr(combiner, name)
        pairs = zip(now, value, strict=True) if name == "_origin_" else [(now, value)]
        for ours, theirs in pairs:
            assert_array_equal(ours, theirs)


def break_batch(kind, P, y):
    """A batch that cannot be used, and what the refusal says."""
    P, y = P[60:].copy(), y[60:].copy()
    if kind == "NaN":
        P[7, 3] = np.nan
        return P, y, r"column 'x3' \(1 row, first at row 7\)"
    if kind == "infinite":
        P[9, 0] = np.inf
        return P, y, r"column 'x0' \(1 row, first at row 9\)"
    if kind == "width":
        return P[:, :5], y, "5 features"
    return P[:40], y, "inconsistent numbers of samples"


@pytest.mark.parametrize("kind", ["NaN", "infinite", "width", "length"])
@pytest.mark.parametrize("intercept", [False, True])
def test_a_bad_batch_leaves_the_state(regression_predictions, kind, intercept):
    P, y, _ = regression_predictions()
    found = ConvexRegressor(fit_intercept=intercept).partial_fit(P[:60], y[:60])
    before = state(found)
    bad, target, match = break_batch(kind, P, y)
    with pytest.raises(ValueError, match=match):
        found.partial_fit(bad, target)
    assert_unchanged(found, before)
    assert_same_fit(
        found.partial_fit(P[60:], y[60:]),
        ConvexRegressor(fit_intercept=intercept).fit(P, y),
    )


@pytest.mark.parametrize("kind", ["NaN", "width", "label", "range"])
def test_a_bad_batch_of_probabilities(class_predictions, kind):
    P, y, _ = class_predictions()
    found = ConvexClassifier(loss="brier").partial_fit(P[:60], y[:60], [0, 1])
    before = state(found)
    if kind in ("NaN", "width"):
        bad, labels, match = break_batch(kind, P, y)
    else:
        bad, labels, match = P[60:].copy(), y[60:].copy(), "label 7"
        labels[4] = 7
    if kind == "range":
        bad, labels, match = bad + 1.0, y[60:], r"outside \[0, 1\]"
    with pytest.raises(ValueError, match=match):
        found.partial_fit(bad, labels)
    assert_unchanged(found, before)


def test_first_batch_of_a_classifier_needs_the_classes(class_predictions):
    P, y, _ = class_predictions()
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        ConvexClassifier(loss="brier").partial_fit(P, y)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"ridge": "cv"}, "ridge='cv' needs all rows at once"),
        ({"n_bootstrap": 5}, "n_bootstrap=5 needs all rows at once"),
        ({"per_target": True}, "per_target=True needs all rows at once"),
    ],
)
def test_batches_are_refused(regression_predictions, options, match):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=match):
        ConvexRegressor(**options).partial_fit(P, y)


def test_several_targets_are_refused(regression_predictions):
    P, y, _ = regression_predictions()
    Y = np.column_stack([y, y])
    with pytest.raises(ValueError, match="one target"):
        ConvexRegressor().partial_fit(P, Y)
    with pytest.raises(ValueError, match="cannot go on from this fit"):
        ConvexRegressor().fit(P, Y).partial_fit(P[:, ::2], y)


def test_going_on_from_another_loss_is_refused(regression_predictions):
    P, y, _ = regression_predictions()
    fitted = ConvexRegressor(loss="huber").fit(P, y).set_params(loss="squared_error")
    with pytest.raises(ValueError, match="was for another loss"):
        fitted.partial_fit(P, y)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "pinball"])
def test_other_losses_have_no_partial_fit(loss):
    assert not hasattr(ConvexRegressor(loss=loss), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        ConvexRegressor(loss=loss).partial_fit([[1.0]], [1.0])


def test_log_loss_has_no_partial_fit():
    assert not hasattr(ConvexClassifier(), "partial_fit")
    assert hasattr(ConvexClassifier(loss="brier"), "partial_fit")
    assert hasattr(ConvexRegressor(), "partial_fit")
