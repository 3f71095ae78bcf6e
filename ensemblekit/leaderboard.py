"""Scores of members and combiners on rows they were not fitted on."""

from copy import copy

import numpy as np
from scipy.special import stdtrit
from sklearn.base import clone

from ._members import combined_quantiles, weight_parameter
from .layout import class_probabilities
from .losses import evaluate_loss
from .metrics import pinball_loss

__all__ = ["cross_fitted_predictions", "is_beyond_chance", "score_folds"]

_ALPHA = 0.05


def is_beyond_chance(gain, error, n_folds):
    """Return whether a gain is more than chance gives.

    A one-sided t test at level 0.05. One standard error would be no bar: with five
    folds 19 % of the gains that are none pass it.

    Parameters
    ----------
    gain : float
    error : float
        Its standard error over the folds.
    n_folds : int
        Two or more, else nothing is.

    Returns
    -------
    beyond : bool
    """
    bar = stdtrit(n_folds - 1, 1.0 - _ALPHA) * error if n_folds > 1 else np.inf
    return bool(gain > bar)


def score_folds(loss, y, prediction, folds, weight=None, quantile_levels=None):
    """Score held-out predictions over all rows and on each fold.

    Parameters
    ----------
    loss : str
        A name of the table of losses; lower is better. Of quantiles ``"pinball"``: its
        mean over the levels.
    y : ndarray of shape (n_samples,)
        Targets or class codes.
    prediction : ndarray of shape (n_samples,), (n_samples, n_classes) or \
            (n_samples, n_levels)
        Rows with NaN were not predicted and are left out.
    folds : ndarray of shape (n_samples,), int
    weight : ndarray of shape (n_samples,), default=None
    quantile_levels : ndarray of shape (n_levels,), default=None
        Levels of quantile predictions.

    Returns
    -------
    scores : dict
        ``scores`` (loss on each fold), ``loss`` (over all rows) and ``loss_se``, its
        standard error over the folds: the root of ``k / (k - 1) * sum_f share_f**2 *
        (loss_f - loss)**2`` with each fold's share of the weight (for equal folds the
        standard deviation over the root of k; NaN for one fold). All None where no row
        was predicted.
    """
    weight = np.ones(len(y)) if weight is None else weight
    usable = (weight > 0) & ~np.isnan(prediction.reshape(len(y), -1)).any(axis=1)
    if not usable.any():
        return {"scores": None, "loss": None, "loss_se": None}

    def score(rows):
        truth, rated = y[rows], prediction[rows]
        if quantile_levels is not None:
            return pinball_loss(truth, rated, quantile_levels, weight[rows])
        return evaluate_loss(loss, truth, rated, weight[rows])

    held_out = [usable & (folds == fold) for fold in np.unique(folds[usable])]
    scores = np.array([score(rows) for rows in held_out])
    shares = np.array([weight[rows].sum() for rows in held_out]) / weight[usable].sum()
    whole, n_folds = score(usable), len(scores)
    squares = (shares**2 * (scores - whole) ** 2).sum()
    error = np.sqrt(squares * n_folds / (n_folds - 1)) if n_folds > 1 else np.nan
    return {"scores": scores, "loss": whole, "loss_se": float(error)}


def score_member(y, block, method, folds, weight, classes, levels):
    """Score a member's columns of P; those that are no probabilities have no loss.

    y : (n_samples,) targets or class codes
    block : (n_samples, n_columns), NaN in rows that are not held out
    method : str, what the member predicts with
    folds, weight, classes, levels : of the cross-fit
    Returns scores : dict, as `score_folds` returns it
    """
    if levels is not None:
        return score_folds("pinball", y, block, folds, weight, levels)
    if classes is None:
        return score_folds("squared_error", y, block[:, 0], folds, weight)
    if method == "predict_proba":
        probabilities = class_probabilities(block)
        return score_folds("log_loss", y, probabilities, folds, weight)
    return {"scores": None, "loss": None, "loss_se": None}


