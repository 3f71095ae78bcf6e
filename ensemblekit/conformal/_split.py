"""What the conformal classifier and the multi-output regressor share."""

from collections.abc import Callable
from typing import Any

from sklearn.utils import check_random_state

from .._routing import merge_member_tags
from .._sklearn import (
    check_sample_weight,
    forget_fitted,
)
from ..quantile_members._base import (
    check_columns,
    require_target,
)
from ._estimator import draw_seed


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
