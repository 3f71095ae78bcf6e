"""From probabilities to softmax regressions with the convex mixture as offset."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .. import kernels, layout
from ..convex import weighting
from ..convex.constraints import Constraints
from ..convex.losses import LogLoss
from ..convex.problem import RowLoss
from ..convex.ridge import plug_in

# The convex mixture, whatever its probabilities, stays finite.
_FLOOR = np.finfo(np.float64).eps
# Relative size of features that are rounding.
_NOTHING = 1e-12
# Groups of rows that are in the same folds, of which each has a Hessian.
_MAX_GROUPS = 32


@dataclass(frozen=True)
class Rows:
    """Rows of positive weight: distinct members' probabilities, and the truth.

    cube : (n_members, n_rows, n_outputs); y : (n_rows,) codes; weight : (n_rows,)
    n_classes, kinds ("log", "probability" or both), clip : how members become features
    shared : whether a member has one weight for all classes
    convex_ridge : "auto" or float, of the convex mixture
    """

    cube: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    n_classes: int
    kinds: tuple[str, ...]
    clip: float
    shared: bool
    convex_ridge: str | float

    @property
    def n_channels(self):
        """Return how many scores a row has: of two classes only their difference."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def tied(self):
        """Return whether several channels have the same weights."""
        return self.shared and self.n_classes > 2

    def features(self):
        """Return what the steps multiply, (n_channels, n_rows, n_kinds * n_members)."""
        columns = [(kind, outputs) for kind in self.kinds for outputs in self.cube]
        out = np.empty((self.n_channels, len(self.y), len(columns)))
        for j, (kind, outputs) in enumerate(columns):
            z = class_features(outputs, self.n_classes, kind, self.clip)
            out[:, :, j] = z.T if self.n_classes > 2 else z[:, 1] - z[:, 0]
        return out

    def offsets(self, weights):
        """Return scores of mixtures, (n_channels, n_rows, n_fits).

        weights : (n_fits, n_members)
        """
        mixture = np.tensordot(weights, self.cube, axes=1).transpose(2, 1, 0)
        if self.n_classes > 2:
            return np.log(np.maximum(mixture, _FLOOR))
        other = np.log(np.maximum(1.0 - mixture, _FLOOR))
        return np.log(np.maximum(mixture, _FLOOR)) - other


def class_features(outputs, n_classes, kind, clip):
    """Return one member's features, (n_rows, n_classes); each row sums to 0.

    outputs : (n_rows, n_outputs)
    """
    p = layout.class_probabilities(np.asarray(outputs, dtype=np.float64))
    if kind == "probability":
        return n_classes * p - 1.0
    z = np.log(np.maximum(p, clip))
    return z - z.mean(axis=1, keepdims=True)


def class_offsets(mixture):
    """Return scores of a mixture of probabilities, (n_rows, n_classes)."""
    return np.log(np.maximum(layout.class_probabilities(mixture), _FLOOR))


def convex_weights(rows, parts):
    """Return the convex weights of each part of the rows, and the first solution.

    parts : list of row numbers
    Returns weights (n_parts, n_members) and a `convex.solve.Solution`.
    """
    problem = _log_loss(rows)
    members = np.arange(len(rows.cube))
    plain = Constraints.none(len(members))
    settings = weighting.Settings(plain, rows.convex_ridge, 0.0, None, 1e-9, 10_000)
    found = []
    for part in parts:
        whole = len(part) == len(rows.y)
        own = problem if whole else problem.on_samples(part)
        rule = partial(plug_in, total=float(rows.weight[part].sum()))
        found.append(weighting.find_weights(own, settings, lambda: members, rule))
    return np.array([each.solution.x for each in found]), found[0].solution


def _log_loss(rows):
    """Return the log loss of mixtures; members are distinct."""
    if rows.n_classes == 2:
        truth, sign = 1.0 - rows.y, 2.0 * rows.y - 1.0
        P = rows.cube[:, :, 0].T
        design = kernels.design.Design(P, truth, sign=sign)
    else:
        P = rows.cube[:, np.arange(len(rows.y)), rows.y].T
        design = kernels.design.Design(P, np.zeros(len(rows.y)))
    return RowLoss(design, rows.weight, LogLoss())


