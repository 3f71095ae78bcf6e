"""What all combiners share: validation of P, and prediction from a mixture."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import kernels, layout
from .._sklearn import _check_feature_names_in, check_sample_weight, forget_fitted
from ..exceptions import ConvergenceWarning

# Below it, a mean square has lost digits, or all of them.
_SMALLEST_SQUARE = 1e-300


class RegressionCombinerMixin:
    """Prediction of a combiner whose members predict values.

    The combiner defines ``_combine(P)`` -> (n_samples,).
    """

    _combine: Callable[[NDArray], NDArray]

    def predict(self, P):
        """Combine the members' predictions.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Predictions of the members seen in `fit`, in the same order.

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64
        """
        return self._combine(validate_new(self, P))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        # Raw features are no predictions: no good score is to be expected of them.
        tags.regressor_tags.poor_score = True
        return tags


class ClassificationCombinerMixin:
    """Prediction of a combiner whose members predict probabilities.

    The combiner defines ``_combine(P)`` -> (n_samples, n_classes).
    """

    classes_: NDArray
    _combine: Callable[[NDArray], NDArray]

    def predict_proba(self, P):
        """Combine the members' probabilities.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Probabilities of the members seen in `fit`, in the same order.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        P = validate_new(self, P)
        layout.check_probabilities(P, len(self.classes_), column_names(self))
        return self._combine(P)

    def predict(self, P):
        """Return the most probable class; ties go to the first in `classes_`.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
        """
        most_probable = self.predict_proba(P).argmax(axis=1)
        return self.classes_[most_probable]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        tags.classifier_tags.poor_score = True
        return tags


def validate_regression(combiner, P, y, sample_weight):
    """Check the arguments of a regression combiner's fit.

    Returns
    -------
    P : ndarray of shape (n_samples, n_members), float64 or float32
    y : ndarray of shape (n_samples,), float64
    weight : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If P or y is NaN or infinite (names column and row), lengths differ, or weights
        are unfit.
    """
    P, y = _validate_fit(combiner, P, y, y_numeric=True)
    weight = check_sample_weight(sample_weight, P)
    return P, y.astype(np.float64, copy=False), weight


def validate_classification(combiner, P, y, sample_weight):
    """Check the arguments of a classification combiner's fit and set `classes_`.

    Returns
    -------
    P : ndarray of shape (n_samples, n_members * n_outputs), float64 or float32
    codes : ndarray of shape (n_samples,), int64
        Positions of the labels in `classes_`.
    weight : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, or weights are unfit.
    """
    P, y = _validate_fit(combiner, P, y)
    check_classification_targets(y)
    weight = check_sample_weight(sample_weight, P)
    classes, codes = layout.encode_labels(y)
    layout.count_members(P, layout.n_outputs_for(len(classes)))
    layout.check_probabilities(P, len(classes), column_names(combiner))
    combiner.classes_ = classes
    return P, codes, weight


def validate_new(combiner, P):
    """Check the predictions of new rows.

    Returns
    -------
    P : ndarray of the columns seen in fit, float64 or float32

    Raises
    ------
    ValueError
        If P is NaN or infinite (names column and row) or has other columns.
    """
    check_is_fitted(combiner)
    P = validate_data(
        combiner,
        P,
        dtype=(np.float64, np.float32),
        ensure_all_finite=False,
        reset=False,
    )
    layout.check_finite(P, column_names(combiner))
    return P


def column_names(combiner):
    """Return the names of P's columns as seen in fit, or x0, x1, .. of arrays."""
    return _check_feature_names_in(combiner, generate_names=True)


def residual_gram(P, targets, weight, n_outputs=1):
    """Return the Gram matrix of the residuals; refuse scales that it cannot hold.

    Raises
    ------
    ValueError
        If squared residuals overflow, or vanish where residuals do not.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gram = kernels.gram.residual_gram(P, targets, weight, n_outputs)
    squares = gram.diagonal()
    check_squares(squares)
    for member in np.flatnonzero(squares < _SMALLEST_SQUARE):
        block = P[:, member * n_outputs : (member + 1) * n_outputs]
        if (block != targets)[weight > 0].any():
            check_squares(np.inf)
    return gram


def check_squares(squares):
    """Refuse sums of squares that overflowed.

    Raises
    ------
    ValueError
        If any is NaN or infinite.
    """
    if not np.isfinite(squares).all():
        raise ValueError(
            "P - y is too large or too small to be squared in double precision: its "
            "scale is beyond 1e-150 .. 1e150. Divide P and y by their scale."
        )


def warn_if_open(combiner, accepted):
    """Warn if the duality gap is above what is accepted.

    To be called from a function that fit calls: the warning points at the user's line.
    """
    if combiner.duality_gap_ > accepted:
        warnings.warn(
            f"{type(combiner).__name__} stopped after {combiner.n_iter_} iterations "
            f"with duality gap {combiner.duality_gap_:.3g}, above {accepted:.3g}. The "
            "loss is at most that far from the optimum; raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=5,
        )


def mix_probabilities(combiner, P):
    """Return the members' probabilities mixed by ``combiner.weights_``."""
    n_outputs = layout.n_outputs_for(len(combiner.classes_))
    return layout.class_probabilities(
        layout.weighted_mean(P, combiner.weights_, n_outputs)
    )


def mix_values(combiner, P):
    """Return the members' values mixed by ``combiner.weights_``."""
    return layout.weighted_mean(P, combiner.weights_, 1)[:, 0]


def _validate_fit(combiner, P, y, **options):
    forget_fitted(combiner)
    P, y = validate_data(
        combiner,
        P,
        y,
        dtype=(np.float64, np.float32),
        ensure_all_finite=False,
        **options,
    )
    _check_targets(y)
    layout.check_finite(P, column_names(combiner))
    return P, y


def _check_targets(y):
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y)))
        raise ValueError(
            f"y is NaN or infinity at row {row}; every row needs a target."
        )
