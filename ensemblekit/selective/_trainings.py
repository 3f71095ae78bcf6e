"""Trainings of one pipeline that differ by chance: seeds, or rows."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from .. import layout
from .._folds import check_partition, make_splits
from .._members import fit_member, predict_member
from .._sklearn import (
    Integral,
    _check_method_params,
    _safe_indexing,
    check_sample_weight,
)
from ..quantile_members._base import check_columns, check_labels
from ._alike import answer_alike
from ._training import refuse_one_class
from .votes import vote_dtype


def encode_rows(owner, X, y, sample_weight):
    """Check what fit is given; set the owner's `classes_`; leave out weights of 0.

    Returns
    -------
    X : as it was, or its rows of positive weight
    codes : ndarray of shape (n_samples,), int64
    weight : ndarray of shape (n_samples,), or None
    used : ndarray of int
        Their row numbers.
    """
    X = check_columns(owner, X)
    y = check_labels(owner, X, y)
    owner.classes_, codes = layout.encode_labels(y)
    if sample_weight is None:
        return X, codes, None, np.arange(len(codes))
    weight = check_sample_weight(sample_weight, X)
    used = np.flatnonzero(weight)
    refuse_one_class(y[used])
    if len(used) == len(codes):
        return X, codes, weight, used
    return _safe_indexing(X, used), codes[used], weight[used], used


def split_used(cv, X, codes, used):
    """Return the folds of the rows in use; splits that are given number all rows."""
    if not isinstance(cv, Integral) and not hasattr(cv, "split"):
        parts = [[_positions(part, used) for part in split] for split in cv]
        cv = [(train, test) for train, test in parts if len(test)]
    splits = make_splits(cv, 1, X, codes, True, {}, None)
    check_partition(splits, len(codes), "SelectiveVotingClassifier")
    return splits


def _positions(part, used):
    part = np.asarray(part)
    rows = np.flatnonzero(part) if part.dtype == bool else part
    return np.flatnonzero(np.isin(used, rows))


def seeded(member, seed, *, every):
    """Clone the member and set its ``random_state`` parameters, all or those at None.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> seeded(DecisionTreeClassifier(random_state=3), 7, every=False)
    DecisionTreeClassifier(random_state=3)
    """
    member = clone(member)
    found = {key: member.get_params()[key] for key in _seeds_of(member)}
    unset = {key: int(seed) for key in found if every or found[key] is None}
    member.set_params(**unset)  # a frozen one returns nothing
    return member


def draw_rows(randomness, codes, seed):
    """Return the rows of one training; None means all.

    Rows of a single class would train nothing: a bootstrap is drawn until there are
    two, and of two classes the last row of one is never left out.
    """
    if randomness == "seed":
        return None
    rng, n_rows = check_random_state(seed), len(codes)
    if randomness == "bootstrap":
        rows = rng.randint(n_rows, size=n_rows)
        while np.ptp(codes[rows]) == 0:
            rows = rng.randint(n_rows, size=n_rows)
        return np.sort(rows)
    n_each = np.bincount(codes)
    two = np.count_nonzero(n_each) == 2
    spare = np.flatnonzero(n_each[codes] > 1) if two else np.arange(n_rows)
    if not spare.size:
        raise ValueError(
            "randomness='loo' leaves out one row, but with n_samples=2 that leaves one "
            "class. Give more rows, or use randomness='seed'."
        )
    return np.delete(np.arange(n_rows), rng.choice(spare))


def fit_training(name, member, X, codes, classes, params, randomness, seed):
    """Fit one training; return the model and the codes of the classes it has seen."""
    rows = draw_rows(randomness, codes, seed)
    present = np.unique(codes if rows is None else codes[rows])
    where = "all rows" if rows is None else f"rows drawn ({randomness})"
    model, _ = fit_member(name, member, X, codes, rows, params, classes, where)
    return model, present


def vote_held_out(
    name, member, X, codes, classes, params, randomness, seed, train, test
):
    """Fit one training without the rows of a fold; return the codes it gives these."""
    own = _check_method_params(X, params, indices=train)
    X_train, known = _safe_indexing(X, train), codes[train]
    if np.ptp(known) == 0:
        raise ValueError(
            "A fold of cv leaves rows of one class to train on; expected two at least. "
            "Give more rows, or a splitter that keeps the classes apart."
        )
    model, present = fit_training(
        name, member, X_train, known, classes, own, randomness, seed
    )
    held = _safe_indexing(X, test)
    where = "rows held out"
    found = predict_member(name, model, held, "predict", present, classes, where)
    return found[:, 0].astype(vote_dtype(len(classes)))


def warn_if_seeds_change_nothing(models, X):
    """Warn where trainings with other seeds give the same answers.

    Their votes are then one vote, counted several times.
    """
    if _seeds_of(models[0]) and not answer_alike(models, X):
        return
    warnings.warn(
        f"{type(models[0]).__name__} learns the same with every seed: all members "
        "agree, which says nothing. Use randomness='bootstrap' or 'loo', or an "
        "estimator that depends on its random_state.",
        UserWarning,
        stacklevel=4,
    )


def _seeds_of(member):
    keys = member.get_params(deep=True)
    return [key for key in keys if key.rpartition("__")[2] == "random_state"]