@dataclass(frozen=True)
class Design:
    """Features of the regressions, and the way back from their coefficients.

    features : (n_channels, n_rows, n_features), with a column of ones at the end where
    channels have weights of their own
    basis : (n_kinds * n_members, n_features), or None
    """

    rows: Rows
    features: np.ndarray
    basis: np.ndarray | None

    @classmethod
    def of(cls, rows):
        """Return the design; more columns than rows have that many coordinates.

        A ridge solution lies in the span of the data.
        """
        features, basis = rows.features(), None
        n_channels, n_rows, n_columns = features.shape
        if n_columns > n_channels * n_rows:
            _, size, axes = np.linalg.svd(features.reshape(-1, n_columns), False)
            basis = axes[: max(1, np.count_nonzero(size > _NOTHING * size[0]))].T
            features = features @ basis
        if not rows.tied:
            ones = np.ones((n_channels, n_rows, 1))
            features = np.concatenate([features, ones], axis=2)
        return cls(rows, features, basis)

    @property
    def stiffness(self):
        """Return the penalty's matrix: n_columns for a weight, 1 for a bias.

        Weights of a member's classes count as their mean, and their distances from it:
        what all classes have in common costs what a shared weight costs. A difference
        of two biases is two halves.
        """
        n_channels = self.rows.n_channels
        n_columns = float(len(self.rows.kinds) * len(self.rows.cube))
        n_features = self.features.shape[2]
        if self.rows.tied:
            return np.diag(np.repeat([n_columns, 1.0], [n_features, n_channels]))
        mean = np.full((n_channels, n_channels), 1.0 / n_channels)
        between = mean / n_channels + np.eye(n_channels) - mean
        step = np.diag(np.append(np.full(n_features - 1, n_columns), 0.0))
        bias = np.zeros_like(step)
        bias[-1, -1] = 0.5 if n_channels == 1 else 1.0
        return np.kron(between, step) + np.kron(np.eye(n_channels), bias)

    def read(self, theta):
        """Return step and bias.

        step : (n_kinds, n_members) or (n_kinds, n_members, n_classes)
        bias : (n_classes,)
        """
        n_features, n_classes = self.features.shape[2], self.rows.n_classes
        if self.rows.tied:
            step, bias = theta[:n_features], theta[n_features:]
        else:
            own = theta.reshape(-1, n_features)
            step, bias = own[:, :-1].T, own[:, -1]
            if n_classes == 2:
                bias = 0.5 * np.append(-bias, bias)
                step = step[:, 0] if self.rows.shared else np.repeat(step, 2, axis=1)
        if self.basis is not None:
            step = self.basis @ step
        shape = len(self.rows.kinds), len(self.rows.cube), *step.shape[1:]
        return step.reshape(shape), bias - bias.mean()

    def fits(self, weights, parts):
        """Return the `Fits` of parts of the rows, and the order of the rows in them.

        weights : (n_parts, n_members) of the convex mixtures; parts : row numbers
        """
        rows = self.rows
        times = np.array([np.bincount(part, minlength=len(rows.y)) for part in parts]).T
        groups = np.zeros(len(rows.y), np.int64)
        for column in times.T:
            groups = _refine(groups, column)
        order = np.argsort(groups, kind="stable")
        weight = times[order] * rows.weight[order, None]
        fits = kernels.softmax_path.Fits(
            np.ascontiguousarray(self.features[:, order]),
            np.ascontiguousarray(rows.offsets(weights)[:, order]),
            rows.y[order],
            weight / weight.sum(axis=0),
            np.searchsorted(groups[order], np.arange(groups.max() + 2)),
            rows.tied,
            self.stiffness,
        )
        return fits, order


@dataclass(frozen=True)
class Path:
    """Fits of all rows at several ridges, and how well those of the folds predicted.

    solution : of the convex mixture; coefficients : list of (step, bias)
    decrements : (n_ridges,), what is left to gain
    losses : (n_rows, n_ridges), for each row the sum of its held-out losses
    times : (n_rows,), how often the row was held out
    """

    solution: object
    coefficients: list
    decrements: np.ndarray
    losses: np.ndarray
    times: np.ndarray

    def scores(self, weight):
        """Return mean held-out losses, and the errors of their differences from the
        least, (n_ridges,) each."""
        weight = weight / weight.max()  # whose squares exist
        size = weight @ self.times
        means = weight @ self.losses / size
        best = int(np.argmin(means))
        # What a row adds to a difference, but for what its times held out would add.
        own = self.losses - self.losses[:, [best]]
        own -= np.outer(self.times, means - means[best])
        return means, np.sqrt(weight**2 @ own**2) / size


def fit_one(rows, ridge):
    """Return the convex solution, (step, bias) and the decrement at one ridge."""
    everything = [np.arange(len(rows.y))]
    weights, solution = convex_weights(rows, everything)
    design = Design.of(rows)
    fits, _ = design.fits(weights, everything)
    start = np.zeros(len(design.stiffness))
    theta, decrement = kernels.softmax_path.newton(fits, ridge, start)
    return solution, design.read(theta), decrement


def cross_validate(rows, ridges, splits):
    """Return the `Path` of all ridges, descending.

    splits : (train, test) numbers of the rows
    """
    everything = np.arange(len(rows.y))
    weights, solution = convex_weights(rows, [everything, *(a for a, _ in splits)])
    design = Design.of(rows)
    losses, times = np.zeros((len(rows.y), len(ridges))), np.zeros(len(rows.y))
    for batch in _batches(splits, len(rows.y)):
        parts = [everything, *(splits[f][0] for f in batch)]
        own = weights[[0, *(f + 1 for f in batch)]]
        fits, order = design.fits(own, parts)
        path, decrements = kernels.softmax_path.solve_path(fits, ridges)
        place = np.argsort(order)
        for column, f in enumerate(batch, start=1):
            test = splits[f][1]
            own_losses = _held_out(fits, path[:, column], column, place[test])
            np.add.at(losses, test, own_losses)
            np.add.at(times, test, 1.0)
    coefficients = [design.read(theta) for theta in path[:, 0]]
    return Path(solution, coefficients, decrements[:, 0], losses, times)


def _held_out(fits, theta, column, test):
    """Return the losses of some rows, (n_test, n_ridges)."""
    features = np.ascontiguousarray(fits.features[:, test])
    total = kernels.softmax_path.scores(features, theta, fits.shared)
    total += fits.offsets[:, test, column, None]
    return kernels.softmax_path.losses(total, fits.y[test])


def _refine(groups, times):
    """Return the groups of rows, numbered from 0, cut further by `times`."""
    return np.unique(groups * (times.max() + 1) + times, return_inverse=True)[1]


def _batches(splits, n_rows):
    """Yield lists of folds whose training parts cut the rows into few groups."""
    batch: list[int] = []
    groups = np.zeros(n_rows, np.int64)
    for f, (train, _) in enumerate(splits):
        inside = np.zeros(n_rows, np.int64)
        inside[train] = 1
        finer = _refine(groups, inside)
        if batch and finer.max() >= _MAX_GROUPS:
            yield batch
            batch, finer = [], inside
        batch, groups = [*batch, f], finer
    yield batch
