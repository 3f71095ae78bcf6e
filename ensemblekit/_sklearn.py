"""The only place for private or version-dependent scikit-learn imports."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_adapter_from_container
from sklearn.utils.metadata_routing import _routing_enabled as routing_enabled
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_feature_names,
    _check_feature_names_in,
    _check_method_params,
    _check_n_features,
    _check_response_method,
    _check_sample_weight,
    _check_y,
    _num_samples,
    check_is_fitted,
)

from .exceptions import naming

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # before 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before 1.9 there are no callbacks to call

    class _NoCallbacks:
        """A node of the tree of tasks that nobody listens to."""

        def subcontext(self, *args, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """What scikit-learn 1.9 gives an estimator that tells of its tasks."""

        def _init_callback_context(self, *args, **kwargs):
            return _NoCallbacks()


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Integral",
    "Interval",
    "NamedPartsMixin",
    "Parallel",
    "Real",
    "StrOptions",
    "VisualBlock",
    "_check_feature_names_in",
    "_check_method_params",
    "_check_response_method",
    "_check_y",
    "_fit_context",
    "_num_samples",
    "_safe_indexing",
    "check_input_features",
    "check_parameters",
    "check_sample_weight",
    "delayed",
    "forget_fitted",
    "hstack_containers",
    "process_routing",
    "require_fitted",
    "routing_enabled",
    "take_rows",
]


def check_parameters(estimator):
    """Refuse values of parameters that `fit` would refuse, where the class says so.

    Raises
    ------
    ValueError
        If one is of another type or out of range.
    """
    if hasattr(estimator, "_parameter_constraints"):
        estimator._validate_params()


class NamedPartsMixin(_BaseComposition):
    """Parameters of an estimator that holds a list of named others."""

    _parts = "estimators"  # the parameter that holds them

    def get_params(self, deep=True):
        """Return parameters, with ``deep`` also those of the named estimators.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the named estimators and their parameters.

        Returns
        -------
        params : dict of str to object
        """
        return self._get_params(self._parts, deep=deep)

    def set_params(self, **params):
        """Set parameters, named estimators by name, theirs by ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Values by the names that `get_params` gives.

        Returns
        -------
        self : object
        """
        return self._set_params(self._parts, **params)


def check_input_features(estimator, X, *, reset):
    """Record, or compare, the number and the names of X's columns.

    Returns
    -------
    X : indexable, otherwise as it was
        Frames stay frames, with their missing values and categories.

    Raises
    ------
    ValueError
        If X is not two-dimensional, has no rows, or differs from that of fit.
    """
    _check_container(X)
    (X,) = indexable(X)
    if getattr(X, "ndim", 2) != 2:
        raise ValueError(
            f"X has {X.ndim} dimensions; expected 2: rows, features. Reshape your data "
            "with X.reshape(-1, 1) for one feature or X.reshape(1, -1) for one row."
        )
    if _num_samples(X) == 0:
        raise ValueError(
            f"X has 0 rows; {type(estimator).__name__} needs at least one."
        )
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    return X


def _check_container(X):
    """Refuse what has no rows: scalars, texts, mappings, generators, lazy frames."""
    sized = any(hasattr(X, name) for name in ("__len__", "shape", "__array__"))
    if (
        not sized
        or (isinstance(X, (str, bytes, dict)) and not sparse.issparse(X))
        or getattr(X, "shape", (1,)) == ()
    ):
        raise TypeError(
            f"X is of type {type(X).__name__}; expected an array, a sparse matrix, a "
            "data frame or a list of rows."
        )


def take_rows(X, rows):
    """Return a copy of some rows; of plain arrays without asking what else X may be.

    For small folds that question takes longer than the copy.
    """
    return X[rows] if type(X) is np.ndarray else _safe_indexing(X, rows)


def require_fitted(estimator):
    """Refuse an estimator that is not fitted; its tags are asked only then.

    Those of an ensemble are asked of all members, which takes longer than small
    predictions do.
    """
    if not estimator.__sklearn_is_fitted__():
        check_is_fitted(estimator)


def forget_fitted(estimator):
    """Delete the attributes that an earlier fit left behind."""
    for name in [n for n in vars(estimator) if n[-1] == "_" and n[:2] != "__"]:
        delattr(estimator, name)


def check_sample_weight(sample_weight, X):
    """Return float64 weights, all ones for None; refuse NaN, negative and all zero.

    Raises
    ------
    ValueError
        If weights are negative, NaN or infinite, of another length, all zero, or too
        large or too small to be added up.
    """
    with naming("sample_weight"):
        weight = _check_sample_weight(
            sample_weight, X, dtype=float, ensure_non_negative=True
        )
    if not weight.any():
        raise ValueError("sample_weight is zero in every row; expected a positive one.")
    if not 1e-290 < weight.max() < 1e290:
        raise ValueError(
            f"sample_weight is at most {weight.max():.3g}; expected a scale between "
            "1e-290 and 1e290. Divide the weights by their mean."
        )
    return weight


def hstack_containers(left, names, right):
    """Put columns before those of `right`, in the container type of `right`."""
    adapter = _get_adapter_from_container(right)
    left = adapter.create_container(left, right, columns=names, inplace=False)
    return adapter.hstack([left, right])
