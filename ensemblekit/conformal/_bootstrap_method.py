"""Jackknife+-after-bootstrap: residuals around the bags that a row is not in."""

import numpy as np
from sklearn.utils import check_random_state

from .._folds import draw_seeds
from .._members import fit_member, predict_member, with_seed
from .._parallel import map_tasks
from ..quantile_members._base import weight_arguments
from ._cross_base import refuse_groups
from ._estimator import draw_seed, new_estimator, point_predictions
from .bootstrap import bag_bounds, out_of_bag_scores


def fit_bootstrap(regressor, X, y, sample_weight=None, groups=None):
    """Fit a model on each of several bags of rows, and one on all rows.

    A bag is drawn with replacement and has as many rows as are given.

    Parameters
    ----------
    regressor : ConformalRegressor
        Read: estimator, n_resamples, n_jobs, random_state.
    X : indexable of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), float64
    sample_weight : ndarray of shape (n_samples,) or None
        Trains; rows of weight 0 are drawn into no bag and calibrate nothing.
    groups : None
        Refused.

    Returns
    -------
    calibrated : BaggedIntervals
    """
    refuse_groups(groups, "jackknife+ab")
    used = np.ones(len(y), bool) if sample_weight is None else sample_weight > 0.0
    seed = draw_seed(regressor.random_state)
    bags = _draw_bags(np.flatnonzero(used), regressor.n_resamples, seed)
    fitted = _fit_bags(regressor, X, y, sample_weight, bags, seed)
    outside = np.ones((len(y), len(bags)), bool)
    for b, bag in enumerate(bags):
        outside[bag, b] = False
    held_out = np.column_stack([predicted for _, predicted in fitted[1:]])
    outside, scores = out_of_bag_scores(y[used], outside[used], held_out[used], "mean")
    model, *models = (model for model, _ in fitted)
    return BaggedIntervals(model, models, outside, scores)


class BaggedIntervals:
    """The k-th smallest of each row's own average of models plus its residual.

    Parameters
    ----------
    model : fitted estimator, on all rows, for `predict`
    models : list of fitted estimator, one for each bag
    outside : ndarray of shape (n_calibration, n_bags), bool
    scores : ndarray of shape (n_calibration,)
    """

    counts = None

    def __init__(self, model, models, outside, scores):
        self.model = model
        self.models = models
        self.outside = outside
        self.scores = scores
        self.n_calibration = len(scores)

    @property
    def calibration(self):
        """Itself: `counts` of groups, which there are none of."""
        return self

    def predict(self, X):
        """Return the prediction of the model of all rows, (n_samples,)."""
        return point_predictions(self.model, X)

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        refuse_groups(groups, "jackknife+ab")
        columns = [_predict(model, X, "new rows") for model in self.models]
        predictions = np.column_stack(columns)
        return bag_bounds(self.outside, self.scores, predictions, levels, "mean")


def _draw_bags(rows, n_bags, seed):
    """Return bags of as many rows as there are, drawn with replacement."""
    n = len(rows)
    if n < 2:
        raise ValueError(
            f"Found n_samples = {n} of positive weight; method='jackknife+ab' needs at "
            "least 2, to hold one out."
        )
    rng = check_random_state(seed)
    return [rows[rng.randint(n, size=n)] for _ in range(n_bags)]


def _fit_bags(regressor, X, y, weight, bags, seed):
    """Return models and what they predict of all rows: of all rows, then of the bags.

    A bag's model has a seed of its own.
    """
    estimator = new_estimator(regressor, None)
    seeds = draw_seeds(seed, "bag", len(bags))
    arguments = weight_arguments(estimator, weight)
    named = [("all rows", None)]
    named += [(f"bag {b} of {len(bags)}", bag) for b, bag in enumerate(bags, 1)]
    tasks = [
        (with_seed(estimator, own), X, y, rows, arguments, where)
        for own, (where, rows) in zip(seeds, named, strict=True)
    ]
    return map_tasks(_fit_bag, tasks, regressor.n_jobs)


def _fit_bag(model, X, y, bag, arguments, where):
    """Fit on a bag, None for all rows; return the model and what it predicts."""
    model, _ = fit_member("estimator", model, X, y, bag, arguments, None, where)
    return model, _predict(model, X, where)


def _predict(model, X, where):
    block = predict_member("estimator", model, X, "predict", None, None, where)
    return block[:, 0].astype(np.float64)
