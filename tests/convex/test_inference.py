import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import ConvexClassifier, ConvexRegressor
from ensemblekit.combine import _convex_base as base
from ensemblekit.convex import inference, weighting
from tests import oracles

WEIGHTS = ["none", "counts", "real"]


def problem_of(combiner, P, y, weight=None):
    """The problem of a regressor, its rows and its weighting."""
    P, y, weight = combiner._validate(P, y, weight)
    problem, rows = combiner._read(P, y, weight)
    settings = base.read_settings(combiner, rows.n_members, rows.names)
    return problem, settings, base.fit_problem(combiner, problem, rows).found


def class_problem_of(combiner, P, y):
    P, y, weight = combiner._validate(P, y, None)
    problem, rows = combiner._read(P, np.unique(y), y, weight)
    settings = base.read_settings(combiner, rows.n_members, rows.names)
    return problem, settings, base.fit_problem(combiner, problem, rows).found


def best_on(problem, settings, found):
    """Weights of a replicate, as the bootstrap finds them."""
    return weighting.best_weights(
        problem, settings.constraints, found.members, found.penalty, 1e-9, 10_000
    ).x


# Leave-one-out.
def row_weights(kind, counts):
    """Weights for the estimator, and the same as an array."""
    if kind == "none":
        return None, np.ones(len(counts))
    if kind == "counts":
        return counts, counts
    real = np.random.default_rng(1).uniform(0.2, 3.0, len(counts))
    return real, real


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sum_to_one", [False, True])
def test_leave_one_out_equals_refits(
    regression_predictions, kind, ridge, intercept, sum_to_one
):
    P, y, counts = regression_predictions()
    P = P + 0.3 * intercept
    given, weight = row_weights(kind, counts)
    switches = {"fit_intercept": intercept, "sum_to_one": sum_to_one}
    fitted = ConvexRegressor(ridge=ridge, **switches).fit(P, y, given)
    residuals = P - y[:, None]
    if intercept:
        residuals = residuals - np.average(residuals, axis=0, weights=weight)
    unit = np.average(residuals**2, axis=0, weights=weight).min()
    support = np.flatnonzero(fitted.weights_)
    refits = oracles.leave_one_out(
        P[:, support],
        y,
        weight,
        strength=ridge * unit * weight.sum(),
        centre=1 / 6,
        intercept=intercept,
        sum_to_one=sum_to_one,
    )
    found = fitted.leave_one_out(P, y, given)
    assert_allclose(found.predictions, refits, rtol=0, atol=1e-12)
    assert_allclose(found.loss, np.average((refits - y) ** 2, weights=weight))
    assert found.n_undecided == 0
    in_sample = np.average((fitted.predict(P) - y) ** 2, weights=weight)
    assert found.loss > in_sample


