"""The estimator that is wrapped: its seed, its clone, its predictions."""

import numpy as np
from sklearn.utils import check_random_state

from .._members import last_step, with_seed
from .._sklearn import _num_samples
from ..exceptions import describe_rows
from ..stack import StackedRegressor
from ..stack_quantiles import StackedQuantileRegressor
from .ranks import exact_levels


def draw_seed(random_state):
    """Return a seed for all that is drawn in a fit; None where it need not repeat."""
    if random_state is None:
        return None
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def new_estimator(regressor, seed):
    """Return a clone of the estimator, seeded; a StackedRegressor for None."""
    estimator = regressor.estimator
    if estimator is None:
        estimator = StackedRegressor(n_jobs=regressor.n_jobs)
    return with_seed(estimator, seed)


def new_quantile_estimator(regressor, seed):
    """Return a clone that predicts the quantiles of the intervals asked for.

    Where its own `quantile_levels` are None, they are set to the median and the two
    levels of each alpha: it learns none that nobody asked for.
    """
    levels = wanted_levels(regressor.alpha)
    if regressor.estimator is None:
        stack = StackedQuantileRegressor(
            quantile_levels=levels, n_jobs=regressor.n_jobs
        )
        return with_seed(stack, seed)
    model = with_seed(regressor.estimator, seed)
    last = last_step(model)
    if last.get_params(deep=False).get("quantile_levels", levels) is None:
        last.set_params(quantile_levels=levels)
    return model


def wanted_levels(alpha):
    """Return the ascending levels of the median and of each alpha's interval."""
    alphas, _ = exact_levels(alpha)
    tails = {float(a / 2) for a in alphas} | {float(1 - a / 2) for a in alphas}
    return tuple(sorted(tails | {0.5}))


def point_predictions(model, X):
    """Return a model's predictions as (n_samples,) float64; refuse any other."""
    predicted = np.asarray(model.predict(X), dtype=np.float64)
    n_rows = _num_samples(X)
    if predicted.shape == (n_rows, 1):
        predicted = predicted[:, 0]
    if predicted.shape != (n_rows,):
        raise ValueError(
            f"The wrapped estimator predicts an array of shape {predicted.shape}; "
            f"expected ({n_rows},), a number for each row."
        )
    finite = np.isfinite(predicted)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise ValueError(
            "The wrapped estimator predicts NaN or infinity "
            f"({describe_rows(bad)}); expected finite numbers."
        )
    return predicted
