"""What estimators around one regressor share: checks, metadata, rows, tags."""

import numpy as np
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from .._members import weight_parameter
from .._routing import merge_member_tags
from .._sklearn import (
    _check_method_params,
    _safe_indexing,
    check_sample_weight,
    forget_fitted,
    process_routing,
    routing_enabled,
)
from ..quantile_members._base import check_training


class WrapsRegressorMixin:
    """An estimator with a parameter `estimator` that hands X on as it is.

    Metadata of fit other than its own goes to the fit of the wrapped estimator, row by
    row. A weight is none of a calibration row's: repeated rows are not exchangeable.
    """

    n_features_in_: int

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        return merge_member_tags(tags, [("estimator", self._wrapped())])

    def get_metadata_routing(self):
        """Tell which metadata the wrapped estimator asks for.

        Returns
        -------
        router : sklearn.utils.metadata_routing.MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self._wrapped(), method_mapping=mapping)

    def _wrapped(self):
        return self.estimator  # type: ignore[attr-defined]  # a parameter

    def _begin(self, X, y):
        """Forget an earlier fit; check what this one is given."""
        forget_fitted(self)
        X, y, _ = check_training(self, X, y, None)
        return X, y

    def _fit_arguments(self, X, params):
        """Return the keywords of the wrapped estimator's fit, for all rows."""
        if routing_enabled() and params:
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


def count_held_out(size, n_samples):
    """Return how many rows to hold out; some are left to train on.

    size : int, a number of rows, or float, a share of them
    """
    count = size if isinstance(size, int) else int(np.ceil(size * n_samples))
    if not 1 <= count < n_samples:
        raise ValueError(
            f"calibration_size={size} of n_samples={n_samples} leaves "
            f"{n_samples - count} rows to train on and {count} to calibrate with; "
            "expected one of each at least. Give more rows."
        )
    return count
