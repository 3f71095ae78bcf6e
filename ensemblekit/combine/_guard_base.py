"""Members that predict new rows far outside what they predicted for held-out rows."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._sklearn import StrOptions
from ..exceptions import GuardWarning

GUARD = [StrOptions({"clip", "warn"}), None]
"""Constraint of the parameter `guard`."""


@dataclass(frozen=True)
class Shown:
    """What comparable members predicted for held-out rows.

    columns : (n_members, n_outputs) int, where the members' columns are in P
    low, high : (n_members, n_outputs) float64
    names : of the members; shares : whether they are class probabilities
    """

    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray
    names: list
    shares: bool

    @classmethod
    def of(cls, P, columns, names, shares):
        """Learn the ranges from held-out predictions P."""
        low, high = P.min(axis=0)[columns], P.max(axis=0)[columns]
        return cls(columns, low, high, names, shares)

    @cached_property
    def _bounds(self):
        """Return the ranges, widened on both sides.

        By their own width, or that of half the members where they are wider: on 44 real
        tables two rows in all are beyond. Constant members have rounding. A probability
        that was the same for all rows has no range: a tree may be sure of a rare class
        that it gave to no held-out row.
        """
        width = self.high - self.low
        rounding = 1e-9 * np.maximum(np.abs(self.low), np.abs(self.high))
        width = np.maximum(width, np.median(width, axis=0)) + rounding
        if self.shares:
            width[self.high == self.low] = np.inf
        return self.low - width, self.high + width

    def beyond(self, P):
        """Return whether each row and member is out of range, (n_samples, n_members).

        None if none is: the usual case reads P and takes no memory.
        """
        low, high = self._bounds
        extremes = P.min(axis=0)[self.columns], P.max(axis=0)[self.columns]
        suspects = ((extremes[0] < low) | (extremes[1] > high)).any(axis=1)
        if not suspects.any():
            return None
        beyond = np.zeros((len(P), len(suspects)), bool)
        for j in np.flatnonzero(suspects):
            values = P[:, self.columns[j]]
            beyond[:, j] = ((values < low[j]) | (values > high[j])).any(axis=1)
        return beyond

    def pull_in(self, P, beyond):
        """Put the median of a row's other members where one is beyond its range.

        Where no member is left, each is moved to the nearest end of its range.
        """
        rows = np.flatnonzero(beyond.any(axis=1))
        values, beyond = P[rows][:, self.columns].astype(np.float64), beyond[rows]
        nearest = np.clip(values, self.low, self.high)
        left = ~beyond.all(axis=1)
        kept = np.where(beyond[left, :, None], np.nan, values[left])
        middle = np.nanmedian(kept, axis=1, keepdims=True)
        nearest[left] = np.broadcast_to(middle, kept.shape)
        if self.shares and values.shape[2] > 1:
            nearest /= np.maximum(nearest.sum(axis=2, keepdims=True), 1e-300)
        values[beyond] = nearest[beyond]
        P[rows[:, None], self.columns.ravel()] = values.reshape(len(rows), -1)


def learn_groups(P, blocks, comparable, shares):
    """Return the `Shown` of comparable members together, and of each other one.

    P : held-out predictions; blocks : dict of name to (n_outputs,) columns of P
    comparable : names of members that predict the same quantity
    """
    together = [name for name in blocks if name in comparable]
    groups = [together] if together else []
    groups += [[name] for name in blocks if name not in comparable]
    return [
        Shown.of(
            P,
            np.array([blocks[name] for name in group]),
            group,
            shares and group[0] in comparable,
        )
        for group in groups
    ]


def guarded(P, groups, guard, stacklevel):
    """Return P with predictions beyond their range pulled in; warn of any.

    groups : list of `Shown`; guard : "clip", "warn" (which changes nothing) or None
    """
    if guard is None:
        return P
    found = [(shown, shown.beyond(P)) for shown in groups]
    found = [(shown, beyond) for shown, beyond in found if beyond is not None]
    if not found:
        return P
    alone = any(beyond.all(axis=1).any() for _, beyond in found)
    _warn([_describe(*one, P) for one in found], guard, alone, stacklevel + 1)
    if guard == "clip":
        P = P.copy()
        for shown, beyond in found:
            shown.pull_in(P, beyond)
    return P


def _describe(shown, beyond, P):
    parts = []
    for j in np.flatnonzero(beyond.any(axis=0)):
        values = P[beyond[:, j]][:, shown.columns[j]]
        furthest = values.flat[np.abs(values).argmax()]
        parts.append(
            f"{shown.names[j]!r} ({beyond[:, j].sum()} of {len(P)} rows, such as "
            f"{furthest:.4g}; held out {shown.low[j].min():.4g} .. "
            f"{shown.high[j].max():.4g})"
        )
    return ", ".join(parts)


def _warn(descriptions, guard, alone, stacklevel):
    done = "they are left as they are"
    if guard == "clip":
        done = "the median of the row's other members took their place"
        if alone:
            done += " (the nearest end of the range, where no other was left)"
    warnings.warn(
        f"Far outside what was predicted for held-out rows: {', '.join(descriptions)}; "
        f"{done}. Look at these members and rows; guard=None says nothing.",
        GuardWarning,
        stacklevel=stacklevel + 1,
    )
