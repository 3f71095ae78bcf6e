"""How often intervals hold the target, by their width or by group."""

from typing import Any

import numpy as np

from ..conformal import coverage_by_width
from ..metrics import interval_coverage
from ._axes import BLUE, GREY, VERMILLION, name_ticks, share, title
from ._display import Display
from ._source import check_array, require_method

__all__ = ["CoverageDisplay"]

_MOST_NAMED = 40
_DRAWN = ("coverage", "low", "high", "expected_low", "expected_high", "as_expected")


class CoverageDisplay(Display):
    """Coverage of intervals by group, with exact bands, against what was aimed at.

    A dot is the share of a group's rows that their intervals hold, its line the
    Clopper-Pearson band of the coverage. The grey bar is where the share lies, with
    probability `confidence`, if the coverage is as aimed at; groups outside of it have
    another colour. Without groups rows are put together by the width of their
    intervals: coverage that falls or rises with the width says that intervals do not
    follow what is uncertain. Use `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    table : Bunch or mapping of arrays of shape (n_groups,)
        As `interval_coverage` or `coverage_by_width` return it: `group`, `n_rows`,
        `coverage`, `low`, `high`, `expected_low`, `expected_high`, `as_expected`.
    alpha : float
        Miscoverage that was aimed at, in (0, 1).
    confidence : float, default=0.95
        Of the bands.
    names : sequence of str, default=None
        Of the groups; None takes the table's.
    by : str, default="group"
        What groups are, for the axis.

    Attributes
    ----------
    table : Bunch
    names : list of str
    dots_ : matplotlib.collections.PathCollection
    bands_, expected_ : matplotlib.collections.LineCollection
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from ensemblekit.plot import CoverageDisplay
    >>> y, interval = [1.0, 2.0, 3.0, 9.0], [[0.0, 5.0]] * 4
    >>> groups = ["a", "a", "b", "b"]
    >>> display = CoverageDisplay.from_predictions(y, interval, 0.1, groups=groups)
    >>> display.names, display.table.coverage.tolist()
    (['a', 'b'], [1.0, 0.5])
    """

    dots_: Any
    bands_: Any
    expected_: Any

    def __init__(self, table, alpha, *, confidence=0.95, names=None, by="group"):
        self.table, self.alpha, self.confidence = table, alpha, confidence
        groups = table["group"] if names is None else names
        self.names = [str(group) for group in groups]
        if len(self.names) != len(table["coverage"]):
            raise ValueError(
                f"names has {len(self.names)} entries; expected "
                f"{len(table['coverage'])}, one for each group."
            )
        self.by = by

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        alpha=None,
        groups=None,
        n_bins=5,
        confidence=0.95,
        ax=None,
    ):
        """Draw the coverage of a fitted estimator's intervals.

        Parameters
        ----------
        estimator : fitted estimator with ``predict_interval(X, alpha)``
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that neither trained nor calibrated.
        y : array-like of shape (n_samples,)
        alpha : float, default=None
            Miscoverage, in (0, 1); None means the estimator's `alpha`, or 0.1.
        groups : array-like of shape (n_samples,), default=None
            Group of each row; handed to an estimator that was calibrated by group. None
            means bins by width.
        n_bins : int, default=5
            Bins by width.
        confidence : float, default=0.95
            Of the bands, in (0, 1).
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        display : CoverageDisplay

        Raises
        ------
        ValueError
            If the estimator predicts no intervals, or alpha is not a single number.
        ImportError
            If matplotlib is not installed.
        """
        expected = "an estimator with intervals, such as ConformalRegressor"
        require_method(estimator, "predict_interval", expected)
        alpha = getattr(estimator, "alpha", 0.1) if alpha is None else alpha
        if np.ndim(alpha):
            raise ValueError(f"alpha is {alpha!r}; expected one number.")
        by_group = getattr(estimator, "group_counts_", None) is not None
        extra = {"groups": groups} if by_group else {}
        interval = estimator.predict_interval(X, alpha, **extra)
        options = {"groups": groups, "n_bins": n_bins, "confidence": confidence}
        return cls.from_predictions(y, interval, float(alpha), ax=ax, **options)

    @classmethod
    def from_predictions(
        cls, y, interval, alpha, *, groups=None, n_bins=5, confidence=0.95, ax=None
    ):
        """Draw the coverage of intervals.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Targets, of rows that neither trained nor calibrated.
        interval : array-like of shape (n_samples, 2)
            Lower and upper ends.
        alpha : float
            Miscoverage that was aimed at, in (0, 1).
        groups : array-like of shape (n_samples,), default=None
            Group of each row; None means bins by width.
        n_bins : int, default=5
            Bins by width, of about as many rows; >= 1.
        confidence : float, default=0.95
            Of the bands, in (0, 1).
        ax : matplotlib.axes.Axes or None, default=None

        Returns
        -------
        display : CoverageDisplay

        Raises
        ------
        ValueError
            If values are NaN, shapes disagree, or alpha or confidence is outside
            (0, 1).
        """
        if groups is None:
            table = coverage_by_width(
                y, interval, alpha, n_bins=n_bins, confidence=confidence
            )
            names = _ranges(table.least_width, table.largest_width)
            options = {"names": names, "by": "width of the interval"}
        else:
            low, high = _ends(interval)
            table = interval_coverage(
                y, low, high, alpha, groups=groups, confidence=confidence
            )
            options = {}
        return cls(table, alpha, confidence=confidence, **options).plot(ax)

    def _draw(self):
        """Draw the coverages, one line for each group."""
        n_groups = len(self.names)
        order = self._order()
        table = {key: np.asarray(self.table[key])[order] for key in _DRAWN}
        places = np.arange(n_groups)
        thick = float(np.clip(150.0 / n_groups, 1.0, 9.0))
        self.expected_ = self.ax_.hlines(
            places,
            table["expected_low"],
            table["expected_high"],
            color=GREY,
            alpha=0.45,
            linewidth=thick,
        )
        colours = np.where(table["as_expected"], BLUE, VERMILLION)
        self.bands_ = self.ax_.hlines(
            places,
            table["low"],
            table["high"],
            color=colours,
            linewidth=min(1.3, thick),
        )
        self.dots_ = self.ax_.scatter(
            table["coverage"],
            places,
            c=colours,
            s=float(np.clip(600.0 / n_groups, 4.0, 30.0)),
            zorder=3,
        )
        self.ax_.axvline(1.0 - self.alpha, color=GREY, linestyle="--", linewidth=1.0)
        self._name_groups(order)
        self._describe()

    def _size(self):
        return 1.7 + 0.28 * min(len(self.names), 25), None

    def _order(self):
        """Return the groups from top to bottom: of many, by their coverage."""
        if len(self.names) <= _MOST_NAMED or self.by != "group":
            return np.arange(len(self.names))
        return np.argsort(self.table["coverage"], kind="stable")

    def _name_groups(self, order):
        """Name all groups, or of many some that deviate, those that do most first."""
        n_groups = len(order)
        self.ax_.set_ylim(n_groups - 0.4, -0.6)  # the first on top
        named = list(range(n_groups))
        if n_groups > _MOST_NAMED:
            outside = np.flatnonzero(~np.asarray(self.table["as_expected"])[order])
            gaps = np.abs(
                np.asarray(self.table["coverage"])[order][outside] - 1.0 + self.alpha
            )
            named = []
            for place in outside[np.argsort(-gaps, kind="stable")]:
                if all(abs(place - other) >= n_groups / 25 for other in named):
                    named.append(int(place))
        name_ticks(self.ax_.yaxis, named, [self.names[order[n]] for n in named])

    def _describe(self):
        n_rows = np.asarray(self.table["n_rows"])
        rows = f"{n_rows.min()}"
        if n_rows.min() < n_rows.max():
            rows += f" to {n_rows.max()}"
        self.ax_.set(
            ylabel=self.by,
            xlabel=f"coverage (lines: {share(self.confidence)} bands; "
            f"{rows} rows each)",
        )
        n_outside = np.count_nonzero(~np.asarray(self.table["as_expected"]))
        # By chance a group is outside with a probability of 1 - confidence at most.
        chance = (1.0 - self.confidence) * len(n_rows)
        title(
            self.ax_,
            f"aimed at {share(1.0 - self.alpha)}; outside the grey bars: "
            f"{n_outside} of {len(n_rows)} (by chance up to {chance:.2g})",
        )


def _ends(interval):
    """Return both ends of each interval."""
    bounds = check_array(interval, "interval", 2, infinite=True)
    if bounds.shape[1] != 2:
        raise ValueError(
            f"interval has shape {bounds.shape}; expected (n_samples, 2), the lower "
            "and the upper end of each."
        )
    return bounds.T


def _ranges(least, largest):
    return [
        f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        for low, high in zip(least, largest, strict=True)
    ]
