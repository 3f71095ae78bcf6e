"""How strongly to draw the weights toward uniform: a rule, or cross-validation.

The penalty is ridge * unit * sum (w - 1/m)^2, unit the loss of the best member, so
that ridge has no unit itself. For log loss unit is 1/2: there a row's gradient varies
as much as its curvature says.
"""

from dataclasses import dataclass

import numpy as np

GRID = np.concatenate([[0.0], np.logspace(-4, 2, 25)])


def plug_in(n_members, total):
    """Return n_members / total, total the sum of weights that count rows.

    The penalty then costs what the noise of the weights is expected to: about as good
    as cross-validation, and free.
    """
    return float(n_members / total)


@dataclass(frozen=True)
class Search:
    """Cross-validated losses of a grid of penalties.

    ridges, losses : (n_ridges,) float64; best : float
    """

    ridges: np.ndarray
    losses: np.ndarray

    @property
    def best(self):
        """Return the ridge of least loss; of equal ones the largest."""
        return float(self.ridges[np.flatnonzero(self.losses == self.losses.min())[-1]])


def search(problem, splits, solve, ridges=GRID):
    """Score each ridge on held-out rows.

    problem : over all rows; splits : (train, test) index arrays
    solve : problem, ridge -> x
    Least squares needs one Gram matrix for each fold, whatever the number of ridges;
    other losses are solved anew for each.
    """
    losses, sizes = [], []
    for training, held_out in problem.halves(splits):
        points = [training.extend(solve(training, ridge)) for ridge in ridges]
        losses.append([held_out.mean(x) for x in points])
        sizes.append(held_out.total)
    return Search(ridges, np.average(losses, axis=0, weights=sizes))
