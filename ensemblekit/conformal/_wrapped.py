"""What estimators around one regressor share: checks, metadata, rows, tags."""

import numpy as np
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._members import weight_parameter
from .._routing import merge_member_tags
from .._sklearn import (
    _check_method_params,
    _check_y,
    _num_samples,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
    forget_fitted,
    process_routing,
    routing_enabled,
)
from ..exceptions import describe_rows


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
        X = check_input_features(self, X, reset=True)
        if self.n_features_in_ == 0:
            raise ValueError(
                f"Found 0 feature(s) (shape={np.shape(X)}) while a minimum of 1 is "
                f"required by {type(self).__name__}."
            )
        return X, self._check_targets(X, y)

    def _check_targets(self, X, y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        y = _check_y(y, y_numeric=True).astype(np.float64)
        check_consistent_length(X, y)
        return y

    def _check_new(self, X):
        """Check the rows of a fitted estimator."""
        check_is_fitted(self)
        return check_input_features(self, X, reset=False)

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
    bad = np.flatnonzero(~np.isfinite(predicted))
    if bad.size:
        raise ValueError(
            "The wrapped estimator predicts NaN or infinity "
            f"({describe_rows(bad)}); expected finite numbers."
        )
    return predicted


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
