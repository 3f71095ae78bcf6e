"""What all combiners share: validation of P, and prediction from a mixture."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import kernels, layout
from .._sklearn import (
    Integral,
    _check_feature_names_in,
    check_input_features,
    check_sample_weight,
    forget_fitted,
)
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
        if hasattr(P, "dask"):
            return _by_chunk(self, self.predict, P)
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
        if hasattr(P, "dask"):
            return _by_chunk(self, self.predict_proba, P)
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
    forget_fitted(combiner)
    P, y = validate_rows(combiner, P, y, y_numeric=True)
    layout.check_finite(P, column_names(combiner))
    weight = check_sample_weight(sample_weight, P)
    return P, y.astype(np.float64, copy=False), weight


def validate_classification(combiner, P, y, sample_weight, *, values=True):
    """Check the arguments of a classification combiner's fit and set `classes_`.

    values : whether to check those of P; else the caller has to, while it reads them

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
    forget_fitted(combiner)
    P, y = validate_rows(combiner, P, y)
    check_classification_targets(y)
    weight = check_sample_weight(sample_weight, P)
    classes, codes = layout.encode_labels(y)
    layout.count_members(P, layout.n_outputs_for(len(classes)))
    if values:
        layout.check_probabilities(P, len(classes), column_names(combiner))
    combiner.classes_ = classes
    return P, codes, weight


def validate_rows(combiner, P, y, *, reset=True, **options):
    """Check shapes and types of P and y, but not that P is finite.

    A dask array stays one: it is read chunk by chunk, where it is used.

    Returns
    -------
    P : ndarray of float64 or float32, or dask array
    y : ndarray, finite
    """
    if hasattr(P, "dask"):
        P, y = _validate_lazy(combiner, P, y, reset)
    else:
        if y is not None:
            _check_targets(np.asarray(y))  # scikit-learn would not name the row
        P, y = validate_data(
            combiner,
            P,
            y,
            dtype=(np.float64, np.float32),
            ensure_all_finite=False,
            reset=reset,
            **options,
        )
    return P, y


def _check_lazy(combiner, P, reset):
    if not hasattr(P, "chunks"):
        raise TypeError(
            f"P is a dask {type(P).__name__}; expected a dask array. "
            "to_dask_array(lengths=True) makes one."
        )
    if P.ndim != 2 or P.dtype.kind not in "fiub" or np.isnan(P.shape).any():
        raise ValueError(
            f"P is a dask array of shape {P.shape} and type {P.dtype}; expected two "
            "dimensions of known size and real numbers. compute_chunk_sizes() finds "
            "unknown sizes."
        )
    check_input_features(combiner, P, reset=reset)


def _validate_lazy(combiner, P, y, reset):
    _check_lazy(combiner, P, reset)
    y = np.asarray(y)
    _check_targets(y)
    if len(y) != len(P):
        raise ValueError(f"P has {len(P)} rows and y has {len(y)}; expected as many.")
    return P, y


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


def check_all_finite(combiner, P):
    """Refuse NaN and infinity in P, chunk by chunk of a dask array."""
    for first, part in kernels.design.in_memory(P):
        layout.check_finite(part, column_names(combiner), first)


def check_all_probabilities(combiner, P, n_classes):
    """Refuse what is no probability, chunk by chunk of a dask array."""
    for first, part in kernels.design.in_memory(P):
        layout.check_probabilities(part, n_classes, column_names(combiner), first)


