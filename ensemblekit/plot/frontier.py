"""Loss against cost: of a selection's ensembles, or of a cascade."""

from functools import partial

import numpy as np
from sklearn.base import clone

from ..combine._selection_classifier import EnsembleSelectionClassifier
from ..combine._selection_regressor import EnsembleSelectionRegressor
from ._axes import BLUE, GREY, title
from ._display import Display
from ._source import check_array, find_fitted, fit_either

__all__ = ["FrontierDisplay"]


class FrontierDisplay(Display):
    """Loss against cost, from the cheapest to the best: what more cost buys.

    Points are the undominated ensembles of a greedy selection (`from_estimator`,
    `from_predictions`), or any of rising cost: those of a `CascadeCurve`, say.

    Parameters
    ----------
    costs : array-like of shape (n_points,)
        Ascending.
    losses : array-like of shape (n_points,)
    sizes : array-like of shape (n_points,), default=None
        Distinct members of each, written beside the points.

    Attributes
    ----------
    costs, losses : ndarray of shape (n_points,), float64
    sizes : ndarray of shape (n_points,), int64, or None
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the lengths differ, or costs descend.

    Examples
    --------
    >>> import numpy as np
    >>> from ensemblekit.plot import FrontierDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=50)
    >>> P = y[:, None] + rng.normal(size=(50, 6))
    >>> display = FrontierDisplay.from_predictions(y, P, cost=[1, 2, 3, 4, 5, 6])
    >>> display.ax_.get_xlabel()
    'cost of the distinct members'
    """

    def __init__(self, costs, losses, sizes=None):
        self.costs = check_array(costs, "costs")
        self.losses = check_array(losses, "losses")
        self.sizes = None if sizes is None else check_array(sizes, "sizes").astype(int)
        given = self.costs, self.losses, self.sizes
        lengths = [len(values) for values in given if values is not None]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"costs, losses and sizes are of lengths {lengths}; expected one."
            )
        if (np.diff(self.costs) < 0.0).any():
            raise ValueError("costs descend; expected them in ascending order.")

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
        frontier = find_fitted(estimator, "frontier_", expected).frontier_
        sizes = [len(np.unique(picks)) for picks in frontier.picks]
        return cls(frontier.costs, frontier.losses, sizes).plot(ax)

    @classmethod
    def from_predictions(cls, y, P, *, combiner=None, cost=None, names=None, ax=None):
        """Select greedily among held-out predictions, and draw the frontier.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets or labels; None where P is a library.
        P : array-like of shape (n_samples, n_members * n_outputs), or \
                PredictionLibrary
        combiner : estimator or None, default=None
            Cloned. None means `EnsembleSelectionClassifier` for a library of classes
            and for labels that are strings or bools, else `EnsembleSelectionRegressor`.
        cost : array-like of shape (n_members,), default=None
            Of each member; None leaves the combiner's.
        names : sequence of str, default=None
            Of the members; None numbers them. A library has them itself.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If the predictions are unfit for the combiner, or it has no frontier.
        """
        own = {} if cost is None else {"cost": cost}
        kinds = (
            partial(EnsembleSelectionRegressor, **own),
            partial(EnsembleSelectionClassifier, **own),
        )
        if combiner is not None:
            combiner = clone(combiner).set_params(**own)
        return cls.from_estimator(fit_either(y, P, combiner, kinds, names), ax=ax)

    def _draw(self):
        """Draw the frontier."""
        self.ax_.step(self.costs, self.losses, where="post", color=GREY)
        self.ax_.scatter(self.costs, self.losses, color=BLUE, zorder=3)
        self.ax_.set(xlabel="cost", ylabel="loss")
        if self.sizes is None:
            return
        for n in _apart(self.costs, self.losses):
            self.ax_.annotate(
                str(self.sizes[n]),
                (self.costs[n], self.losses[n]),
                textcoords="offset points",
                xytext=(4, 4),
                fontsize="small",
            )
        self.ax_.set_xlabel("cost of the distinct members")
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
