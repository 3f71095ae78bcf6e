"""What the conformal classifier and the multi-output regressor share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._routing import merge_member_tags
from .._sklearn import (
    Integral,
    _safe_indexing,
    check_sample_weight,
    forget_fitted,
)
from ..quantile_members._base import (
    check_columns,
    require_target,
    weight_arguments,
)
from ._estimator import draw_seed
from ._held_out import checked_split


class SplitConformalMixin:
    """An estimator that trains a model on some rows and calibrates it on the others.

    The estimator has `_wrapped()`, an unfitted model; X is handed on as it is.
    """

    n_features_in_: int
    _wrapped: Callable[[], Any]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        tags.target_tags.required = True
        return merge_member_tags(tags, [("estimator", self._wrapped())])

    def _begin(self, X, y, sample_weight):
        """Forget an earlier fit; check X, the weights, and that there is a y."""
        forget_fitted(self)
        X = check_columns(self, X)
        require_target(self, y)
        weight = sample_weight
        return X, None if weight is None else check_sample_weight(weight, X)


def start_random(random_state):
    """Return a generator, and a seed for what must repeat; None if nothing must."""
    rng = check_random_state(random_state)
    return rng, None if random_state is None else draw_seed(rng)


def fit_rows(estimator, X, y, rows, weight):
    """Fit an estimator on some rows, with their weights if there are any."""
    keywords = weight_arguments(estimator, None if weight is None else weight[rows])
    return estimator.fit(_safe_indexing(X, rows), y[rows], **keywords)


def calibration_split(cv, y, cells, size, weight, rng):
    """Return the rows that train and those that calibrate.

    The first split of `cv`, a splitter, or else a random one, see `hold_out`. Rows of
    weight 0 do not calibrate: they are as if they were not there.
    """
    if cv is None:
        rows = np.arange(len(y)) if weight is None else np.flatnonzero(weight > 0.0)
        train, held = (rows[part] for part in hold_out(cells[rows], size, rng))
    else:
        train, held = next(iter(cv.split(np.zeros((len(y), 1)), y)))
    return checked_split(train, held, weight)


def hold_out(cells, size, rng):
    """Split rows at random, each cell in the same proportion up to one row.

    cells : (n,) int, what has a threshold of its own; one value: a plain random split
    size : int, a number of rows, or float in (0, 1), a share of them
    rng : RandomState
    Returns train, held_out : ascending row numbers, both not empty.
    """
    n = len(cells)
    count = int(size) if isinstance(size, Integral) else max(1, round(size * n))
    if not 1 <= count < n:
        raise ValueError(
            f"calibration_size={size} leaves no row to train on: n_samples={n}. "
            "Give more rows or a smaller size."
        )
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(cells[shuffled], kind="stable")]
    # Every n / count-th row along the cells, in exact integers.
    steps = np.arange(n + 1) * count // n
    chosen = np.diff(steps) > 0
    return np.sort(order[~chosen]), np.sort(order[chosen])
