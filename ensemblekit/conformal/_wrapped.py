"""What estimators around one regressor share: checks, metadata, rows, tags."""

from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from .._routing import fit_arguments, merge_member_tags
from .._sklearn import forget_fitted
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
        """Return the keywords of the wrapped fit, for all rows, and their weights."""
        return fit_arguments(self, self._wrapped(), X, params)