def test_leave_one_out_keeps_its_digits_under_an_offset(regression_predictions):
    P, y, _ = regression_predictions()
    plain = ConvexRegressor(ridge=0).fit(P, y).leave_one_out(P, y)
    P, y = P + 1e8, y + 1e8
    shifted = ConvexRegressor(ridge=0).fit(P, y).leave_one_out(P, y)
    assert_allclose(shifted.predictions - 1e8, plain.predictions, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("sum_to_one", [False, True])
def test_leave_one_out_does_not_depend_on_the_unit(
    regression_predictions, scale, sum_to_one
):
    P, y, _ = regression_predictions()
    combiner = ConvexRegressor(fit_intercept=True, sum_to_one=sum_to_one)
    plain = combiner.fit(P, y).leave_one_out(P, y)
    P, y = P * scale, y * scale
    scaled = combiner.fit(P, y).leave_one_out(P, y)
    assert_allclose(scaled.predictions / scale, plain.predictions, atol=1e-12)


def test_leave_one_out_of_a_row_that_decides_alone(regression_predictions):
    P, y, _ = regression_predictions(n_members=1)
    P = np.hstack([P, P])
    P[5] = y[5] + [0.5, -0.5]
    fitted = ConvexRegressor(ridge=0).fit(P, y)
    assert np.count_nonzero(fitted.weights_) == 2
    found = fitted.leave_one_out(P, y)
    assert_array_equal(np.flatnonzero(np.isnan(found.predictions)), [5])
    assert found.n_undecided == 1
    residuals = np.delete(found.predictions - y, 5)
    assert_allclose(found.loss, np.mean(residuals**2))
    ridged = ConvexRegressor(ridge=0.1).fit(P, y).leave_one_out(P, y)
    assert ridged.n_undecided == 0


def test_leave_one_out_of_as_many_rows_as_members():
    # Every row is needed by the members' sums, none by weights that sum to 1.
    P = np.array([[1.0, -2.0, 0.5], [-1.5, 1.0, 0.5], [1.0, 1.0, -2.0]])
    y = np.zeros(3)
    fitted = ConvexRegressor(ridge=0).fit(P, y)
    assert (fitted.weights_ > 0).all()
    found = fitted.leave_one_out(P, y)
    refits = oracles.leave_one_out(P, y, np.ones(3))
    assert_allclose(found.predictions, refits, atol=1e-12)
    assert found.n_undecided == 0


@pytest.mark.parametrize("perfect", ["member", "mixture"])
def test_leave_one_out_of_a_perfect_fit(regression_predictions, perfect):
    P, y, _ = regression_predictions()
    y = P[:, 3] if perfect == "member" else 0.25 * P[:, 1] + 0.75 * P[:, 4]
    found = ConvexRegressor(ridge=0).fit(P, y).leave_one_out(P, y)
    assert_allclose(found.predictions, y, atol=1e-12)
    assert found.loss <= 1e-24
    assert found.n_undecided == 0


def test_leave_one_out_of_a_single_row():
    P, y = np.array([[1.0, 3.0]]), np.array([2.0])
    alone = ConvexRegressor(ridge=0).fit(P, y).leave_one_out(P, y)
    assert alone.n_undecided == 1
    assert np.isnan(alone.loss)


def test_leave_one_out_of_rows_of_weight_zero(regression_predictions):
    P, y, weight = regression_predictions()
    weight[:9] = 0.0
    fitted = ConvexRegressor(ridge=0).fit(P, y, weight)
    found = fitted.leave_one_out(P, y, weight)
    assert_allclose(found.predictions[:9], fitted.predict(P[:9]), atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber"},
        {"max_weight": 0.5},
        {"min_weight": 0.1},
        {"groups": [0, 0, 0, 1, 1, 1], "max_group_weight": 0.7},
        {"own_error": 0.1},
        {"cost": np.arange(6.0)},
    ],
)
def test_leave_one_out_is_refused(regression_predictions, options):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match="leave_one_out has a closed form for loss="):
        ConvexRegressor(**options).fit(P, y).leave_one_out(P, y)


def test_leave_one_out_is_refused_for_several_targets(regression_predictions):
    P, y, _ = regression_predictions()
    Y = np.column_stack([y, -y])
    fitted = ConvexRegressor(per_target=True).fit(P, Y)
    with pytest.raises(ValueError, match="one target"):
        fitted.leave_one_out(P, Y)


# Bootstrap.
@pytest.mark.parametrize("n", [7, 150, 1000])
@pytest.mark.parametrize("kind", ["random", "contiguous", "labels", "many labels"])
def test_row_blocks_partition_the_rows(n, kind):
    rng = np.random.RandomState(0)
    labels = {"labels": np.arange(n) % 5, "many labels": (np.arange(n) // 2)[::-1]}
    blocks = inference.row_blocks(labels.get(kind, kind), n, 4, rng)
    assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(n))
    assert 2 <= len(blocks) <= 200
    if kind in labels:
        home = np.empty(n, int)
        for b, block in enumerate(blocks):
            home[block] = b
        for label in np.unique(labels[kind]):
            assert len(np.unique(home[labels[kind] == label])) == 1
    else:
        sizes = [len(block) for block in blocks]
        assert max(sizes) - min(sizes) <= 1
    if kind == "contiguous":
        assert all((np.diff(block) == 1).all() for block in blocks)


def test_row_blocks_are_fewer_for_many_members():
    blocks = inference.row_blocks("random", 5000, 1000, np.random.RandomState(0))
    assert len(blocks) == 20


@pytest.mark.parametrize(
    ("blocks", "match"), [(np.zeros(150), "one block"), (np.arange(9), "shape")]
)
def test_blocks_are_refused(regression_predictions, blocks, match):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=match):
        ConvexRegressor(n_bootstrap=3, blocks=blocks).fit(P, y)


