"""The archive of a population search."""

from functools import partial
from typing import Any

import numpy as np

from ..combine._population_diversity import (
    QDOEnsembleSelectionClassifier,
    QDOEnsembleSelectionRegressor,
)
from ._axes import BLUE, GREY, ink, title
from ._display import Display
from ._source import check_array, find_fitted, fit_either

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
    its number of members. Use `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    losses : array-like of shape (n_ensembles,)
    sizes : array-like of shape (n_ensembles,), default=None
        Distinct members; needed without descriptors.
    descriptors : array-like of shape (n_ensembles, 2), default=None
    descriptor_names : sequence of 2 str, default=None
        For the axes.
    bounds : sequence of 2 array-like, default=None
        Edges of the cells, for each descriptor.

    Attributes
    ----------
    losses, sizes, descriptors : ndarray or None
        As given.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are neither sizes nor descriptors, or the lengths differ.

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

    sizes: Any
    descriptors: Any

    def __init__(
        self,
        losses,
        sizes=None,
        *,
        descriptors=None,
        descriptor_names=None,
        bounds=None,
    ):
        self.losses = check_array(losses, "losses")
        self.sizes = None if sizes is None else check_array(sizes, "sizes")
        self.descriptors = None
        if descriptors is not None:
            self.descriptors = check_array(descriptors, "descriptors", 2)
        unnamed = "descriptor 1", "descriptor 2"
        self.descriptor_names = descriptor_names or unnamed
        self.bounds = ((), ()) if bounds is None else bounds
        given = [v for v in (self.sizes, self.descriptors) if v is not None]
        if not given or {len(v) for v in given} != {len(self.losses)}:
            raise ValueError(
                f"There are {len(self.losses)} losses; expected as many sizes or "
                f"descriptors, got {[len(v) for v in given]}."
            )

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
        archive = find_fitted(estimator, "archive_", expected).archive_
        sizes = np.count_nonzero(archive.counts, axis=1)
        keys = ("descriptors", "descriptor_names", "bounds")
        cells = {key: archive[key] for key in keys} if "bounds" in archive else {}
        return cls(archive.losses, sizes, **cells).plot(ax)

    @classmethod
    def from_predictions(cls, y, P, *, combiner=None, names=None, ax=None):
        """Search ensembles of held-out predictions, and draw the archive.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets or labels; None where P is a library.
        P : array-like of shape (n_samples, n_members * n_outputs), or \
                PredictionLibrary
        combiner : estimator or None, default=None
            Cloned. None means `QDOEnsembleSelectionClassifier` for a library of classes
            and for labels that are strings or bools, else
            `QDOEnsembleSelectionRegressor`; both with ``random_state=0``.
        names : sequence of str, default=None
            Of the members; None numbers them. A library has them itself.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : ArchiveDisplay

        Raises
        ------
        ValueError
            If the predictions are unfit for the combiner, or it has no archive.
        """
        kinds = (
            partial(QDOEnsembleSelectionRegressor, random_state=0),
            partial(QDOEnsembleSelectionClassifier, random_state=0),
        )
        return cls.from_estimator(fit_either(y, P, combiner, kinds, names), ax=ax)

    def _draw(self):
        """Draw the archive."""
        if self.descriptors is not None:
            self._draw_cells()
        else:
            sizes, losses = self.sizes, self.losses
            self.ax_.scatter(sizes, losses - losses.min(), color=BLUE, alpha=0.6)
            self.ax_.set(xlabel=_LABELS["ensemble_size"], ylabel="loss above the best")
            self.ax_.set_xlim(sizes.min() - 1, sizes.max() + 1)
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        least = f"{self.losses.min():.4g}"
        title(self.ax_, f"{len(self.losses)} ensembles, the best of loss {least}")

    def _draw_cells(self):
        x, y = self.descriptors.T
        # The best on top: near copies cover each other.
        order = np.argsort(-self.losses)
        points = self.ax_.scatter(
            x[order],
            y[order],
            c=self.losses[order],
            cmap="viridis_r",
            # The best are yellow, which a white page does not show.
            edgecolors=GREY,
            linewidths=0.7,
            zorder=3,
        )
        best = int(np.argmin(self.losses))
        self.ax_.scatter(
            x[best], y[best], s=160, facecolors="none", edgecolors=ink(), zorder=4
        )
        for edges, draw in zip(
            self.bounds, (self.ax_.axvline, self.ax_.axhline), strict=True
        ):
            for edge in edges:
                draw(edge, color=GREY, linewidth=0.5, zorder=1)
        names = [_LABELS.get(name, name) for name in self.descriptor_names]
        self.ax_.set(xlabel=names[0], ylabel=names[1])
        _frame(self.ax_, x, y)
        for name, axis in zip(
            self.descriptor_names, (self.ax_.xaxis, self.ax_.yaxis), strict=True
        ):
            axis.get_major_locator().set_params(integer=name == "ensemble_size")
        self.figure_.colorbar(points, ax=self.ax_, label="loss (best: ringed)")


def _frame(ax, x, y):
    """Show the points, with a margin: cells reach to where no ensemble is."""
    for values, set_limits in ((x, ax.set_xlim), (y, ax.set_ylim)):
        margin = 0.05 * np.ptp(values) or 0.05
        set_limits(values.min() - margin, values.max() + margin)
