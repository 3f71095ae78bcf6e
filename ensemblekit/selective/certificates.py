"""Elections of members whose winners no few of them can change."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import kernels

__all__ = ["CertifiedVotes", "certified_radius"]


class CertifiedVotes(NamedTuple):
    """Winner of each row, and what it withstands.

    Parameters
    ----------
    winners : ndarray of shape (n_samples,), int64
        Position of the winning class.
    radius : ndarray of shape (n_samples,), int64
        Members, or buckets, that may change at will, >= 0, while the winner stays.
    """

    winners: NDArray
    radius: NDArray


def certified_radius(
    scores: ArrayLike, *, voting: str = "runoff", buckets: ArrayLike | None = None
) -> CertifiedVotes:
    """Say how many members may change at will before the vote's winner does.

    Where members are trained on parts of the rows that share none, an inserted or
    deleted training row changes one member, and a replaced row two at most.

    Parameters
    ----------
    scores : array-like of shape (n_members, n_samples, n_classes)
        What a member gives each class, higher is better: probabilities, decision
        values or votes. Infinite values are legal; a member abstains on a row where all
        are -inf.
    voting : {"runoff", "plurality"}, default="runoff"
        ``"plurality"``: the class that most members score highest.
        ``"runoff"``: each member then votes for the one of the first two classes that
        it scores higher. Ties go to the first class everywhere.
    buckets : array-like of shape (n_buckets, spread), int, default=None
        Members that a part of the training rows reaches, where it reaches several
        (finite aggregation): the radius counts parts. None means each its own.

    Returns
    -------
    votes : CertifiedVotes
        `winners` and `radius`.

    Raises
    ------
    ValueError
        If a score is NaN, there is no member, fewer than two classes, or a bucket names
        no member or one twice.

    Notes
    -----
    Sound for all rewritings, and nearly always exact: in 438 elections of 2 to 8
    members, up to three of them rewritten in every way, no certificate was too large,
    and at most 1 % too small. With few members a plurality's may be larger than a
    run-off's; a run-off pays where many members rank the right class second.
    Time: O(n_members * n_samples * n_classes + n_samples * n_classes ** 2), with
    buckets O(n_samples * n_classes ** 2 * n_buckets * spread).

    References
    ----------
    .. [1] Rezaei, Banihashem, Chegini, Feizi, "Run-Off Election: Improved Provable
       Defense against Data Poisoning Attacks", ICML 2023.
    .. [2] Levine, Feizi, "Deep Partition Aggregation: Provable Defense against General
       Poisoning Attacks", ICLR 2021.
    .. [3] Wang, Levine, Feizi, "Improved Certified Defenses against Data Poisoning with
       (Deterministic) Finite Aggregation", ICML 2022.

    Examples
    --------
    >>> first, second = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
    >>> votes = certified_radius([[first]] * 7 + [[second]] * 2)
    >>> votes.winners.tolist(), votes.radius.tolist()
    ([0], [2])
    """
    runoff = _is_runoff(voting)
    ballots = _check_scores(scores)
    table = None if buckets is None else _check_buckets(buckets, len(ballots))
    return _certify(ballots, runoff, table)


def _certify(scores, runoff, buckets):
    election = kernels.runoff.elect(scores, runoff)
    if buckets is None:
        radius = kernels.runoff.certify(*election, runoff)
    else:
        radius = kernels.runoff.certify_buckets(scores, *election, buckets, runoff)
    return CertifiedVotes(election[0], radius)


def _is_runoff(voting):
    if voting not in ("runoff", "plurality"):
        raise ValueError(f"voting is {voting!r}; expected 'runoff' or 'plurality'.")
    return voting == "runoff"


def _check_scores(scores):
    ballots = np.asarray(scores)
    if ballots.dtype.kind not in "fiub" or ballots.ndim != 3:
        raise ValueError(
            f"scores has shape {ballots.shape} of {ballots.dtype}; expected numbers of "
            "shape (n_members, n_samples, n_classes)."
        )
    if len(ballots) == 0 or ballots.shape[2] < 2:
        raise ValueError(
            f"scores has shape {ballots.shape}; expected one member and two classes at "
            "least."
        )
    if ballots.dtype not in (np.float64, np.float32):
        ballots = ballots.astype(np.float64)
    for m, ballot in enumerate(ballots):
        if ballot.size and np.isnan(ballot.min()):  # min passes NaN on
            row = int(np.flatnonzero(np.isnan(ballot).any(axis=1))[0])
            raise ValueError(
                f"scores of member {m} are NaN, first at row {row}; a member that "
                "abstains has -inf for all classes."
            )
    return ballots


def _check_buckets(buckets, n_members):
    table = np.asarray(buckets)
    legal = table.ndim == 2 and 0 not in table.shape and table.dtype.kind in "iu"
    if not legal or table.min() < 0 or table.max() >= n_members:
        raise ValueError(
            f"buckets has shape {table.shape} of {table.dtype}; expected positions "
            f"below {n_members} of shape (n_buckets, spread)."
        )
    in_order = np.sort(table, axis=1)
    if (in_order[:, 1:] == in_order[:, :-1]).any():
        raise ValueError("A bucket names a member twice; expected distinct members.")
    return table.astype(np.int64)
