"""Does the ensemble keep its word? Held-out predictions against what came true."""

import numpy as np
from scipy import stats

from ._scores import as_scored

_BINS = 10
_LEVEL = 0.95


def calibrate(judged, subject, prediction):
    """Return the section on calibration, or None where no row was predicted.

    Parameters
    ----------
    judged : Judged
    subject : str
        Whose predictions these are.
    prediction : ndarray
        As the loss takes them; rows of NaN are left out.
    """
    library = judged.library
    seen = ~np.isnan(prediction.reshape(len(prediction), -1)).any(axis=1)
    if not seen.any():
        return None
    y, prediction = library.y[seen], prediction[seen]
    section = {"subject": subject, "n_rows": int(seen.sum()), "level": _LEVEL}
    if library.task == "quantile":
        points = _coverage(y, prediction, library.quantile_levels)
        return {"kind": "coverage", **section, "points": points}
    if library.task == "regression":
        return {"kind": "bias", **section, "points": _bias(y, prediction)}
    if prediction.shape[1] == 2:
        points = _reliability(prediction[:, 1], y == 1)
        return {"kind": "reliability", **section, "points": points}
    right = prediction.argmax(axis=1) == y
    points = _reliability(prediction.max(axis=1), right)
    return {"kind": "confidence", **section, "points": points}


def chosen_prediction(judged, name):
    """Return the held-out predictions of the ensemble, or of the named member."""
    if name is None:
        return judged.prediction
    library = judged.library
    block = library.cube[library.names.index(name)].astype(np.float64)
    return as_scored(library, block)


def _reliability(said, happened):
    """Compare probabilities, in bins of equal counts, with shares and exact bands."""
    return [
        {"predicted": said[rows].mean(), **_share(happened[rows])}
        for rows in _bins(said)
    ]


def _coverage(y, quantiles, levels):
    return [
        {"predicted": level, **_share(y <= quantiles[:, column])}
        for column, level in enumerate(levels)
    ]


def _share(happened):
    """Return a share with its exact (Clopper-Pearson) binomial interval."""
    test = stats.binomtest(int(happened.sum()), len(happened))
    low, high = test.proportion_ci(_LEVEL, method="exact")
    return {
        "observed": happened.mean(),
        "low": low,
        "high": high,
        "n_rows": len(happened),
    }


def _bias(y, prediction):
    """Return means of target less prediction by size of prediction, with t bands."""
    return [
        {"predicted": prediction[rows].mean(), **_mean(y[rows] - prediction[rows])}
        for rows in _bins(prediction)
    ]


def _mean(errors):
    mean, n_rows = errors.mean(), len(errors)
    reach = np.nan
    if n_rows > 1:
        quantile = stats.t.ppf((1.0 + _LEVEL) / 2.0, n_rows - 1)
        reach = quantile * errors.std(ddof=1) / np.sqrt(n_rows)
    return {
        "observed": mean,
        "low": mean - reach,
        "high": mean + reach,
        "n_rows": n_rows,
    }


def _bins(values):
    """Yield rows in bins of about equal counts; equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, values, side="left")
    for code in np.unique(codes):
        yield np.flatnonzero(codes == code)
