"""What methods share that train on some rows and calibrate on others."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._members import is_frozen
from .._rows import calibration_rows
from .._sklearn import _num_samples, _safe_indexing
from ._estimator import point_predictions
from ._groups import check_groups
from ._scores import Calibration
from .shift import check_ratio


class HeldOut:
    """A fitted model and the rows that calibrate it.

    Parameters
    ----------
    model : fitted estimator
    likelihood_ratio : callable, X -> (n_samples,), or None
    """

    calibration: Calibration
    _learn: Callable[[Any, NDArray], None]  # the scores of rows, by each method

    def __init__(self, model, likelihood_ratio=None):
        self.model = model
        self.likelihood_ratio = likelihood_ratio

    @property
    def n_calibration(self):
        """Number of rows that calibrate."""
        return self.calibration.n_rows

    def calibrate(self, X, y, groups):
        """Rank the scores of these rows in the place of any others."""
        new = copy(self)  # where something is refused, what was learned stays
        new.calibration = Calibration(len(y), groups, new._ratio(X))
        new._learn(X, y)
        return new

    def predict(self, X):
        """Return the model's own prediction, (n_samples,)."""
        return point_predictions(self.model, X)

    def _test_rows(self, X, alpha, groups):
        """Return groups and weights of test rows; warn if one has no finite bound."""
        codes = self.calibration.groups.codes(groups, _num_samples(X))
        own = self._ratio(X)
        self.calibration.warn(alpha, codes, own)
        return codes, own

    def _ratio(self, X):
        if self.likelihood_ratio is None:
            return None
        rows = X if hasattr(X, "shape") else np.asarray(X)  # lists have no columns
        ratio = self.likelihood_ratio(rows)
        return check_ratio(ratio, _num_samples(X), "likelihood_ratio")


def empty_bounds(n_rows, n_levels):
    """Return an empty (n_rows, 2, n_levels) array whose columns are contiguous."""
    return np.empty((n_levels, 2, n_rows)).T


def split_rows(regressor, X, y, weight, groups, seed):
    """Return the rows that train and those that calibrate."""
    return calibration_rows(
        X,
        y,
        regressor.calibration_size,
        regressor.cv,
        random_state=seed,
        weight=weight,
        groups=groups,
        trained=is_frozen(regressor.estimator)
        and not _is_trainable(regressor.normalizer),
    )


def _is_trainable(normalizer):
    return hasattr(normalizer, "fit") and not is_frozen(normalizer)


def calibrate_part(method, X, y, groups, rows):
    """Calibrate a method on some of the rows."""
    groups = check_groups(groups, len(y))
    part = None if groups is None else groups[rows]
    return method.calibrate(_safe_indexing(X, rows), y[rows], part)
