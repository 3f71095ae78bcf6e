"""How alike members err, pair by pair, the alike side by side."""

from typing import Any

import numpy as np

from .. import _levels
from ..library import PredictionLibrary
from ..selective import diversity_report, residual_correlation
from ..selective._clusters import cluster
from ._axes import name_ticks, shorten, title
from ._display import Display
from ._source import check_names, find_fitted

__all__ = ["DiversityDisplay"]

_MOST_NAMED, _MOST_FIGURES = 60, 12


class DiversityDisplay(Display):
    """Correlation of the members' errors, ordered so that the alike are neighbours.

    Blocks of high correlation are members that may stand in for each other; a member
    of low correlation to all brings something of its own, if it is any good. The order
    is that of a hierarchical clustering (average linkage of 1 - correlation). Errors
    are residuals, those of the medians for quantiles, and for classes whether the most
    probable one is right (reports correlate probabilities, which are finer). Use
    `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    correlation : array-like of shape (n_members, n_members)
        Symmetric, in [-1, 1]; NaN where it is undefined.
    names : sequence of str, default=None
        Of the members; None numbers them.
    errors : str, default=""
        What the errors are, for the scale.

    Attributes
    ----------
    correlation : ndarray of shape (n_members, n_members), float64
        In the order given.
    names : list of str
    order : ndarray of shape (n_members,), int64
        Members from top to bottom.
    image_ : matplotlib.image.AxesImage
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Notes
    -----
    Time of the clustering: O(n_members ** 2), and up to O(n_members ** 3) where the
    leaves are put into the best order, which is done up to 300 members.

    References
    ----------
    .. [1] Bar-Joseph, Gifford, Jaakkola, "Fast optimal leaf ordering for hierarchical
       clustering", Bioinformatics 17, 2001.

    Examples
    --------
    >>> from ensemblekit.plot import DiversityDisplay
    >>> alike = [[1.0, 0.1, 0.9], [0.1, 1.0, 0.2], [0.9, 0.2, 1.0]]
    >>> DiversityDisplay(alike, ["ridge", "forest", "lasso"]).order.tolist()
    [1, 2, 0]
    """

    image_: Any

    def __init__(self, correlation, names=None, *, errors=""):
        self.errors = errors
        self.correlation = _check_correlation(correlation)
        self.names = check_names(names, len(self.correlation))
        self.order = cluster(self.correlation)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw how alike the members of a fitted stack or cross-fit err.

        Parameters
        ----------
        estimator : fitted estimator with ``library_``
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : DiversityDisplay

        Raises
        ------
        ValueError
            If the estimator has no library.
        ImportError
            If matplotlib is not installed.
        """
        expected = "a fitted stack or CrossFit, not compacted"
        library = find_fitted(estimator, "library_", expected).library_
        if library is None:
            raise ValueError(
                "library_ is None: the members' outputs do not compare. Use "
                "from_predictions for those that do."
            )
        return cls.from_predictions(None, library, ax=ax)

    @classmethod
    def from_predictions(cls, y, P, *, classes=None, loss=None, names=None, ax=None):
        """Draw how alike the members err that made held-out predictions.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets or labels; None where P is a library.
        P : array-like of shape (n_samples, n_members * n_outputs), or \
                PredictionLibrary
        classes, loss
            As for `diversity_report`: of a matrix, ``loss="squared_error"`` says that
            the task is regression; None means classification.
        names : sequence of str, default=None
            Of the members; None takes a library's, or numbers them.
        ax : matplotlib.axes.Axes or None, default=None

        Returns
        -------
        display : DiversityDisplay

        Raises
        ------
        ValueError
            If the predictions are unfit.
        """
        if isinstance(P, PredictionLibrary) and P.task == "quantile":
            medians = [_levels.median(block, P.quantile_levels) for block in P.cube]
            correlation = residual_correlation(
                np.column_stack(medians), P.y, P.sample_weight
            )
            names = P.names if names is None else names
            return cls(correlation, names, errors="of medians").plot(ax)
        report = diversity_report(P, y, loss=loss, classes=classes)
        names = report.names if names is None else names
        errors = "residuals" if report.pairs is None else "right or wrong"
        return cls(report.correlation, names, errors=errors).plot(ax)

    def _draw(self):
        """Draw the correlations."""
        m = len(self.names)
        values = self.correlation[np.ix_(self.order, self.order)]
        pairs = values[np.triu_indices(m, 1)]
        pairs = pairs[~np.isnan(pairs)]
        least, digits = _scale(pairs.min(initial=1.0))
        self.image_ = self.ax_.imshow(values, cmap="cividis", vmin=least, vmax=1.0)
        label = "correlation of errors" + (f" ({self.errors})" if self.errors else "")
        self.figure_.colorbar(self.image_, ax=self.ax_, label=label)
        self._name(m)
        if m <= _MOST_FIGURES:
            self._write_values(values, least, digits)
        if len(pairs):
            title(self.ax_, self._summary(pairs, digits))

    def _size(self):
        m = len(self.names)
        longest = max(len(shorten(name)) for name in self.names)
        beside = 1.6 + 0.09 * longest if m <= _MOST_NAMED else 1.6
        return _side(m) + 1.1, _side(m) + beside

    def _name(self, m):
        self.ax_.set(xticks=[], xlabel="the same members, in the same order")
        if m > _MOST_NAMED:
            self.ax_.set(yticks=[], ylabel=f"{m} members, the alike together")
            return
        size = "medium" if m <= _MOST_FIGURES else "small"
        names = [self.names[n] for n in self.order]
        name_ticks(self.ax_.yaxis, np.arange(m), names, fontsize=size)
        self.ax_.tick_params(axis="y", length=0)

    def _write_values(self, values, least, digits):
        for (row, column), value in np.ndenumerate(values):
            if row == column or np.isnan(value):
                continue
            # cividis runs from dark to light.
            dark = value < 0.5 * (1.0 + least)
            self.ax_.text(
                column,
                row,
                f"{value:.{digits}f}",
                ha="center",
                va="center",
                fontsize="small",
                color="white" if dark else "black",
            )

    def _summary(self, pairs, digits):
        upper = np.triu(self.correlation, 1)
        upper[np.tril_indices(len(upper))] = -np.inf
        pair = np.unravel_index(np.nanargmax(upper), upper.shape)
        first, second = (shorten(self.names[n]) for n in pair)
        return (
            f"mean of pairs {pairs.mean():.{digits}f}; "
            f"most alike {self.correlation[pair]:.{digits}f}:\n{first}\n{second}"
        )


def _scale(least):
    """Return where the colours begin, and the digits that tell members apart.

    They end at 1, and errors of good members are all alike: from 0.99 to 1, say.
    """
    span = max(1.0 - least, 1e-3)
    power = min(-1, int(np.floor(np.log10(span))))
    # Rounding takes no step more.
    n_steps = np.ceil(span / 10.0**power - 1e-9)
    return 1.0 - n_steps * 10.0**power, 1 - power


def _side(m):
    """Return the width of the matrix in inches, with room for figures or names."""
    if m > _MOST_NAMED:
        return 4.5
    return max(2.4, (0.5 if m <= _MOST_FIGURES else 0.16) * m)


def _check_correlation(correlation):
    values = np.asarray(correlation, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.size:
        raise ValueError(
            f"correlation has shape {values.shape}; expected (n_members, n_members)."
        )
    known = values[~np.isnan(values)]
    if (
        not np.array_equal(values, values.T, equal_nan=True)
        or (np.abs(known) > 1.0 + 1e-9).any()
    ):
        raise ValueError(
            "correlation is not symmetric, or has values outside [-1, 1]; expected "
            "those of residual_correlation or diversity_report."
        )
    return values
