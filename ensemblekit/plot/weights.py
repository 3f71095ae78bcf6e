"""What each member weighs, and how firmly."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from ..combine._convex_classifier import ConvexClassifier
from ..combine._convex_regressor import ConvexRegressor
from ..combine._quantile_aggregator import QuantileAggregator
from ..library import PredictionLibrary
from ._axes import GREY, SKY, VERMILLION, ink, make_axes, name_ticks, share, title
from ._display import Display
from ._source import (
    as_library,
    check_array,
    check_names,
    find_fitted,
    fit_on,
    member_names,
    task_of,
)

__all__ = ["WeightsDisplay"]

_OWN_REPLICATES = 200


class WeightsDisplay(Display):
    """Weights of the members as bars, the largest first, with their intervals.

    Intervals show how far weights would move had other rows been drawn. Weights of
    members that predict alike move much, and their sum little: a wide interval does not
    say that the ensemble is unsure. Use `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    weights : array-like of shape (n_members,)
        Of any sign.
    names : sequence of str, default=None
        Of the members; None numbers them.
    intervals : array-like of shape (n_members, 2), default=None
        Lower and upper end for each weight.
    note : str, default=""
        What the intervals are.

    Attributes
    ----------
    weights, intervals : ndarray, float64
        As given.
    names : list of str
    bars_ : matplotlib.container.BarContainer
    interval_lines_ : matplotlib.collections.LineCollection or None
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from ensemblekit.plot import WeightsDisplay
    >>> display = WeightsDisplay([0.7, 0.0, 0.3], ["boosting", "bayes", "ridge"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['boosting', 'ridge']
    """

    bars_: Any
    interval_lines_: Any
    intervals: Any

    def __init__(self, weights, names=None, *, intervals=None, note=""):
        self.weights = check_array(weights, "weights")
        self.names = check_names(names, len(self.weights))
        self.intervals = None
        if intervals is not None:
            self.intervals = check_array(intervals, "intervals", 2)
            if self.intervals.shape != (len(self.weights), 2):
                raise ValueError(
                    f"intervals has shape {self.intervals.shape}; expected "
                    f"({len(self.weights)}, 2), a lower and an upper end for each "
                    "member."
                )
        self.note = note

    @classmethod
    def from_estimator(
        cls,
        estimator,
        P=None,
        y=None,
        *,
        n_bootstrap=None,
        alpha=0.1,
        random_state=0,
        max_members=20,
        ax=None,
    ):
        """Draw the weights of a fitted combiner or stack.

        Intervals are the combiner's own, where it was fitted with ``n_bootstrap``.
        Else copies of it are fitted on rows drawn with replacement out of P and y, or
        out of a stack's library: classes in their shares, and each row on its own,
        which is too narrow where rows come in groups.

        Parameters
        ----------
        estimator : fitted estimator with ``weights_``
            A combiner, or a stack around one, also scikit-learn's. A
            `QuantileAggregator` has one weight for each member in ``member_weights_``.
        P, y : array-like, default=None
            What the combiner was fitted on, for intervals; P may be a
            `PredictionLibrary`, with y None. A stack is given neither.
        n_bootstrap : int or None, default=None
            Fits of copies; 0 draws no intervals. None means 200 where combiners have a
            bootstrap of their own, which is quick, and 0 for others.
        alpha : float, default=0.1
            Intervals leave out a share alpha of the replicates; in (0, 1).
        random_state : int, RandomState or None, default=0
            Draws the rows.
        max_members : int, default=20
            Most bars; the others are added up.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        ValueError
            If the estimator has no weights of members, one for each; if a stack is
            given rows.
        ImportError
            If matplotlib is not installed.
        """
        combiner = find_fitted(estimator, "weights_", "a fitted combiner with weights")
        if hasattr(estimator, "cross_fit_"):  # hands on its combiner's weights
            combiner = estimator.combiner_
        if combiner is not estimator:
            _refuse_rows(estimator, P, y)
            P = getattr(estimator, "library_", None)
        library = None if P is None else as_library(y, P, combiner)
        names = member_names(estimator, len(member_weights(combiner)))
        if isinstance(P, PredictionLibrary):
            names = P.names
        draws = n_bootstrap, alpha, random_state
        display = cls._of_fitted(combiner, names, library, *draws)
        return display.plot(ax, max_members=max_members)

    @classmethod
    def from_predictions(
        cls,
        y,
        P,
        *,
        combiner=None,
        names=None,
        n_bootstrap=None,
        alpha=0.1,
        random_state=0,
        max_members=20,
        ax=None,
    ):
        """Fit a combiner on held-out predictions and draw its weights.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets or labels; None where P is a library.
        P : array-like of shape (n_samples, n_members * n_outputs), or \
                PredictionLibrary
        combiner : estimator or None, default=None
            Cloned. None means `ConvexClassifier` for a library of classes and for
            labels that are strings or bools, `QuantileAggregator` for a library of
            quantiles, else `ConvexRegressor`.
        names : sequence of str, default=None
            Of the members; None numbers them. A library has them itself.
        n_bootstrap, alpha, random_state, max_members, ax
            As for `from_estimator`.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        ValueError
            If the predictions are unfit for the combiner, or it has no weights.
        """
        combiner = default_combiner(y, P) if combiner is None else combiner
        library = as_library(y, P, combiner, names)
        fitted = fit_on(clone(combiner), library)
        draws = n_bootstrap, alpha, random_state
        display = cls._of_fitted(fitted, library.names, library, *draws)
        return display.plot(ax, max_members=max_members)

    def plot(self, ax=None, *, max_members=20):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.
        max_members : int, default=20
            Most bars; >= 1. The weights of the others are added up.

        Returns
        -------
        display : WeightsDisplay
        """
        if max_members < 1:
            raise ValueError(f"max_members is {max_members}; expected 1 or more.")
        shown, n_rest = self._choose(max_members)
        self.ax_, self.figure_ = make_axes(ax, 1.2 + 0.28 * (len(shown) + (n_rest > 0)))
        self._draw_bars(shown, n_rest)
        self.interval_lines_ = None
        if self.intervals is not None:
            self._draw_intervals(shown)
        self._write_values(shown, n_rest)
        n_zero = len(self.weights) - len(shown) - n_rest
        self.ax_.set_xlabel(f"weight (0 for {n_zero} more)" if n_zero else "weight")
        self.ax_.axvline(0.0, color=ink(), linewidth=0.8)
        if self.note:
            title(self.ax_, self.note)
        return self

    @classmethod
    def _of_fitted(cls, combiner, names, library, n_bootstrap, alpha, random_state):
        weights = member_weights(combiner)
        intervals, note = getattr(combiner, "weight_intervals_", None), ""
        if intervals is not None:
            alpha, n_bootstrap = combiner.alpha, combiner.n_bootstrap
        elif library is not None:
            if n_bootstrap is None:
                n_bootstrap = _OWN_REPLICATES if _has_bootstrap(combiner) else 0
            if n_bootstrap:
                intervals = _bootstrap(
                    combiner, library, n_bootstrap, alpha, random_state
                )
        if intervals is not None:
            note = f"lines: {share(1.0 - alpha)} of {n_bootstrap} bootstraps of rows"
        return cls(weights, names, intervals=intervals, note=note)

    def _choose(self, max_members):
        """Return the members that get a bar, in order, and how many do not."""
        reach = np.abs(self.weights)
        if self.intervals is not None:
            reach = np.maximum(reach, np.abs(self.intervals).max(axis=1))
        order = np.lexsort([-reach, -np.abs(self.weights)])
        order = order[reach[order] > 0.0]
        return order[:max_members], len(order[max_members:])

    def _draw_bars(self, shown, n_rest):
        lengths, names = self.weights[shown], [self.names[m] for m in shown]
        colours = np.where(lengths < 0.0, VERMILLION, SKY).tolist()
        if n_rest:
            rest = np.delete(self.weights, shown).sum()
            lengths, names = np.append(lengths, rest), [*names, f"{n_rest} others"]
            colours.append(GREY)
        places = np.arange(len(lengths))
        self.bars_ = self.ax_.barh(places, lengths, color=colours, height=0.7)
        name_ticks(self.ax_.yaxis, places, names)
        self.ax_.set_ylim(len(places) - 0.4, -0.6)  # the first on top
        self.ax_.tick_params(axis="y", length=0)

    def _draw_intervals(self, shown):
        low, high = self.intervals[shown].T
        self.interval_lines_ = self.ax_.hlines(
            np.arange(len(shown)), low, high, color=ink(), linewidth=1.3
        )

    def _write_values(self, shown, n_rest):
        ends = np.array([bar.get_width() for bar in self.bars_])
        right = np.maximum(ends, 0.0)
        if self.intervals is not None:
            right[: len(shown)] = np.maximum(
                right[: len(shown)], self.intervals[shown, 1]
            )
        for place, (end, value) in enumerate(zip(right, ends, strict=True)):
            self.ax_.annotate(
                f"{value:.3f}" if value else "0",
                (end, place),
                textcoords="offset points",
                xytext=(4, 0),
                va="center",
                fontsize="small",
            )
        low, high = self.ax_.get_xlim()
        # Room for the figures.
        self.ax_.set_xlim(low, high + 0.1 * (high - low))


def member_weights(combiner):
    """Return a fitted combiner's weights, one for each member.

    Raises
    ------
    ValueError
        If it has several for each.
    """
    name = "member_weights_" if hasattr(combiner, "member_weights_") else "weights_"
    weights = np.asarray(getattr(combiner, name))
    if weights.ndim != 1:
        raise ValueError(
            f"weights_ of {type(combiner).__name__} has shape {weights.shape}; "
            "expected one weight for each member. Give those of one target or class to "
            "WeightsDisplay itself."
        )
    return weights


def _refuse_rows(stack, P, y):
    """Refuse X and y, which are not what the combiner was fitted on."""
    if P is None and y is None:
        return
    raise ValueError(
        f"P or y is given with {type(stack).__name__}; expected a combiner with them, "
        "for X is not what a stack's combiner was fitted on. Leave them out, or give "
        "the combiner and its held-out predictions."
    )


def default_combiner(y, P):
    """Return the combiner that None means."""
    task = task_of(y, P)
    if task == "quantile":
        return QuantileAggregator(quantile_levels=P.quantile_levels)
    return ConvexClassifier() if task == "classification" else ConvexRegressor()


def _has_bootstrap(combiner):
    return "n_bootstrap" in combiner.get_params()


def _bootstrap(combiner, library, n_bootstrap, alpha, random_state):
    """Return the central share of weights over fits on rows drawn anew."""
    if _has_bootstrap(combiner):
        again = clone(combiner).set_params(
            n_bootstrap=n_bootstrap, alpha=alpha, random_state=random_state
        )
        return fit_on(again, library).weight_intervals_
    random = check_random_state(random_state)
    strata = _strata(library)
    draws = [
        member_weights(fit_on(clone(combiner), library, _draw(strata, random)))
        for _ in range(n_bootstrap)
    ]
    return np.quantile(draws, [alpha / 2.0, 1.0 - alpha / 2.0], axis=0).T


def _strata(library):
    """Return the rows of each class, so that none is without rows in a draw."""
    if library.classes is None:
        return [np.arange(library.n_samples)]
    return [np.flatnonzero(library.y == c) for c in np.unique(library.y)]


def _draw(strata, random):
    return np.concatenate(
        [rows[random.randint(len(rows), size=len(rows))] for rows in strata]
    )
