"""How the loss fell while a combiner searched."""

from typing import Any

import numpy as np
from sklearn.base import clone

from ..combine._selection_classifier import EnsembleSelectionClassifier
from ..combine._selection_regressor import EnsembleSelectionRegressor
from ._axes import BLUE, legend, name_ticks, thin
from ._display import Display
from ._source import as_library, check_array, find_fitted, fit_on, member_names, task_of

__all__ = ["LossPathDisplay"]

# Up to so many picks all are named, up to twice as many those of new members.
_MOST_NAMED = 25


class LossPathDisplay(Display):
    """Loss after each step of a greedy selection, hill climbing or population search.

    The losses are of the rows that the combiner was fitted on: optimistic. Where the
    path is flat, further steps bring nothing. Use `from_estimator`.

    Parameters
    ----------
    losses : array-like of shape (n_steps,)
    picks : sequence of str, default=None
        Name of the member that each step added, where one did.
    step : str, default="pick"
        What a step is.

    Attributes
    ----------
    losses : ndarray of shape (n_steps,), float64
    picks : list of str or None
    line_ : matplotlib.lines.Line2D
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from ensemblekit import EnsembleSelectionRegressor
    >>> from ensemblekit.plot import LossPathDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=50)
    >>> P = y[:, None] + rng.normal(size=(50, 3))
    >>> found = EnsembleSelectionRegressor(n_rounds=3).fit(P, y)
    >>> LossPathDisplay.from_estimator(found).picks
    ['x2', 'x1', 'x0']
    """

    line_: Any

    def __init__(self, losses, picks=None, *, step="pick"):
        self.losses = check_array(losses, "losses")
        self.picks = None if picks is None else [str(name) for name in picks]
        if self.picks is not None and len(self.picks) != len(self.losses):
            raise ValueError(
                f"picks has {len(self.picks)} names; expected {len(self.losses)}, one "
                "for each loss."
            )
        self.step = step

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw the path of a fitted combiner, or of the combiner of a fitted stack.

        Parameters
        ----------
        estimator : fitted estimator with ``loss_path_``
            `EnsembleSelectionClassifier`, `HillClimbingClassifier`,
            `QOEnsembleSelectionClassifier`, `QDOEnsembleSelectionClassifier`, their
            regressors, or a stack around one.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : LossPathDisplay

        Raises
        ------
        ValueError
            If the estimator has no path.
        ImportError
            If matplotlib is not installed.
        """
        expected = "a fitted ensemble selection or hill climbing"
        combiner = find_fitted(estimator, "loss_path_", expected)
        names = member_names(estimator, len(combiner.weights_))
        return cls._of_fitted(combiner, names).plot(ax)

    @classmethod
    def from_predictions(cls, y, P, *, combiner=None, names=None, ax=None):
        """Fit a selection on held-out predictions and draw its path.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets or labels; None where P is a library.
        P : array-like of shape (n_samples, n_members * n_outputs), or \
                PredictionLibrary
        combiner : estimator or None, default=None
            Cloned. None means `EnsembleSelectionClassifier` for a library of classes
            and for labels that are strings or bools, else the regressor.
        names : sequence of str, default=None
            Of the members; None numbers them. A library has them itself.
        ax : matplotlib.axes.Axes or None, default=None

        Returns
        -------
        display : LossPathDisplay

        Raises
        ------
        ValueError
            If the predictions are unfit for the combiner, or it has no path.
        """
        if combiner is None:
            classes = task_of(y, P) == "classification"
            combiner = EnsembleSelectionClassifier() if classes else None
            combiner = combiner or EnsembleSelectionRegressor()
        library = as_library(y, P, combiner, names)
        fitted = fit_on(clone(combiner), library)
        find_fitted(fitted, "loss_path_", "an ensemble selection or hill climbing")
        return cls._of_fitted(fitted, library.names).plot(ax)

    def _draw(self):
        """Draw the path, and the members that were added where there are few."""
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        # A batch follows on the ensembles that the search starts with.
        steps = np.arange(len(self.losses)) + (self.picks is not None)
        shown = thin(len(steps))
        (self.line_,) = self.ax_.plot(
            steps[shown], self.losses[shown], color=BLUE, linewidth=1.2
        )
        if self.picks is not None:
            self._mark_picks(steps[shown], shown)
        self.ax_.set_xlabel(f"{self.step} (of {len(steps)})")
        self.ax_.set_ylabel("loss on the rows fitted on")

    @classmethod
    def _of_fitted(cls, combiner, names):
        picks = getattr(combiner, "picks_", None)
        if picks is None:
            return cls(combiner.loss_path_, step="batch")
        return cls(combiner.loss_path_, [names[m] for m in picks])

    def _mark_picks(self, steps, shown):
        """Mark where a member is new, and name the members where there is room."""
        names = np.array(self.picks)
        new = np.zeros(len(names), bool)
        new[np.unique(names, return_index=True)[1]] = True
        for which, face, label in (
            (new, BLUE, "new member"),
            (~new, "none", "picked again"),
        ):
            points = which[shown]
            if points.any():
                self.ax_.scatter(
                    steps[points],
                    self.losses[shown][points],
                    s=24,
                    facecolors=face,
                    edgecolors=BLUE,
                    label=label,
                    zorder=3,
                )
        if not new.all():
            legend(self.ax_)
        if len(names) <= 2 * _MOST_NAMED:
            few = len(names) <= _MOST_NAMED
            named = shown if few else np.flatnonzero(new)
            size = "small" if few else "x-small"
            text = {"rotation": 90, "fontsize": size}
            name_ticks(self.ax_.xaxis, steps[named], names[named], **text)