def test_bootstrap_is_reproducible(regression_predictions):
    P, y, weight = regression_predictions()
    names = "weight_intervals_", "weight_se_", "selection_frequency_"
    first, again, other = (
        ConvexRegressor(n_bootstrap=25, random_state=seed).fit(P, y, weight)
        for seed in (3, 3, 4)
    )
    for name in names:
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.weight_se_ != other.weight_se_).any()
    assert first.weight_intervals_.shape == (6, 2)
    assert (first.weight_intervals_[:, 0] <= first.weight_intervals_[:, 1]).all()
    plain = ConvexRegressor().fit(P, y, weight)
    assert_array_equal(first.weights_, plain.weights_)
    assert not hasattr(plain, "weight_se_")


SWITCHES = [
    {},
    {"fit_intercept": True},
    {"sum_to_one": False},
    {"fit_intercept": True, "sum_to_one": False},
]


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_every_block_once_is_the_full_fit(regression_predictions, switches, ridge):
    P, y, weight = regression_predictions()
    combiner = ConvexRegressor(ridge=ridge, **switches)
    problem, settings, found = problem_of(combiner, P, y, weight)
    blocks = inference.row_blocks("random", len(y), 6, np.random.RandomState(0))
    once = np.ones((1, len(blocks)), int)
    (replicate,) = inference._gram_replicates(problem, blocks, once)
    assert_allclose(replicate.gram, problem.gram, atol=1e-12)
    x = best_on(replicate, settings, found)
    assert_allclose(x, found.solution.x, atol=1e-12)


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_gram_replicates_equal_refits_on_repeated_rows(
    regression_predictions, switches, ridge
):
    P, y, weight = regression_predictions()
    combiner = ConvexRegressor(ridge=ridge, **switches)
    problem, settings, found = problem_of(combiner, P, y, weight)
    blocks = inference.row_blocks("random", len(y), 6, np.random.RandomState(0))[::8]
    counts = np.random.default_rng(0).integers(0, 3, (4, len(blocks)))
    replicates = inference._gram_replicates(problem, blocks, counts)
    for times, replicate in zip(counts, replicates, strict=True):
        rows = np.repeat(blocks, times, axis=0).ravel()
        x = best_on(replicate, settings, found)
        # The penalty of the full fit is kept: its unit is the full problem's.
        same = ridge * problem.ridge_unit / replicate.ridge_unit
        refit = ConvexRegressor(ridge=same, **switches).fit(
            P[rows], y[rows], weight[rows]
        )
        assert_allclose(x[:6], refit.weights_, atol=1e-10)


def test_intervals_hold_the_replicates(regression_predictions):
    P, y, _ = regression_predictions()
    combiner = ConvexRegressor(n_bootstrap=200, alpha=0.1, random_state=5)
    fitted = combiner.fit(P, y)
    problem, settings, found = problem_of(ConvexRegressor(), P, y)
    rng = np.random.RandomState(5)
    blocks = inference.row_blocks("random", len(y), P.shape[1], rng)
    draws = weighting.bootstrap(problem, settings, found, blocks, 200, rng)
    low, high = fitted.weight_intervals_.T
    inside = ((low <= draws) & (draws <= high)).mean(axis=0)
    assert (inside >= 0.9).all()
    assert_allclose(fitted.weight_se_, draws.std(axis=0, ddof=1))
    assert_array_equal(fitted.selection_frequency_, (draws > 0).mean(axis=0))
    wide = ConvexRegressor(n_bootstrap=200, alpha=1e-9, random_state=5).fit(P, y)
    low, high = wide.weight_intervals_.T
    assert ((low <= draws + 1e-8) & (draws - 1e-8 <= high)).all()


