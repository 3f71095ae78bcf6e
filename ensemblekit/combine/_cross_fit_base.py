"""Held-out predictions of a combiner over row folds of P; no member is refitted."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

__all__ = ["cross_fitted_mixtures", "fit_combiner", "fold_mixtures"]


def cross_fitted_mixtures(combiner, P, y, weight, splits, task):
    """Predict each fold's rows by the combiner fitted on the fold's training rows.

    Parameters
    ----------
    combiner : estimator
        Unfitted; cloned for each fold.
    P : ndarray of shape (n_samples, n_columns)
    y : ndarray of shape (n_samples,)
        Targets or labels.
    weight : ndarray of shape (n_samples,) or None
        Handed to the combiner's fit, unless None.
    splits : list of (train, test)
        Row numbers; they need not partition the rows.
    task : {"regression", "classification"}

    Returns
    -------
    mixtures : ndarray of shape (n_samples,) or (n_samples, n_classes), float64
        A row held out several times has the mean, a row held out never has NaN. Folds
        whose training rows lack a class are left out.

    Raises
    ------
    ValueError
        If no fold is left, or weights are given to a combiner that takes none.
    """
    shape = _shape(y, task)
    total, times = np.zeros(shape), np.zeros(len(y))
    for _, test, mixture in fold_mixtures(combiner, P, y, weight, splits, task):
        np.add.at(total, test, mixture)
        np.add.at(times, test, 1.0)
    times[times == 0.0] = np.nan
    return total / times.reshape(-1, *[1] * (len(shape) - 1))


def fold_mixtures(combiner, P, y, weight, splits, task):
    """Return (number of the split, test rows, held-out predictions) fold by fold.

    Parameters, and what is raised: see `cross_fitted_mixtures`. Of a repeated splitter
    each repeat is kept apart, so that every fold can be scored by itself.
    """
    needed = _labels_needed(y, weight, task)
    found = []
    for k, (train, test) in enumerate(splits):
        if needed is None or _trains_on_all(y, weight, train, needed):
            model = fit_combiner(combiner, P, y, weight, train)
            method = model.predict if needed is None else model.predict_proba
            found.append((k, test, np.asarray(method(P[test]), dtype=np.float64)))
    if not found:
        raise ValueError(
            f"cv has no fold whose training rows hold all {len(needed[0])} classes. "
            "Use stratified folds, or fewer."
        )
    return found


def fit_combiner(combiner, P, y, weight, rows):
    """Return a clone of the combiner, fitted on some rows.

    weight : (n_samples,), or None to pass none

    Raises
    ------
    ValueError
        If weights are given to a combiner that takes none.
    """
    if weight is None:
        return clone(combiner).fit(P[rows], y[rows])
    if not has_fit_parameter(combiner, "sample_weight"):
        raise ValueError(
            f"sample_weight is given, but {type(combiner).__name__}.fit takes none. "
            "Use a combiner whose fit does, or fit without weights."
        )
    return clone(combiner).fit(P[rows], y[rows], sample_weight=weight[rows])


def _shape(y, task):
    if task == "regression":
        return (len(y),)
    return len(y), len(np.unique(y))


def _labels_needed(y, weight, task):
    """Labels that a fold must train on: all, and those of positive weight with it."""
    if task == "regression":
        return None
    return np.unique(y), np.unique(y if weight is None else y[weight > 0])


def _trains_on_all(y, weight, train, needed):
    own = y[train]
    heavy = own if weight is None else own[weight[train] > 0]
    return np.isin(needed[0], own).all() and np.isin(needed[1], heavy).all()
