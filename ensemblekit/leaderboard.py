"""Scores of members and combiners on rows they were not fitted on."""

import numpy as np
from sklearn.base import clone

from .losses import evaluate_loss

__all__ = ["cross_fitted_predictions", "score_folds"]


def score_folds(loss, y, prediction, folds, weight=None):
    """Score held-out predictions over all rows and on each fold.

    Parameters
    ----------
    loss : str
        A name of the table of losses; lower is better.
    y : ndarray of shape (n_samples,)
        Targets or class codes.
    prediction : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Rows with NaN were not predicted and are left out.
    folds : ndarray of shape (n_samples,), int
    weight : ndarray of shape (n_samples,), default=None

    Returns
    -------
    scores : dict
        ``scores`` (loss on each fold), ``loss`` (over all rows) and ``loss_se``
        (standard deviation of the folds' losses over the root of their number; NaN for
        one fold).
    """
    weight = np.ones(len(y)) if weight is None else weight
    usable = (weight > 0) & ~np.isnan(prediction.reshape(len(y), -1)).any(axis=1)

    def score(rows):
        return evaluate_loss(loss, y[rows], prediction[rows], weight[rows])

    scores = np.array([score(usable & (folds == f)) for f in np.unique(folds[usable])])
    spread = scores.std(ddof=1) if len(scores) > 1 else np.nan
    return {
        "scores": scores,
        "loss": score(usable),
        "loss_se": float(spread / np.sqrt(len(scores))),
    }


def cross_fitted_predictions(combiner, library):
    """Predict each fold's rows by the combiner fitted on the other folds' rows.

    Scoring a combiner on the rows it was fitted on is optimistic; this is not, but for
    one thing: the members that predicted the other folds had seen the scored rows.

    Parameters
    ----------
    combiner : estimator
        Unfitted; takes P of the library.
    library : PredictionLibrary
        With at least two folds.

    Returns
    -------
    prediction : ndarray of shape (n_samples,) or (n_samples, n_classes)
        NaN where the other folds lack a class of the library.

    Raises
    ------
    ValueError
        If the library has no folds.

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
    shape = library.n_samples if classes is None else (library.n_samples, len(classes))
    prediction = np.full(shape, np.nan)
    for fold in np.unique(library.folds):
        held_out = library.folds == fold
        if classes is None or len(np.unique(library.y[~held_out])) == len(classes):
            prediction[held_out] = _fit_predict(combiner, library, held_out)
    return prediction


def _fit_predict(combiner, library, held_out):
    fitted_on = ~held_out
    weights = {}
    if library.sample_weight is not None:
        weights = {"sample_weight": library.sample_weight[fitted_on]}
    model = clone(combiner).fit(library.P[fitted_on], library.y[fitted_on], **weights)
    if library.classes is None:
        return model.predict(library.P[held_out])
    return model.predict_proba(library.P[held_out])
