"""What combiners of quantiles share: levels, absent forecasts, reading off levels."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import layout
from .._sklearn import check_sample_weight
from ..convex import quantiles as convex
from ..convex.fit import first_copies
from ..exceptions import describe_rows
from ._base import column_names, forget_fitted, validate_rows


def read_quantiles(combiner, P, n_levels, allow_absent):
    """Check quantiles; return which members are present, (n, p) bool, or None for all.

    Raises
    ------
    ValueError
        If P is infinite, quantiles of a member cross, some but not all of them are NaN
        in a row, or no member is present in a row.
    """
    layout.count_members(P, n_levels, "quantile levels of each member")
    names = column_names(combiner)
    if not allow_absent:
        layout.check_finite(P, names)
        layout.check_quantiles(P, n_levels, names)
        return None
    missing = np.isnan(P)
    layout.check_finite(np.where(missing, 0.0, P), names)
    layout.check_quantiles(P, n_levels, names)
    if not missing.any():
        return None
    n_missing = np.count_nonzero(layout.to_cube(missing, n_levels), axis=2).T
    absent = n_missing == n_levels
    _refuse_parts((n_missing > 0) & ~absent, names[::n_levels])
    empty = np.flatnonzero(absent.all(axis=1))
    if empty.size:
        raise ValueError(
            f"P has no forecast of any member ({describe_rows(empty)}); expected one "
            "member at least in each row. Drop these rows."
        )
    return ~absent


def _refuse_parts(partial, names):
    for j in np.flatnonzero(partial.any(axis=0)):
        raise ValueError(
            f"P has NaN in some of the columns from {names[j]!r} on, but not in all of "
            f"that member ({describe_rows(np.flatnonzero(partial[:, j]))}). A member "
            "that is absent is NaN at all its levels; fill the others, or drop them."
        )


def validate_quantile_rows(combiner, P, y, sample_weight):
    """Check P, y and weights but not the values of P; see `read_quantiles`.

    Returns
    -------
    P : ndarray, float64 or float32; y, weight : ndarray of shape (n_samples,), float64
    """
    forget_fitted(combiner)
    if hasattr(P, "dask"):
        raise TypeError("P is a dask array; quantiles need it in memory: P.compute().")
    P, y = validate_rows(combiner, P, y, y_numeric=True)
    return P, y.astype(np.float64, copy=False), check_sample_weight(sample_weight, P)


def validate_new_quantiles(combiner, P):
    """Check the shape of new rows but not their values; see `read_quantiles`."""
    check_is_fitted(combiner)
    return validate_data(
        combiner,
        P,
        dtype=(np.float64, np.float32),
        ensure_all_finite=False,
        reset=False,
    )


@dataclass(frozen=True)
class Rows:
    """Residuals of the rows that count, of the members that differ.

    residuals : (m, n, p) float64, quantiles minus y; share : (n,), sum 1
    present : (n, p) bool, or None for all
    members : (p,) their positions among all n_members
    """

    residuals: np.ndarray
    share: np.ndarray
    present: np.ndarray | None
    members: np.ndarray
    n_members: int

    @classmethod
    def counted(cls, P, y, weight, present, n_levels):
        """Leave out rows of weight 0, copies of members, and members never present."""
        counts = weight > 0.0
        if not counts.all():
            P, y, weight = P[counts], y[counts], weight[counts]
            present = None if present is None else present[counts]
        visible = P
        if present is not None:  # NaN equals nothing, not even its copy
            visible = np.where(np.isnan(P), np.finfo(P.dtype).max, P)
        members = np.unique(first_copies(visible, n_levels))
        if present is not None:
            members = members[present[:, members].any(axis=0)]
            present = present[:, members]
        cube = layout.to_cube(P, n_levels)
        n_members = len(cube)
        chosen = cube if len(members) == n_members else cube[members]
        residuals = np.subtract(
            chosen.transpose(2, 1, 0), y[:, None], dtype=np.float64, order="C"
        )
        return cls(residuals, weight / weight.sum(), present, members, n_members)

    def find(self, levels, rule):
        """Return the `Found` weights of these members."""
        if self.present is None or self.present.all():
            return convex.find_weights(self.residuals, levels, self.share, rule)
        return convex.find_weights_of_present(
            self.residuals, self.present, levels, self.share, rule
        )

    @property
    def cube(self):
        """Return the residuals as a cube, (p, n, m)."""
        return self.residuals.transpose(2, 1, 0)

    def mix(self, weights):
        """Return the mixture of the residuals, (n, m)."""
        return convex.mix(self.cube, weights, self.present)

    def take(self, index):
        """Return some of the rows; members absent from all of them stay."""
        share = self.share[index]
        return replace(
            self,
            residuals=self.residuals[:, index],
            share=share / share.sum(),
            present=None if self.present is None else self.present[index],
        )

    def of_all_members(self, weights):
        """Return weights with those of the members left out, 0."""
        spread = np.zeros((self.n_members, *weights.shape[1:]))
        spread[self.members] = weights
        return spread


def member_weights(weights, n_levels):
    """Return what each member weighs on the mean over the levels, (n_members,)."""
    if weights.ndim == 1:
        return weights.copy()
    return convex.level_shares(weights, n_levels).mean(axis=1)


def weights_of_present(weights, present, distinct, n_rows):
    """Return the weights (p,) renormalised in each row, (n, p)."""
    if present is None:
        return np.tile(weights, (n_rows, 1))
    local = np.where(present, weights, 0.0)
    lost = ~local.any(axis=1)
    for i in np.flatnonzero(lost):
        local[i, convex.stand_ins(present[i], distinct)] = 1.0
    return local / local.sum(axis=1, keepdims=True)


def width(features):
    """Return the number of columns of features; refuse any but a table."""
    if np.ndim(features) != 2:
        raise ValueError(
            f"features have shape {np.shape(features)}; expected (n_samples, "
            "n_gate_features). Give one column as features[:, None]."
        )
    return np.shape(features)[1]


def read_features(features, n_rows, n_expected, gate):
    """Check the features of a gate; return them as (n, d) float64.

    Raises
    ------
    ValueError
        If there is no gate, they are missing, or their shape or values are unfit.
    """
    if gate is None:
        raise ValueError("features are for a gate; set gate='linear', or leave them.")
    if features is None or n_expected is None:
        seen, given = ("without", "got") if n_expected is None else ("with", "need")
        raise ValueError(f"fit was {seen} features; predictions {given} them.")
    features = np.asarray(features, dtype=np.float64)
    if features.shape != (n_rows, n_expected):
        raise ValueError(
            f"features have shape {features.shape}; expected ({n_rows}, {n_expected})."
        )
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        raise ValueError(
            f"features are NaN or infinite ({describe_rows(bad)}); expected finite "
            "numbers. Impute them."
        )
    return features


def count_crossings(residuals):
    """Return at how many neighbouring levels residuals (n, m) decrease.

    A decrease that rounding, or the tolerance of a fit, can make is none.
    """
    size = np.abs(residuals).max(axis=1, initial=0.0, keepdims=True)
    falls = residuals[:, :-1] - residuals[:, 1:] > 1e-9 * size
    return int(np.count_nonzero(falls))