def cross_fitted_predictions(combiner, library, *, weighted=True):
    """Predict each fold's rows by the combiner fitted on the other folds' rows.

    Scoring a combiner on the rows it was fitted on is optimistic; this is not, but for
    one thing: the members that predicted the other folds had seen the scored rows.

    Parameters
    ----------
    combiner : estimator
        Unfitted; takes P of the library.
    library : PredictionLibrary
        With at least two folds.
    weighted : bool, default=True
        Hand the library's sample weights, where it has them, to the combiner's fit.

    Returns
    -------
    prediction : ndarray of shape (n_samples,), (n_samples, n_classes) or \
            (n_samples, n_levels)
        Quantiles of a library of quantiles, if the combiner predicts them. NaN where
        the other folds lack a class of the library.

    Raises
    ------
    ValueError
        If the library has no folds, or the combiner takes no sample weights.

    Examples
    --------
    >>> from ensemblekit import AverageRegressor, PredictionLibrary
    >>> library = PredictionLibrary.from_arrays(
    ...     {"a": [1.0, 2.0], "b": [3.0, 2.0]}, y=[1.0, 2.0], folds=[0, 1])
    >>> cross_fitted_predictions(AverageRegressor(), library)
    array([2., 2.])
    """
    if library.folds is None or len(np.unique(library.folds)) < 2:
        raise ValueError("The library has no folds; give it at least two.")
    classes = library.classes
    predict, shape = _prediction_of(combiner, library)
    prediction = np.full(shape, np.nan)
    for fold in np.unique(library.folds):
        held_out = library.folds == fold
        if classes is None or len(np.unique(library.y[~held_out])) == len(classes):
            model = _fit_rows(combiner, library, ~held_out, weighted)
            prediction[held_out] = predict(model, library.P[held_out])
    return prediction


def _prediction_of(combiner, library):
    """Return what a fitted combiner is asked for, and the shape for all rows."""
    n_rows, levels = library.n_samples, library.quantile_levels
    if library.classes is not None:
        shape = n_rows, len(library.classes)
        return lambda model, P: model.predict_proba(P), shape
    if levels is not None and hasattr(combiner, "predict_quantiles"):
        shape = n_rows, len(levels)
        return lambda model, P: combined_quantiles(model, P, levels), shape
    return lambda model, P: model.predict(P), n_rows


def _fit_rows(combiner, library, rows, weighted):
    params = {}
    if weighted and library.sample_weight is not None:
        name = weight_parameter("The combiner", combiner)
        params = {name: library.sample_weight[rows]}
    return clone(combiner).fit(library.P[rows], library.y[rows], **params)


def code_labels(library):
    """Return a library of class codes, which combiners of a stack know; else itself."""
    if library.classes is None:
        return library
    coded = copy(library)  # P is checked already
    coded.y = np.searchsorted(library.classes, library.y)
    coded.classes = np.arange(len(library.classes))
    return coded


def rank(library, combiner, weighted):
    """Score members and a combiner on the same held-out rows.

    Parameters
    ----------
    library : PredictionLibrary
        Of class codes, values or quantiles.
    combiner : estimator
    weighted : bool
        Whether the combiner is given sample weights.

    Returns
    -------
    rows : list of dict
        loss and loss_se of each member, and of the combiner as the last.
        Rows of folds without which a class is unknown to the combiner are left out of
        all scores, unless none would be left.
    """
    prediction = cross_fitted_predictions(combiner, library, weighted=weighted)
    blind = np.isnan(prediction.reshape(library.n_samples, -1)).any(axis=1)
    loss, as_scored = {
        "regression": ("squared_error", lambda block: block[:, 0]),
        "classification": ("log_loss", class_probabilities),
        "quantile": ("pinball", lambda block: block),
    }[library.task]
    entries = [as_scored(block) for block in library.cube]
    rows = []
    for values in [*entries, prediction]:
        values = values.astype(np.float64)
        if not blind.all():
            values[blind] = np.nan
        scores = score_folds(
            loss,
            library.y,
            values,
            library.folds,
            library.sample_weight,
            library.quantile_levels,
        )
        rows.append({key: scores[key] for key in ("loss", "loss_se")})
    return rows
