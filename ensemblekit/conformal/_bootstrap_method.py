"""Jackknife+-after-bootstrap: residuals around the bags that a row is not in."""

import numpy as np
from sklearn.utils import check_random_state

from .._folds import draw_seeds, run_tasks
from .._members import fit_member, predict_member, with_seed
from ..quantile_members._base import weight_arguments
from ._cross_base import refuse_groups
from ._estimator import draw_seed, new_estimator
from .bootstrap import bag_bounds, out_of_bag_scores


def fit_bootstrap(regressor, X, y, sample_weight=None, groups=None):
    """Fit a model on each of several bags of rows.

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
    seed = draw_seed(regressor.random_state)
    estimator = new_estimator(regressor, None)
    n_bags = regressor.n_resamples
    rows = np.arange(len(y)) if sample_weight is None else np.flatnonzero(sample_weight)
    rng = check_random_state(seed)
    bags = [rows[rng.randint(len(rows), size=len(rows))] for _ in range(n_bags)]
    seeds = draw_seeds(seed, 1, n_bags)[0]
    arguments = weight_arguments(estimator, sample_weight)
    tasks = [
        (with_seed(estimator, seeds[b]), X, y, bags[b], arguments, _place(b, n_bags))
        for b in range(n_bags)
    ]
    fitted = run_tasks(_fit_bag, tasks, regressor.n_jobs, 0)
    outside = np.ones((len(y), n_bags), bool)
    for b, bag in enumerate(bags):
        outside[bag, b] = False
    held_out = np.column_stack([predicted for _, predicted in fitted])
    outside, scores = out_of_bag_scores(y[rows], outside[rows], held_out[rows], "mean")
    return BaggedIntervals([model for model, _ in fitted], outside, scores)


class BaggedIntervals:
    """The k-th smallest of each row's own average of models plus its residual.

    Parameters
    ----------
    models : list of fitted estimator, one for each bag
    outside : ndarray of shape (n_calibration, n_bags), bool
    scores : ndarray of shape (n_calibration,)
    """

    counts = None

    def __init__(self, models, outside, scores):
        self.models = models
        self.outside = outside
        self.scores = scores
        self.n_calibration = len(scores)

    @property
    def calibration(self):
        """Itself: `counts` of groups, which there are none of."""
        return self

    def predict(self, X):
        """Return the mean prediction of all bags' models, (n_samples,)."""
        return self._predictions(X).mean(axis=1)

    def intervals(self, X, levels, groups=None):
        """Return intervals of miscoverage `levels`, (n_samples, 2, n_levels)."""
        refuse_groups(groups, "jackknife+ab")
        predictions = self._predictions(X)
        return bag_bounds(self.outside, self.scores, predictions, levels, "mean")

    def _predictions(self, X):
        columns = [_predict(model, X, "new rows") for model in self.models]
        return np.column_stack(columns)


def _place(bag, n_bags):
    return f"bag {bag + 1} of {n_bags}"


def _fit_bag(model, X, y, bag, arguments, where):
    """Fit on a bag; return the model and its predictions of all rows."""
    model, _ = fit_member("estimator", model, X, y, bag, arguments, None, where)
    return model, _predict(model, X, where)


def _predict(model, X, where):
    block = predict_member("estimator", model, X, "predict", None, None, where)
    return block[:, 0].astype(np.float64)
