"""The folds of a cross-fit: any splits, what they hold out, and seeds."""

import warnings
from copy import copy

import numpy as np
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.utils import check_random_state

from ._sklearn import Integral, _num_samples
from .exceptions import describe_rows, naming

_N_FOLDS = 5
_SHUFFLE_IF_ASKED = (KFold, StratifiedKFold, GroupKFold, StratifiedGroupKFold)


def make_splits(cv, n_repeats, X, y, stratify, params, rng):
    """Return the splits as a list of row numbers, each ascending as the splitter's.

    Rows may be held out several times or never; none is held out from a model that was
    trained on it.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or None
    n_repeats : int
        Times the rows are split anew, by other draws of the splitter.
    X, y : as the splitter takes them
    stratify : bool
        Whether an int means stratified folds.
    params : dict
        Keyword arguments of the splitter; with groups, an int means folds of groups.
    rng : RandomState
        Draws the repeats of a splitter without a seed of its own.

    Raises
    ------
    ValueError
        If there is no split, one trains on what it holds out, holds a row out twice,
        or has no rows; or repeats would be equal.
    """
    n_rows = _num_samples(X)
    splitters = _repeat(_splitter(cv, y, stratify, "groups" in params), n_repeats, rng)
    rows = np.arange(n_rows)
    with naming("cv", *params):
        splits = [
            (rows[train], rows[test])
            for splitter in splitters
            for train, test in splitter.split(X, y, **params)
        ]
    if not splits:
        raise ValueError("cv has no split; expected one of training and test rows.")
    for fold, (train, test) in enumerate(splits):
        _check_split(fold, train, test, n_rows)
    return splits


def with_fixed_draw(cv, seed):
    """Return a splitter that shuffles without a seed as a copy that has one."""
    shuffles = getattr(cv, "shuffle", True)
    if getattr(cv, "random_state", seed) is not None or not shuffles:
        return cv
    cv = copy(cv)
    cv.random_state = seed
    return cv


def _splitter(cv, y, stratify, grouped):
    if grouped and (cv is None or isinstance(cv, Integral)):
        kind = StratifiedGroupKFold if stratify else GroupKFold
        return kind(_N_FOLDS if cv is None else int(cv))
    return check_cv(cv, y, classifier=stratify)


def _repeat(splitter, n_repeats, rng):
    """Return the splitter, and copies of it that draw other splits.

    One that has a seed is the first of them, and the others' seeds follow from it.
    """
    if n_repeats == 1:
        return [splitter]
    kind = type(splitter)
    if kind in _SHUFFLE_IF_ASKED and not getattr(splitter, "shuffle", True):
        splitter = kind(splitter.n_splits, shuffle=True)
    if not hasattr(splitter, "random_state") or not getattr(splitter, "shuffle", True):
        raise ValueError(
            f"n_repeats={n_repeats}, but {splitter} draws the same splits each time. "
            "Use a splitter that shuffles, or n_repeats=1."
        )
    repeats = []
    if splitter.random_state is not None:
        repeats, rng = [splitter], check_random_state(splitter.random_state)
    while len(repeats) < n_repeats:
        splitter = copy(splitter)
        splitter.random_state = int(rng.randint(np.iinfo(np.int32).max))
        repeats.append(splitter)
    return repeats


def _check_split(fold, train, test, n_rows):
    label = f"Fold {fold + 1} of cv"
    for part, doing in ((train, "trains on"), (test, "holds out")):
        if not len(part):
            raise ValueError(f"{label} {doing} no row; expected one at least.")
    times = np.bincount(test, minlength=n_rows)
    if times.max() > 1:
        raise ValueError(
            f"{label} holds out row {np.argmax(times)} {times.max()} times; expected "
            "each row once at most."
        )
    both = np.unique(train[times[train] > 0])
    if both.size:
        raise ValueError(
            f"{label} trains on rows that it holds out ({describe_rows(both)}); "
            "predictions of these are not held out."
        )


def count_held_out(splits, n_rows):
    """Return how many splits hold each row out, (n_rows,) int."""
    counts = np.zeros(n_rows, dtype=np.int64)
    for _, test in splits:
        counts[test] += 1
    return counts


def check_partition(splits, n_rows, owner):
    """Refuse splits that do not hold out each row exactly once."""
    counts = count_held_out(splits, n_rows)
    wrong = np.flatnonzero(counts != 1)
    if wrong.size:
        raise ValueError(
            f"{owner} needs a cv that holds out each row exactly once, but row "
            f"{wrong[0]} is held out {counts[wrong[0]]} times ({len(wrong)} rows are "
            "wrong). Use a splitter that partitions the rows, such as KFold."
        )


def warn_of_coverage(counts):
    """Warn where some rows are never held out."""
    share = np.mean(counts > 0)
    if share < 1.0:
        warnings.warn(
            f"cv holds out {100.0 * share:.3g} % of the {len(counts)} rows; the others "
            "have no out-of-fold prediction: neither combiners nor scores see them.",
            UserWarning,
            stacklevel=5,
        )


def number_rows(splits, n_rows):
    """Return the first fold that holds out each row, (n_rows,) int; -1: none."""
    folds = np.full(n_rows, -1, dtype=np.int64)
    for fold in reversed(range(len(splits))):
        folds[splits[fold][1]] = fold
    return folds


def average_folds(splits, blocks, n_rows):
    """Return each row's mean over the folds that hold it out; NaN where none does."""
    if len(splits) == 1 or count_held_out(splits, n_rows).max() == 1:
        whole = np.full((n_rows, blocks[0].shape[1]), np.nan)
        for (_, test), block in zip(splits, blocks, strict=True):
            whole[test] = block
        return whole
    total = np.zeros((n_rows, blocks[0].shape[1]))
    for (_, test), block in zip(splits, blocks, strict=True):
        total[test] += block
    counts = count_held_out(splits, n_rows)[:, None]
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def find_fold_classes(classes, targets, splits):
    """Return the class codes among each fold's training rows; warn of missing ones."""
    if classes is None:
        return [None] * len(splits)
    present = [np.unique(targets[train]) for train, _ in splits]
    missing = [
        f"{label!r} in fold {fold + 1}"
        for fold, codes in enumerate(present)
        for label in np.delete(classes, codes).tolist()
    ]
    if missing:
        warnings.warn(
            f"Training rows lack classes: {', '.join(missing)}. Members give them "
            "probability 0 there.",
            UserWarning,
            stacklevel=5,
        )
    return present


def draw_seeds(root, name, n_folds):
    """Return the seeds of a member: for all rows, then for each fold.

    They depend on the member's name alone, so that a member does not draw otherwise
    because another one is left out.

    Parameters
    ----------
    root : int or None
        None: no seeds.
    name : str
    n_folds : int
    """
    if root is None:
        return [None] * (n_folds + 1)
    words = np.random.SeedSequence([root, *name.encode()]).generate_state(n_folds + 1)
    return (words >> 1).tolist()  # scikit-learn takes 31 bits
