"""The archive of a population search."""

import numpy as np

from ._axes import BLUE, GREY, ink, title
from ._display import Display
from ._source import find_fitted

__all__ = ["ArchiveDisplay"]

_LABELS = {
    "configuration_similarity": "similarity of configurations",
    "ensemble_size": "distinct members",
    "loss_correlation": "mean correlation of losses",
}


class ArchiveDisplay(Display):
    """The archive of a population search: many good ensembles, and how they differ.

    With two descriptors (quality-diversity) each elite is a point at its descriptors,
    coloured by its loss, inside the cell that it won; with quality alone, its loss over
    its number of members. Use `from_estimator`.

    Parameters
    ----------
    archive : Bunch
        ``archive_`` of a fitted `QOEnsembleSelectionClassifier`, `QDO...` or of the
        regressors.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Purucker et al., "Q(D)O-ES: Population-based Quality (Diversity) Optimisation
       for Post Hoc Ensemble Selection in AutoML", AutoML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from ensemblekit import QDOEnsembleSelectionRegressor
    >>> from ensemblekit.plot import ArchiveDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=50)
    >>> P = y[:, None] + rng.normal(size=(50, 6))
    >>> found = QDOEnsembleSelectionRegressor(n_evaluations=60).fit(P, y)
    >>> ArchiveDisplay.from_estimator(found).ax_.get_ylabel()
    'distinct members'
    """

    def __init__(self, archive):
        self.archive = archive

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the archive of a fitted population search.

        Parameters
        ----------
        estimator : fitted estimator with ``archive_``, or a stack around it
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : ArchiveDisplay

        Raises
        ------
        ValueError
            If the estimator has no archive.
        ImportError
            If matplotlib is not installed.
        """
        expected = "a fitted QOEnsembleSelection or QDOEnsembleSelection"
        fitted = find_fitted(estimator, "archive_", expected)
        return cls(fitted.archive_).plot(ax=ax)

    def _draw(self):
        """Draw the archive."""
        archive = self.archive
        if "bounds" in archive:
            self._draw_cells()
        else:
            sizes = np.count_nonzero(archive.counts, axis=1)
            self.ax_.scatter(
                sizes, archive.losses - archive.losses.min(), color=BLUE, alpha=0.6
            )
            self.ax_.set(xlabel=_LABELS["ensemble_size"], ylabel="loss above the best")
            self.ax_.set_xlim(sizes.min() - 1, sizes.max() + 1)
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        best = int(np.argmin(archive.losses))
        title(
            self.ax_,
            f"{len(archive.losses)} ensembles, the best of loss "
            f"{archive.losses[best]:.4g}",
        )

    def _draw_cells(self):
        archive = self.archive
        x, y = archive.descriptors.T
        # The best on top: near copies cover each other.
        order = np.argsort(-archive.losses)
        points = self.ax_.scatter(
            x[order],
            y[order],
            c=archive.losses[order],
            cmap="viridis_r",
            # The best are yellow, which a white page does not show.
            edgecolors=GREY,
            linewidths=0.7,
            zorder=3,
        )
        best = int(np.argmin(archive.losses))
        self.ax_.scatter(
            x[best], y[best], s=160, facecolors="none", edgecolors=ink(), zorder=4
        )
        for edges, draw in zip(
            archive.bounds, (self.ax_.axvline, self.ax_.axhline), strict=True
        ):
            for edge in edges:
                draw(edge, color=GREY, linewidth=0.5, zorder=1)
        names = [_LABELS[name] for name in archive.descriptor_names]
        self.ax_.set(xlabel=names[0], ylabel=names[1])
        _frame(self.ax_, x, y)
        for name, axis in zip(
            archive.descriptor_names, (self.ax_.xaxis, self.ax_.yaxis), strict=True
        ):
            axis.get_major_locator().set_params(integer=name == "ensemble_size")
        self.figure_.colorbar(points, ax=self.ax_, label="loss (best: ringed)")


def _frame(ax, x, y):
    """Show the points, with a margin: cells reach to where no ensemble is."""
    for values, set_limits in ((x, ax.set_xlim), (y, ax.set_ylim)):
        margin = 0.05 * np.ptp(values) or 0.05
        set_limits(values.min() - margin, values.max() + margin)
