"""Which rows train and which calibrate: the same rules for every estimator.

- Rows of weight 0 are as if they were not there: they neither train nor calibrate.
- A size is a number of rows, or a share of them that is rounded up.
- An int `cv` draws one part in so many, at random. Of any other, the first split
  counts; a splitter is given the groups.
- A random draw keeps the proportions of cells only where each has a threshold of its
  own: calibration scores under one threshold are then no random sample.
- Where groups are whole, the sizes are those of groups, and none is divided.
- A model that is trained already leaves all rows to calibrate, unless something else is
  to be trained.
"""

import warnings
from fractions import Fraction
from inspect import signature

import numpy as np
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_random_state

from ._levels import exact_level
from ._members import is_frozen
from ._sklearn import Integral, _check_method_params, _safe_indexing
from .exceptions import describe_rows

_N_FOLDS = 5


def used_rows(n_samples, weight):
    """Return the numbers of the rows of positive weight, of which there has to be one.

    weight : (n_samples,), or None for all rows
    """
    rows = np.arange(n_samples) if weight is None else np.flatnonzero(weight > 0.0)
    if not len(rows):
        raise ValueError("No row is left to calibrate: all have weight 0.")
    return rows


def calibration_rows(
    X,
    y,
    size,
    cv=None,
    *,
    random_state,
    weight=None,
    groups=None,
    cells=None,
    trained=False,
    whole=False,
):
    """Return the rows that train and those that calibrate, both ascending.

    X, y : all rows
    size : int or float in (0, 1), what `hold_out` takes where there is no `cv`
    cv : int, splitter, iterable of (train, test) or None
    random_state : None, int or RandomState
    weight : (n_samples,) or None
    groups : (n_samples,) or None, for a splitter, or where they are `whole`
    cells : (n_samples,) int or None, what has a threshold of its own
    trained : bool, whether there is nothing to train, so that all rows calibrate
    whole : bool, whether no group may be divided; `size` is then one of groups
    """
    rows = used_rows(len(y), weight)
    if trained:
        return rows[:0], rows
    whole = whole and groups is not None
    if cv is not None and not isinstance(cv, Integral):
        parts = _first_split(check_cv(cv), X, y, groups, rows)
        if whole:
            _refuse_divided(groups, *parts)
        return parts
    share = size if cv is None else Fraction(1, int(cv))
    if whole:
        return _hold_out_groups(rows, groups[rows], share, random_state)
    return hold_out(rows, share, random_state, cells)


def last_rows(n_samples, size, *, weight=None, trained=False):
    """Return the rows that train and those that calibrate: the last, in time order."""
    rows = used_rows(n_samples, weight)
    if trained:
        return rows[:0], rows
    first = len(rows) - count_held_out(size, len(rows))
    return rows[:first], rows[first:]


