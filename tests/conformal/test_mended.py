"""What calibrated estimators do with changed parameters, odd groups and no mass."""

import datetime

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import (
    AdaptiveConformalRegressor,
    ConformalPredictiveRegressor,
    ConformalRegressor,
    ConformalSelector,
    EnbPIRegressor,
    InfeasibleRankWarning,
    MultiOutputConformalRegressor,
    QuantileAggregator,
    ResidualQuantileRegressor,
    StackedQuantileRegressor,
    StackedRegressor,
    cross_conformal_interval,
    jackknife_after_bootstrap_interval,
    weighted_conformal_quantile,
)
from ensemblekit.conformal._groups import Groups, check_groups


def table(n=160, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, X[:, 0] + 0.3 * rng.normal(size=n)


# Selection under another threshold than at calibration.
@pytest.mark.parametrize("model", [Ridge(), LogisticRegression()])
def test_a_changed_threshold_calibrates_anew(model):
    X, y = table()
    selector = ConformalSelector(model, threshold=0.0, fdr=0.2, random_state=0)
    selector.fit(X[:120], y[:120]).set_params(threshold=0.8)
    held_out = [r for r in range(120) if r not in _training_rows(120)]
    again = ConformalSelector(selector.estimators_[0], threshold=0.8, fdr=0.2)
    again.calibrate(X[held_out], y[held_out])
    assert_array_equal(selector.p_values(X[120:]), again.p_values(X[120:]))


def _training_rows(n):
    from sklearn.model_selection import train_test_split

    from ensemblekit.conformal._estimator import draw_seed

    return train_test_split(np.arange(n), test_size=0.25, random_state=draw_seed(0))[0]


def test_thresholds_by_row_go_to_both_or_neither():
    X, y = table()
    rows = np.zeros(len(y))
    with pytest.raises(ValueError, match=r"one for all in calibration.*gives some"):
        ConformalSelector(Ridge()).fit(X, y).select(X, thresholds=rows)
    with pytest.raises(ValueError, match=r"by row in calibration.*gives none"):
        ConformalSelector(Ridge()).fit(X, y, thresholds=rows).select(X)
    with pytest.raises(ValueError, match="NaN"):
        ConformalSelector(Ridge()).fit(X, y).score(X, np.full(len(y), np.nan))


# Calibration that is refused leaves what was there.
def test_a_refused_calibration_changes_nothing():
    X, y = table()
    groups = np.tile(["a", "b"], 80)
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, y, groups=groups)
    before = model.predict_interval(X, groups=groups)
    bad = X.copy()
    bad[3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.calibrate(bad, y, groups=np.tile(["b", "c"], 80))
    assert_array_equal(model.predict_interval(X, groups=groups), before)


def test_a_changed_normalizer_is_refused_by_calibrate():
    X, y = table()
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, y)
    model.set_params(normalizer=DecisionTreeRegressor())
    with pytest.raises(ValueError, match="normalizer is not the one"):
        model.calibrate(X, y)


class LostScale(DecisionTreeRegressor):
    def predict(self, X):
        return np.full(len(X), np.nan)


def test_a_normalizer_that_predicts_nan_is_refused():
    X, y = table()
    with pytest.raises(ValueError, match="normalizer predicts NaN or infinity"):
        ConformalRegressor(Ridge(), normalizer=LostScale()).fit(X, y)


# Groups.
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["1"] * 80 + [1] * 80, r"values of \['int', 'str'\]"),
        (["a"] * 80 + [np.nan] * 80, "80 rows, first at row 80"),
        (["a"] * 159 + [None], "1 row, first at row 159"),
        (["a"] * 159 + [pd.NA], "1 row, first at row 159"),
    ],
)
def test_groups_that_are_not_told_apart(groups, message):
    X, y = table()
    for given in (groups, np.array(groups, dtype=object), pd.Series(groups)):
        for model in (
            ConformalRegressor(Ridge()),
            ConformalPredictiveRegressor(Ridge()),
        ):
            with pytest.raises(ValueError, match=message):
                model.fit(X, y, groups=given)


