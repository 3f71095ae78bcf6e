"""Some rows of a library, and the loss of each member on each of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..layout import class_probabilities, to_cube
from ..library import PredictionLibrary
from ..losses import LOSSES
from ._parts import Finding

N_ROWS = 20_000
# Standard errors by which a difference counts: these are hints on many members.
CERTAIN = 5.0
_TINY = 1e-15


@dataclass
class Sample:
    """Some rows of a library, evenly spaced, and each member's loss on them.

    cube : (n_members, n_rows, n_outputs)
    losses : (n_members, n_rows), squared errors, log losses or mean pinball losses
    constant : (n_rows,), those of the mean, of the shares of the classes, or of the
        target's quantiles
    """

    library: PredictionLibrary
    rows: NDArray
    y: NDArray
    cube: NDArray
    losses: NDArray
    constant: NDArray

    @property
    def names(self) -> list[str]:
        """Names of the members."""
        return self.library.names


def draw(library: PredictionLibrary, n_rows: int = N_ROWS) -> Sample:
    """Take evenly spaced rows; classes become their positions."""
    n = library.n_samples
    rows = spaced(n, n_rows)
    P = np.asarray(library.P[rows], dtype=np.float64)
    cube = to_cube(P, library.n_outputs)
    y = _codes(library)
    constant = _constant_losses(y, rows, library)
    losses = np.stack([losses_of(member, y[rows], library) for member in cube])
    return Sample(library, rows, y, cube, losses, constant)


def spaced(n, n_wanted):
    return np.unique(np.linspace(0, n - 1, min(n, n_wanted)).astype(np.int64))


def _codes(library):
    if library.classes is None:
        return library.y.astype(np.float64)
    return np.searchsorted(library.classes, library.y)


def _pinball(outputs, y, levels):
    """Return the mean over the levels."""
    per_row = LOSSES["pinball"].per_row
    assert per_row is not None
    return per_row(y[:, None], outputs, levels).mean(axis=1)


def losses_of(outputs, y, library):
    if library.quantile_levels is not None:
        return _pinball(outputs, y, library.quantile_levels)
    if library.classes is None:
        return (outputs[:, 0] - y) ** 2
    true = class_probabilities(outputs)[np.arange(len(y)), y]
    return -np.log(np.clip(true, _TINY, None))


def _constant_losses(y, rows, library):
    if library.quantile_levels is not None:
        levels = library.quantile_levels
        return _pinball(np.quantile(y, levels)[None], y[rows], levels)
    if library.classes is None:
        return (y[rows] - y.mean()) ** 2
    shares = np.bincount(y, minlength=len(library.classes)) / len(y)
    return -np.log(shares[y[rows]])


def standard_error(differences):
    spread = float(np.std(differences))
    return max(spread / np.sqrt(max(1, len(differences) - 1)), 1e-300)


def hint(name, problem, advice, level="hint"):
    return Finding(level, f"member {name!r}", None, problem, advice)
