"""Loss against cost of a selection's ensembles."""

import numpy as np

from ._axes import BLUE, GREY, title
from ._display import Display
from ._source import find_fitted

__all__ = ["FrontierDisplay"]


class FrontierDisplay(Display):
    """Loss against cost of the undominated ensembles of a greedy selection.

    Parameters
    ----------
    frontier : Bunch
        ``frontier_`` of a fitted `EnsembleSelectionClassifier` or regressor.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from ensemblekit import EnsembleSelectionRegressor
    >>> from ensemblekit.plot import FrontierDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=50)
    >>> P = y[:, None] + rng.normal(size=(50, 6))
    >>> found = EnsembleSelectionRegressor(cost=[1, 2, 3, 4, 5, 6]).fit(P, y)
    >>> FrontierDisplay.from_estimator(found).ax_.get_xlabel()
    'cost of the distinct members'
    """

    def __init__(self, frontier):
        self.frontier = frontier

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the frontier of a fitted selection.

        Parameters
        ----------
        estimator : fitted estimator with ``frontier_``, or a stack around it
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If the estimator has no frontier.
        ImportError
            If matplotlib is not installed.
        """
        expected = "a fitted EnsembleSelection with rules='exact'"
        fitted = find_fitted(estimator, "frontier_", expected)
        return cls(fitted.frontier_).plot(ax=ax)

    def _draw(self):
        """Draw the frontier."""
        frontier = self.frontier
        self.ax_.step(frontier.costs, frontier.losses, where="post", color=GREY)
        self.ax_.scatter(frontier.costs, frontier.losses, color=BLUE, zorder=3)
        sizes = [len(np.unique(picks)) for picks in frontier.picks]
        for n in _apart(frontier.costs, frontier.losses):
            self.ax_.annotate(
                str(sizes[n]),
                (frontier.costs[n], frontier.losses[n]),
                textcoords="offset points",
                xytext=(4, 4),
                fontsize="small",
            )
        self.ax_.set(xlabel="cost of the distinct members", ylabel="loss")
        title(self.ax_, "undominated ensembles; figures: distinct members")


def _apart(costs, losses, gap=0.04):
    """Return the points whose figures do not cover each other, the best first.

    gap : least distance, as a share of what the points span
    """
    spans = [np.ptp(values) or 1.0 for values in (costs, losses)]
    places = np.column_stack([costs / spans[0], losses / spans[1]])
    kept: list[int] = []
    for n in np.argsort(losses, kind="stable"):
        if (np.abs(places[kept] - places[n]).max(axis=1, initial=0.0) >= gap).all():
            kept.append(int(n))
    return sorted(kept)
