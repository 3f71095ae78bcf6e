"""What the weights must satisfy, as the user says it, and the set that follows."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .feasible import (
    Affine,
    CappedSimplex,
    Enlarged,
    FreeSum,
    OnMembers,
    Simplex,
    UserSet,
    WithIntercept,
)


@dataclass(frozen=True)
class Constraints:
    """Constraints on the weights of n_members members.

    upper : (n_members,) float64 caps; group : (n_members,) int, -1 for none, and
    room : (n_groups,) float64, cap on each group's sum; floor : least weight of a
    member that is kept; max_members : most members with weight; user : w -> list of
    cvxpy constraints, or None
    """

    n_members: int
    upper: np.ndarray
    group: np.ndarray
    room: np.ndarray
    floor: float = 0.0
    max_members: int | None = None
    sum_to_one: bool = True
    nonnegative: bool = True
    intercept: bool = False
    user: Callable | None = None

    @classmethod
    def none(cls, n_members):
        """Return what every convex mixture satisfies: w >= 0, sum w = 1."""
        no_group = np.full(n_members, -1)
        return cls(n_members, np.ones(n_members), no_group, np.empty(0))

    @property
    def capped(self):
        """Return whether caps bind beyond w <= 1."""
        return bool((self.upper < 1.0).any()) or len(self.room) > 0

    @property
    def plain(self):
        """Return whether members are interchangeable: copies may then be dropped."""
        return not self.capped and self.user is None

    @property
    def limits_support(self):
        """Return whether the set is not convex: it also counts members."""
        return self.max_members is not None or self.floor > 0.0

    def feasible(self, members, bound=1.0, reach=None, floor=0.0):
        """Return the convex set of weights on some members.

        bound, reach : where a set without bounds of its own is cut off; reach None
            means that the loss takes care of the intercept itself
        floor : least weight of each of the members
        """
        if self.user is not None:  # the user's function speaks of all members
            allowed = np.isin(np.arange(self.n_members), members)
            caps = np.where(allowed, self.upper, 0.0)
            members = np.arange(self.n_members)
            weights: Any = UserSet(self._capped(members, floor, caps), self.user)
        else:
            weights = self._weights(members, bound, reach, floor)
        if self.intercept and reach is not None:
            weights = WithIntercept(weights, len(members), bound * reach)
        if len(members) == self.n_members:
            return weights
        extra = weights.n_columns - len(members)
        return OnMembers(weights, members, self.n_members + extra)

    def _weights(self, members, bound, reach, floor):
        k = len(members)
        if not self.nonnegative and reach is None:
            return Affine(k + (not self.sum_to_one), not self.sum_to_one)
        if not self.nonnegative:
            return Enlarged(k, 8.0 * bound, not self.sum_to_one)
        if not self.sum_to_one:
            return FreeSum(k, 4.0 * bound)
        if not self.capped and floor == 0.0:
            return Simplex(k)
        return self._capped(members, floor)

    def _capped(self, members, floor=0.0, upper=None):
        upper = self.upper if upper is None else upper
        return CappedSimplex(upper[members], floor, self.group[members], self.room)

    def largest_sum(self):
        """Return the sum that all weights can reach under the caps, at most."""
        return self._capped(np.arange(self.n_members)).largest_sum()

    def admits(self, members):
        """Return whether the members can hold all weight within caps and floor."""
        if not self.sum_to_one:
            return True
        capped = self._capped(members, self.floor)
        return (
            self.floor * len(members) <= 1.0 + 1e-12
            and self.upper[members].min(initial=1.0) >= self.floor - 1e-12
            and capped.largest_sum() >= 1.0 - 1e-12
            and self._groups_hold_floors(members)
        )

    def _groups_hold_floors(self, members):
        counts = np.bincount(
            self.group[members][self.group[members] >= 0], minlength=len(self.room)
        )
        return bool((self.floor * counts <= self.room + 1e-12).all())


def read_constraints(combiner, n_members, names):
    """Return the `Constraints` that a combiner's parameters ask for.

    Raises
    ------
    ValueError
        If they contradict each other or do not fit the number of members.
    """
    options = vars(combiner)
    signed = not options.get("nonnegative", True)
    free = not options.get("sum_to_one", True)
    switch = "nonnegative=False" if signed else "sum_to_one=False"
    for name in ("max_weight", "min_weight", "groups", "constraints"):
        if options[name] is not None and (signed or free):
            kind = "is a share of the weights"
            if name == "constraints":
                kind = "is added to w >= 0 and sum w = 1"
            raise ValueError(
                f"{name} {kind}, which {switch} does not give. Drop one of the two."
            )
    group, room = _read_groups(
        options["groups"], options["max_group_weight"], n_members
    )
    constraints = Constraints(
        n_members,
        _read_caps(options["max_weight"], n_members, names),
        group,
        room,
        options["min_weight"] or 0.0,
        options["max_members"],
        not free,
        not signed,
        options.get("fit_intercept", False),
        options["constraints"],
    )
    if options["constraints"] is not None and constraints.limits_support:
        raise ValueError(
            "constraints cannot be combined with max_members or min_weight: the search "
            "over members would solve a cvxpy problem for each of them."
        )
    _check_caps(constraints)
    return constraints


def as_numbers(name, values):
    """Return a parameter as float64; refuse what is no number, by its name."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {values!r}; expected numbers.") from error