def hold_out(rows, size, random_state, cells=None, what="samples"):
    """Split rows at random; each cell in the same proportion, up to one row.

    rows : (n,) int
    size : int, a number of rows, or float in (0, 1), a share of them
    random_state : None, int or RandomState
    cells : (n_samples,) int or None
    what : str, what the rows are, for the message
    Returns train, held_out : ascending row numbers, both not empty.
    """
    n, count = len(rows), count_held_out(size, len(rows), what)
    order = rows[check_random_state(random_state).permutation(n)]
    chosen = np.arange(n) < count
    if cells is not None:
        order = order[np.argsort(cells[order], kind="stable")]
        # Every n / count-th row along the cells, in exact integers.
        chosen = np.diff(np.arange(n + 1) * count // n) > 0
    return np.sort(order[~chosen]), np.sort(order[chosen])


def count_held_out(size, n_rows, what="samples"):
    """Return how many rows to hold out; some are left to train on.

    size : int, a number of rows, or float in (0, 1), a share of them
    """
    if isinstance(size, Integral):
        count = int(size)
    else:  # 0.07 of 100 rows are 7: in floats 7.000000000000001
        count = int(-(-exact_level(size) * n_rows // 1))
    noun = "rows" if what == "samples" else what
    if not 1 <= count < n_rows:
        raise ValueError(
            f"n_{what}={n_rows}, of which {count} are to calibrate (a size of {size})"
            f": that leaves {max(0, n_rows - count)} {noun} to train on; expected one "
            f"of each at least. Give more {noun} or a smaller size."
        )
    return count


def _hold_out_groups(rows, groups, size, random_state):
    """Split rows at random by their groups; `size` is a number or a share of these."""
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups holds one group ({names.tolist()[0]!r}); expected one to train on "
            "and one to calibrate with at least."
        )
    _, held = hold_out(np.arange(len(names)), size, random_state, what="groups")
    calibrates = np.isin(codes, held)
    return rows[~calibrates], rows[calibrates]


def _refuse_divided(groups, train, held):
    both = np.intersect1d(groups[train], groups[held]).tolist()
    if both:
        raise ValueError(
            f"The first split of cv has rows of {len(both)} groups in both parts "
            f"({both[0]!r} is one). Use a splitter that keeps groups whole, such as "
            "GroupKFold."
        )


def fit_rows(estimator, X, y, rows, params):
    """Fit an estimator on some rows, with their part of the metadata.

    One that is trained already stays as it is.
    """
    if is_frozen(estimator):
        return estimator
    params = _check_method_params(X, params, indices=rows)
    return estimator.fit(_safe_indexing(X, rows), y[rows], **params)


def residual_folds(n_rows, random_state):
    """Return random folds, 5 or fewer, that hold each training row out once."""
    if n_rows < 2:
        raise ValueError(
            f"n_samples={n_rows} to train on; expected 2 at least, for the size of "
            "residuals is learnt from rows held out in turn. Give more rows."
        )
    return KFold(min(_N_FOLDS, n_rows), shuffle=True, random_state=random_state)


def _first_split(splitter, X, y, groups, rows):
    """Return the first split of a splitter, of these rows."""
    given = {}
    if groups is not None and "groups" in signature(splitter.split).parameters:
        given["groups"] = groups
    with warnings.catch_warnings():
        # A splitter may have no use for them: they have thresholds as well.
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        parts = next(iter(splitter.split(X, y, **given)), None)
    if parts is None:
        raise ValueError("cv has no split; expected one of training and test rows.")
    train, held = (np.intersect1d(part, rows) for part in parts)
    if np.intersect1d(train, held).size:
        raise ValueError(
            "The first split of cv calibrates on rows that it trains on; expected "
            "two parts without a common row."
        )
    if not len(held):
        raise ValueError("No row is left to calibrate; give more rows.")
    if not len(train):
        raise ValueError("No row is left to train on; give more rows.")
    return train, held


def check_groups(groups, n_rows):
    """Return groups as (n_rows,), or None; refuse any that cannot be told apart."""
    if groups is None:
        return None
    if not hasattr(groups, "dtype"):  # a list: its types are not to be made one
        groups = np.asarray(groups, dtype=object)
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        raise ValueError(
            f"groups has shape {groups.shape}; expected ({n_rows},), one for each row."
        )
    if groups.dtype.kind in "biuUS":
        return groups
    missing = [i for i, g in enumerate(groups.tolist()) if _is_missing(g)]
    if missing:
        raise ValueError(
            f"groups is None or NaN ({describe_rows(missing)}); give such rows a name "
            "of their own, or leave them out."
        )
    kinds = sorted({type(g).__name__ for g in groups.tolist()})
    if len(kinds) > 1:
        raise ValueError(f"groups holds values of {kinds}; expected one type.")
    return groups


def _is_missing(group):
    """Say whether a group is None, NaN, NaT or pandas' NA, which equals nothing."""
    try:
        return group is None or bool(group != group)
    except TypeError:
        return True
