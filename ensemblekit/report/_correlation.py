"""How alike members err: correlations of their errors, ordered by cluster."""

import numpy as np

from ..layout import class_probabilities
from ..selective import residual_correlation
from ..selective._clusters import cluster

SHOWN = 40  # members in the matrix
_ROWS = 20_000  # drawn at random of more,
_VALUES = 20_000_000  # and fewer where P would not be small: 160 MB
_PAIRS = 10
DUPLICATE = 0.9999


def correlate(library, order, random_state=0):
    """Return the section on error correlation, or None for fewer than two members.

    Parameters
    ----------
    library : PredictionLibrary
        Of class codes, values or quantiles.
    order : list of int
        Members, those of most interest first; the matrix shows the first 40.
    random_state : int
        Draws 20000 rows, or as many as hold 2e7 predictions, out of more.
    """
    if library.n_members < 2:
        return None
    rows = _draw_rows(library, random_state)
    full = _error_correlation(library, rows)
    shown = np.sort(order[:SHOWN])
    shown = shown[cluster(full[np.ix_(shown, shown)])]
    names = library.names
    return {
        "of": _ERRORS[library.task],
        "n_rows": len(rows),
        "mean": _mean_of_pairs(full),
        "members": [names[member] for member in shown],
        "n_left_out": library.n_members - len(shown),
        "matrix": full[np.ix_(shown, shown)].round(4),
        "most_alike": _most_alike(full, names),
    }


_ERRORS = {
    "regression": "prediction less target",
    "classification": "probability of each class less 1 for the true one",
    "quantile": "quantile nearest to the median less target",
}


def _draw_rows(library, random_state):
    n_rows, most = library.n_samples, max(1000, _VALUES // library.P.shape[1])
    most = min(most, _ROWS)
    if n_rows <= most:
        return np.arange(n_rows)
    drawn = np.random.default_rng(random_state).choice(n_rows, most, replace=False)
    return np.sort(drawn)


def _error_correlation(library, rows):
    cube, y = library.cube[:, rows], library.y[rows]
    weight = library.sample_weight
    weight = None if weight is None else np.asarray(weight, float)[rows]
    if weight is not None and not weight.any():
        weight = None
    if library.task == "regression":
        return residual_correlation(cube[:, :, 0].T, y, weight)
    if library.task == "quantile":
        middle = int(np.argmin(np.abs(library.quantile_levels - 0.5)))
        return residual_correlation(cube[:, :, middle].T, y, weight)
    truth = np.eye(len(library.classes))[y]
    if len(library.classes) == 2:  # the other class errs by the same
        return residual_correlation(cube[:, :, 0].T, truth[:, 1], weight)
    columns = np.column_stack([class_probabilities(block).ravel() for block in cube])
    if weight is not None:
        weight = np.repeat(weight, truth.shape[1])
    return residual_correlation(columns, truth.ravel(), weight)


def _mean_of_pairs(matrix):
    values = matrix[np.triu_indices(len(matrix), 1)]
    known = values[~np.isnan(values)]
    return known.mean() if known.size else None


def _most_alike(matrix, names):
    """Return the ten pairs of highest correlation."""
    first, second = np.triu_indices(len(matrix), 1)
    values = np.nan_to_num(matrix[first, second], nan=-2.0)
    best = np.argsort(-values, kind="stable")[:_PAIRS]
    return [
        {
            "first": names[first[pair]],
            "second": names[second[pair]],
            "correlation": values[pair],
        }
        for pair in best
        if values[pair] > -2.0
    ]
