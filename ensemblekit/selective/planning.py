"""How many members a selective vote needs, and how often two votes contradict."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _votes
from .votes import check_count, check_counts

__all__ = [
    "RequiredMembers",
    "conflict_bound",
    "estimate_agreement",
    "required_members",
]

# Rows at equal steps of the estimated distribution of agreement.
_N_QUANTILES = 200
# Pairs of sizes and agreements that are computed at once.
_AT_ONCE = 2**20


class RequiredMembers(NamedTuple):
    """Numbers of members of a selective vote.

    Attributes
    ----------
    n_min : int
        The fewest that can ever answer.
    n_first : int
        The fewest that meet the target.
    n_stable : int
        The fewest from which on every number meets it.
    """

    n_min: int
    n_first: int
    n_stable: int


def required_members(
    alpha: float = 0.05,
    agreement: ArrayLike = 1.0,
    abstention: float = 0.0,
    *,
    max_members: int = 2000,
) -> RequiredMembers:
    """Return how many members keep abstention at a target.

    With two classes, n members of which each gives the mode label with probability p
    abstain with a known probability. It falls with n, but not steadily: at alpha 0.05
    and p 0.9, 9 members abstain on 22 % of the rows and 10 on 26 %. Good sizes at 0.05
    are 6, 9, 12, 15, 17, 20, 23, 25, 28 and 30.

    Parameters
    ----------
    alpha : float, default=0.05
        Level of the test in (0, 1).
    agreement : float or array-like of shape (n_samples,), default=1.0
        Probability that one member gives the label that most would give, in [0.5, 1],
        of each row; see `estimate_agreement`. Rows near 0.5 abstain at any number.
    abstention : float, default=0.0
        Largest share of rows without an answer, in [0, 1).
    max_members : int, default=2000
        Largest number that is tried.

    Returns
    -------
    numbers : RequiredMembers
        ``n_min``, ``n_first``, ``n_stable``; with the defaults all three are the fewest
        members that can answer.

    Raises
    ------
    ValueError
        If alpha or abstention or agreement is out of its range, or the target is not
        met from some number up to `max_members` on.

    Notes
    -----
    Exact for two classes; with more, an approximation where agreement is the share of
    the first of the two leading classes among both. `n_stable` is about the numbers up
    to `max_members`. O(max_members) for each distinct agreement.

    Examples
    --------
    >>> required_members(0.05)
    RequiredMembers(n_min=6, n_first=6, n_stable=6)
    >>> required_members(0.05, agreement=0.8, abstention=0.05)
    RequiredMembers(n_min=6, n_first=35, n_stable=35)
    """
    rates, shares = _check_agreement(agreement)
    if not 0.0 <= abstention < 1.0:
        raise ValueError(f"abstention is {abstention}; expected a share in [0, 1).")
    n_min = _votes.least_members(alpha)
    sizes = np.arange(n_min, max(n_min, check_count(max_members, "max_members")) + 1)
    expected = _abstention(_votes.cutoffs(alpha, int(sizes[-1])), sizes, rates, shares)
    met = expected <= abstention
    if not met[-1]:
        some = f" ({sizes[np.argmax(met)]} would do, but not all above)"
        first = some if met.any() else ""
        raise ValueError(
            f"{sizes[-1]} members would abstain on {expected[-1]:.3g} of the rows, "
            f"above abstention={abstention}{first}. Allow more, or a larger alpha or "
            "max_members."
        )
    missed = np.flatnonzero(~met)
    n_stable = sizes[missed[-1] + 1] if missed.size else sizes[0]
    return RequiredMembers(n_min, int(sizes[np.argmax(met)]), int(n_stable))


def conflict_bound(alpha: float, n_members: int, n_classes: int = 2) -> float:
    """Bound the chance that two selective votes answer a row with different labels.

    Both ensembles have `n_members` independent trainings of one pipeline and share no
    member. For two classes this is ``2 * q**2``, the value at the least favourable row,
    where q is the chance that a fair coin wins on one given side; it is proved. For
    more classes it is ``alpha**2 / 2``, which no row of a fine grid of three classes
    exceeded, and which is not proved.

    Parameters
    ----------
    alpha : float
        Level of the test in (0, 1).
    n_members : int
        Of each ensemble, >= 1.
    n_classes : int, default=2
        Classes, >= 2.

    Returns
    -------
    bound : float
        At most ``alpha**2 / 2``.

    Raises
    ------
    ValueError
        If alpha is outside (0, 1), or a number is too small.

    Examples
    --------
    >>> round(conflict_bound(0.05, 20), 6), conflict_bound(0.05, 20, n_classes=3)
    (0.000857, 0.00125)
    """
    if check_count(n_classes, "n_classes") < 2:
        raise ValueError(f"n_classes is {n_classes}; expected 2 or more.")
    n_members = check_count(n_members, "n_members")
    cut = int(_votes.cutoffs(alpha, n_members)[-1])
    if n_classes > 2 and cut <= n_members:
        return float(_votes.exact_alpha(alpha) ** 2 / 2)
    return 2.0 * _votes.tail(n_members, cut) ** 2


def estimate_agreement(counts: ArrayLike) -> NDArray:
    """Estimate how the rows agree with their mode label, from votes that were seen.

    The share of the first leader is too high as an estimate, as it is never below one
    half. So the probability of either of the two leaders is taken to follow a symmetric
    beta distribution over the rows, fitted by maximum likelihood to all counts. Where
    rows differ in another way, abstention of more members tends to be overestimated:
    .23 for .17, and .07 for .06, in two trials that went from 10 members to 20.

    Parameters
    ----------
    counts : array-like of shape (n_samples, n_classes), int
        Votes on rows that the members were not trained on.

    Returns
    -------
    agreement : ndarray of shape (200,), float64
        Ascending, in [0.5, 1]: the fitted distribution at 200 equal steps, to be given
        to `required_members`.

    Raises
    ------
    ValueError
        If counts are no whole numbers >= 0, or no row has a vote.

    Examples
    --------
    >>> agreement = estimate_agreement([[10, 0], [9, 1], [1, 9], [0, 10], [6, 4]])
    >>> agreement[[20, 100, 180]].round(3)
    array([0.601, 0.907, 0.999])
    """
    counts = check_counts(counts)
    if counts.shape[1] == 1:
        counts = np.pad(counts, ((0, 0), (0, 1)))
    leaders = np.sort(counts, axis=1)[:, -2:].astype(np.int64)
    pairs, n_rows = np.unique(leaders[leaders[:, 1] > 0], axis=0, return_counts=True)
    if not len(pairs):
        raise ValueError("counts are all 0; expected a row with votes.")
    steps = (np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES
    return _folded_beta(_fit_shape(pairs, n_rows), steps)


def _fit_shape(pairs, n_rows):
    """Return the parameter of the symmetric beta distribution of most likelihood."""
    from scipy.optimize import minimize_scalar
    from scipy.special import betaln

    def loss(log_shape):
        shape = np.exp(log_shape)
        fits = betaln(pairs[:, 0] + shape, pairs[:, 1] + shape) - betaln(shape, shape)
        return -(n_rows @ fits)

    return np.exp(minimize_scalar(loss, bounds=(-12.0, 12.0), method="bounded").x)


def _folded_beta(shape, steps):
    """Return quantiles of the larger of p and 1 - p."""
    from scipy.special import betaincinv

    return 1.0 - betaincinv(shape, shape, 0.5 - 0.5 * steps)


def _check_agreement(agreement):
    """Return the distinct agreements, and the share of rows that has each."""
    rows = np.ravel(np.asarray(agreement, dtype=np.float64))
    if not rows.size or not ((rows >= 0.5) & (rows <= 1.0)).all():
        raise ValueError(
            "agreement has values outside [0.5, 1] or none; expected for each row the "
            "probability of its mode label."
        )
    rates, n_rows = np.unique(rows, return_counts=True)
    return rates, n_rows / rows.size


def _abstention(cut, sizes, rates, shares):
    """Return the mean abstention of each number of members, two classes."""
    from scipy.stats import binom

    expected, step = np.zeros(len(sizes)), max(1, _AT_ONCE // len(sizes))
    n, c = sizes[:, None], cut[sizes][:, None]
    for first in range(0, len(rates), step):
        p = rates[first : first + step]
        wins = binom.sf(c - 1, n, p) + binom.sf(c - 1, n, 1.0 - p)
        expected += (1.0 - wins) @ shares[first : first + step]
    return np.maximum(expected, 0.0)