def _read_caps(max_weight, n_members, names):
    if max_weight is None:
        return np.ones(n_members)
    caps = as_numbers("max_weight", max_weight)
    if caps.ndim == 0:
        caps = np.full(n_members, float(caps))
    if caps.shape != (n_members,):
        raise ValueError(
            f"max_weight has shape {caps.shape}; expected one number, or one for each "
            f"of the {n_members} members."
        )
    unfit = ~((caps >= 0.0) & (caps <= 1.0))
    if unfit.any():
        j = int(np.argmax(unfit))
        raise ValueError(
            f"max_weight of member {names[j]!r} is {caps[j]:g}; expected a number in "
            "[0, 1]."
        )
    return caps


def _read_groups(groups, caps, n_members):
    if (groups is None) != (caps is None):
        given, missing = ("groups", "max_group_weight")
        if groups is None:
            given, missing = missing, given
        raise ValueError(
            f"{given} is given without {missing}. groups names the family of each "
            "member, max_group_weight the most that a family may weigh together."
        )
    if groups is None:
        return np.full(n_members, -1), np.empty(0)
    labels = np.asarray(groups)
    if labels.shape != (n_members,):
        raise ValueError(
            f"groups has shape {labels.shape}; expected the family of each of the "
            f"{n_members} members."
        )
    try:
        families, group = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"groups holds {labels.tolist()}, which do not sort; expected labels of "
            "one kind, one for each member (no None)."
        ) from error
    if not isinstance(caps, dict):
        return group, np.full(len(families), float(caps))
    strangers = sorted(set(caps) - set(families.tolist()), key=str)
    if strangers:
        raise ValueError(
            f"max_group_weight names the group {strangers[0]!r}; groups holds "
            f"{families.tolist()}."
        )
    for label, cap in caps.items():
        if not isinstance(cap, Real) or not 0.0 < float(cap) <= 1.0:
            raise ValueError(
                f"max_group_weight of the group {label!r} is {cap!r}; expected a "
                "number in (0, 1]."
            )
    return group, np.array([float(caps.get(label, 1.0)) for label in families.tolist()])


def _check_caps(constraints):
    if not constraints.sum_to_one:
        return
    largest = constraints.largest_sum()
    if largest < 1.0 - 1e-12:
        raise ValueError(
            f"max_weight and max_group_weight let the weights sum to {largest:.6g} at "
            "most, not to 1. Raise the caps."
        )
    limit = constraints.max_members
    if limit is not None and constraints.capped:
        largest = np.sort(constraints.upper)[::-1][:limit].sum()
        if largest < 1.0 - 1e-12:
            raise ValueError(
                f"max_weight lets max_members={limit} members hold {largest:.6g} of "
                "the weight at most, not 1. Raise one of the two."
            )
