"""What the conformal classifier and the multi-output regressor share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from .._members import weight_parameter
from .._routing import merge_member_tags
from .._sklearn import (
    Integral,
    _check_method_params,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
    forget_fitted,
    process_routing,
    routing_enabled,
)


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

    def get_metadata_routing(self):
        """Return the router: metadata of fit goes to the fit of the wrapped model."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self._wrapped(), method_mapping=mapping)

    def _begin(self, X, y):
        """Forget an earlier fit; check X, and that there is a y."""
        forget_fitted(self)
        X = check_input_features(self, X, reset=True)
        if self.n_features_in_ == 0:
            raise ValueError(
                f"Found 0 feature(s) (shape={np.shape(X)}) while a minimum of 1 is "
                f"required by {type(self).__name__}."
            )
        self._require_targets(y)
        return X

    def _require_targets(self, y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )

    def _check_new(self, X):
        check_is_fitted(self, "estimator_")
        return check_input_features(self, X, reset=False)

    def _fit_arguments(self, X, params):
        """Return the keywords of the wrapped model's fit, for all rows."""
        if routing_enabled():
            return dict(process_routing(self, "fit", **params).estimator.fit)
        params = dict(params)
        weight = params.pop("sample_weight", None)
        if weight is not None:
            name = weight_parameter("The wrapped estimator", self._wrapped())
            params[name] = check_sample_weight(weight, X)
        return params


def fit_rows(model, X, y, rows, params):
    """Fit a model on some rows, with the metadata of these rows."""
    params = _check_method_params(X, params, indices=rows)
    return model.fit(_safe_indexing(X, rows), y[rows], **params)


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