def test_standard_errors_are_those_of_a_row_bootstrap(regression_predictions):
    P, y, _ = regression_predictions(n_samples=2000)
    blocks = ConvexRegressor(ridge=0, n_bootstrap=300).fit(P, y).weight_se_
    rng = np.random.default_rng(0)
    draws = [
        ConvexRegressor(ridge=0).fit(P[rows], y[rows]).weights_
        for rows in rng.integers(0, 2000, (300, 2000))
    ]
    rows = np.std(draws, axis=0, ddof=1)
    heavy = rows > 0.1 * rows.max()
    assert heavy.sum() >= 3
    assert (blocks[heavy] / rows[heavy] < 1.5).all()
    assert (rows[heavy] / blocks[heavy] < 1.5).all()


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber"},
        {"loss": "huber", "fit_intercept": True, "sum_to_one": False},
        {"loss": "pinball", "level": 0.3, "tol": 1e-6},
    ],
)
def test_row_replicates_equal_refits(regression_predictions, options):
    P, y, weight = regression_predictions(n_members=4)
    combiner = ConvexRegressor(ridge=0, **options)
    problem, settings, found = problem_of(combiner, P, y, weight)
    blocks = np.array_split(np.arange(len(y)), 10)
    counts = np.vstack([np.ones(10, int), np.arange(10) % 3])
    for times, replicate in zip(
        counts, inference._row_replicates(problem, blocks, counts), strict=True
    ):
        x = best_on(replicate, settings, found)
        refit = ConvexRegressor(ridge=0, **options)
        refit.fit(P, y, weight * np.repeat(times, 15))
        assert_allclose(replicate.mean(x), refit.loss_, rtol=1e-5)
        assert_allclose(x[:4], refit.weights_, atol=1e-3)
    fitted = combiner.set_params(n_bootstrap=4).fit(P, y, weight)
    assert fitted.weight_intervals_.shape == (4, 2)
    assert np.isfinite(fitted.weight_se_).all()


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_bootstrap_of_probabilities(class_predictions, loss, n_classes):
    P, y, _ = class_predictions(n_members=4, n_classes=n_classes)
    combiner = ConvexClassifier(loss=loss, ridge=0)
    problem, settings, found = class_problem_of(combiner, P, y)
    blocks = np.array_split(np.arange(len(y)), 9)
    times = np.arange(9) % 3
    replicates = inference._row_replicates
    if loss == "brier":
        replicates = inference._gram_replicates
    (replicate,) = replicates(problem, blocks, times[None, :])
    rows = np.repeat(np.arange(len(y)), np.repeat(times, 20))
    refit = ConvexClassifier(loss=loss, ridge=0).fit(P[rows], y[rows])
    x = best_on(replicate, settings, found)
    assert_allclose(x, refit.weights_, atol=1e-8)
    fitted = combiner.set_params(n_bootstrap=5).fit(P, y)
    assert (fitted.selection_frequency_ <= 1).all()
    assert (fitted.weight_intervals_ >= 0).all()


@pytest.mark.parametrize("switches", SWITCHES)
def test_bootstrap_of_intercept_and_free_sum(regression_predictions, switches):
    P, y, _ = regression_predictions()
    fitted = ConvexRegressor(n_bootstrap=50, **switches).fit(P + 0.5, y)
    low, high = fitted.weight_intervals_.T
    used = fitted.weights_ > 0.2
    assert used.any()
    assert (low[used] < fitted.weights_[used]).all()
    assert (fitted.weights_[used] < high[used]).all()


def test_negative_weights_count_as_selected(regression_predictions):
    P, y, _ = regression_predictions()
    fitted = ConvexRegressor(nonnegative=False, n_bootstrap=20, ridge=0).fit(P, -y)
    assert (fitted.weights_ < 0).any()
    assert_array_equal(fitted.selection_frequency_, 1.0)


def test_bootstrap_per_target(regression_predictions):
    P, y, _ = regression_predictions()
    Y = np.column_stack([y, P[:, 0]])
    options = {"n_bootstrap": 20, "random_state": 1}
    both = ConvexRegressor(per_target=True, **options).fit(np.repeat(P, 2, axis=1), Y)
    one = ConvexRegressor(**options).fit(P, y)
    assert both.weight_intervals_.shape == (2, 6, 2)
    assert_allclose(both.weight_intervals_[0], one.weight_intervals_)
    assert both.weight_se_.shape == both.selection_frequency_.shape == (2, 6)