def test_groups_of_dates_are_named_by_dates():
    days = [datetime.date(2024, 1, 1 + i % 2) for i in range(10)]
    found = Groups(check_groups(days, 10), 10)
    assert found.counts == {days[0]: 5, days[1]: 5}
    assert_array_equal(found.codes([days[1], datetime.date(2020, 1, 1)], 2), [1, -1])
    assert Groups(None, 3).codes(None, 3) is None


def test_many_groups_take_little_memory():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20_000, 50_000)
    found = Groups(groups, len(groups))
    assert sum(len(rows) for rows in found.rows) == len(groups)
    for code in (0, 77, len(found.rows) - 1):
        assert_array_equal(
            found.rows[code], np.flatnonzero(groups == found.names[code])
        )


# Weights without mass.
def test_no_mass_is_no_bound():
    found = weighted_conformal_quantile([1.0, 2.0, 3.0], [0, 0, 0], [0.0, 1.0], 0.1)
    assert_array_equal(found, [np.inf, np.inf])
    X, y = table()
    model = ConformalRegressor(
        Ridge(), likelihood_ratio=lambda Z: (Z[:, 0] > 10) * 1.0, random_state=0
    ).fit(X, y)
    with pytest.warns(InfeasibleRankWarning, match="infinite bounds"):
        assert np.isinf(model.predict_interval(X[:3])).all()


# Intervals of arrays.
def test_arrays_give_no_crossed_intervals():
    y, oof = np.zeros(40), np.full(40, 0.1)
    folds, new = np.arange(40) % 2, np.array([[0.0, 10.0]])
    for alpha in (0.4, 0.6):
        low, high = cross_conformal_interval(y, oof, folds, new, [alpha])[0]
        assert low <= high
    in_bag = np.column_stack([folds == 0, folds == 1])
    bags = np.full((40, 2), 0.1)
    low, high = jackknife_after_bootstrap_interval(y, in_bag, bags, new, [0.6])[0]
    assert low <= high


# A stack under CV+.
def test_folds_of_a_stack_are_given_once():
    X, y = table()
    stack = StackedRegressor([("ridge", Ridge())], cv=3)
    ConformalRegressor(stack, method="cv+", cv=3).fit(X, y)
    with pytest.raises(ValueError, match="cv is given twice"):
        ConformalRegressor(stack, method="cv+", cv=10).fit(X, y)


def test_a_gated_stack_gets_its_features_under_cv_plus():
    X, y = table()
    members = [
        ("ridge", ResidualQuantileRegressor(Ridge())),
        ("tree", ResidualQuantileRegressor(DecisionTreeRegressor(max_depth=3))),
    ]
    stack = StackedQuantileRegressor(
        members,
        QuantileAggregator(gate="linear", gate_ridge=1e-2),
        quantile_levels=[0.1, 0.5, 0.9],
        passthrough=True,
        random_state=0,
    )
    model = ConformalRegressor(stack, method="cv+", alpha=0.2).fit(X, y)
    low, high = model.predict_interval(X).T
    assert (low <= high).all()
    combiner = clone(stack.combiner).set_params(quantile_levels=[0.1, 0.5, 0.9])
    fitted = model.calibrated_.parts.model
    train, test = fitted.cross_fit_.splits_[0]
    P = fitted.oof_predictions_
    combiner.fit(P[train], y[train], features=X[train])
    wanted = combiner.predict_quantiles(P[test], X[test])
    assert_allclose(model.calibrated_.parts.held_out[test], wanted)


# Levels and volumes.
@pytest.mark.parametrize("alpha", ["0.1", [0.1, 0.3]])
def test_alphas_of_any_exact_kind(alpha):
    X, y = table()
    for model in (
        ConformalPredictiveRegressor(Ridge(), alpha=alpha),
        AdaptiveConformalRegressor(Ridge(), alpha=alpha),
        EnbPIRegressor(Ridge(), alpha=alpha),
    ):
        assert np.isfinite(model.fit(X, y).predict_interval(X)).all()


@pytest.mark.parametrize("region", ["box", "ellipsoid"])
def test_volumes_of_many_outputs_stay_numbers(region):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = 1e-3 * rng.normal(size=(200, 120))
    model = MultiOutputConformalRegressor(
        LinearRegression(), region=region, random_state=0
    )
    volume = model.fit(X, Y).volume(X[:2])
    assert (volume > 0.0).all()
    assert np.isfinite(volume).all()