def residual_gram(P, targets, weight, n_outputs=1):
    """Return the mean Gram matrix of the residuals; refuse scales it cannot hold."""
    spread = np.repeat(weight, n_outputs)
    design = kernels.design.Design(P, np.ravel(targets), n_outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        gram = design.gram(spread) / weight.sum()
    check_gram(gram, design, spread)
    return gram


def check_gram(gram, design, weight):
    """Refuse residuals whose squares a Gram matrix cannot hold.

    Raises
    ------
    ValueError
        If squared residuals overflow, or vanish where residuals do not.
    """
    squares = gram.diagonal()[: design.n_members]
    check_squares(squares)
    if (squares < _SMALLEST_SQUARE).any():
        share = np.ones(design.n_rows) if weight is None else weight / weight.max()
        sizes = design.column_means(np.abs, share)
        if (sizes[squares < _SMALLEST_SQUARE] > 0.0).any():
            check_squares(np.inf)


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


def warn_if_open(combiner, gap, accepted):
    """Warn if the duality gap is above what is accepted.

    To be called from a function that fit calls: the warning points at the user's line.
    """
    if gap > accepted:
        warnings.warn(
            f"{type(combiner).__name__} stopped after {combiner.n_iter_} iterations "
            f"with duality gap {gap:.3g}, above {accepted:.3g}. The loss is at most "
            "that far from the optimum; raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=5,
        )


def row_folds(cv, y, weight, stratify):
    """Return (train, test) pairs with positive weight on both sides.

    An int means shuffled folds of a fixed seed: rows are often sorted by target.

    Raises
    ------
    ValueError
        If no split has weight on both sides.
    """
    if isinstance(cv, Integral):
        if len(y) < int(cv):
            raise ValueError(
                f"{cv} folds need {cv} rows at least; got n_samples={len(y)}. Ask for "
                "fewer folds."
            )
        largest = np.unique(y, return_counts=True)[1].max() if stratify else cv
        if largest < cv:
            raise ValueError(
                f"{cv} folds need a class of {cv} rows at least; the largest has "
                f"{largest}. Ask for fewer folds, or give splits."
            )
        splitter = StratifiedKFold if stratify else KFold
        cv = splitter(n_splits=cv, shuffle=True, random_state=0)
    splits = check_cv(cv, y, classifier=stratify).split(np.empty((len(y), 1)), y)
    rows = np.arange(len(y))  # a part may be given as positions or as a mask
    indices = [(rows[train], rows[test]) for train, test in splits]
    if weight is not None:
        indices = [(a, b) for a, b in indices if weight[a].any() and weight[b].any()]
    if not indices:
        raise ValueError("cv leaves no split with positive weights on both sides.")
    return indices


def own_weights(model, n_members):
    """Return a fitted combiner's weights of the members, or None.

    Only those of combiners of ours: another's may mean something else.
    """
    weights = np.asarray(getattr(model, "weights_", []))
    ours = isinstance(model, (ClassificationCombinerMixin, RegressionCombinerMixin))
    return weights if ours and weights.shape == (n_members,) else None


def bearable_folds(cv, y, weight, stratify):
    """Return `row_folds`, an int `cv` lowered to what the rows bear.

    That is the number of rows or, where `stratify`, of rows of the largest class. Of
    fewer than two no row can be held out: [].
    """
    if isinstance(cv, Integral):
        bears = np.unique(y, return_counts=True)[1].max() if stratify else len(y)
        if bears < 2 or (weight is not None and np.count_nonzero(weight) < 2):
            return []
        cv = min(int(cv), int(bears))
    return row_folds(cv, y, weight, stratify)


def mix_probabilities(combiner, P):
    """Return the members' probabilities mixed by ``combiner.weights_``."""
    n_outputs = layout.n_outputs_for(len(combiner.classes_))
    return layout.class_probabilities(
        layout.weighted_mean(P, combiner.weights_, n_outputs)
    )


def mix_values(combiner, P):
    """Return the members' values mixed by ``combiner.weights_``."""
    return layout.weighted_mean(P, combiner.weights_, 1)[:, 0]


def _by_chunk(combiner, predict, P):
    """Predict a dask array chunk by chunk."""
    check_is_fitted(combiner)
    _check_lazy(combiner, P, reset=False)
    predictions = []
    for first, part in kernels.design.in_memory(P):
        layout.check_finite(part, column_names(combiner), first)
        predictions.append(predict(part))
    return np.concatenate(predictions)


def _check_targets(y):
    if y.ndim and y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y).reshape(len(y), -1).all(axis=1)))
        raise ValueError(
            f"y is NaN or infinity at row {row}; every row needs a target."
        )
