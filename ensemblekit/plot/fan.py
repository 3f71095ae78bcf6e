"""Quantiles of each row as bands around the median, with what came true."""

from typing import Any

import numpy as np

from .. import _levels, layout
from ._axes import BLUE, VERMILLION, ink, legend, share, thin
from ._display import Display
from ._source import check_array, require_method

__all__ = ["QuantileFanDisplay"]

_MOST_NAMED = 5


class QuantileFanDisplay(Display):
    """Quantiles of each row as bands around the median, with the targets as dots.

    Each level below 0.5 makes a band with the one as far above. In the order of the
    rows it shows a series; ordered by the median it shows, for a table, where
    predictions are wide. Use `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    quantiles : array-like of shape (n_samples, n_levels)
        Ascending along each row; infinite ends are allowed.
    quantile_levels : array-like of shape (n_levels,)
        Ascending in (0, 1).
    y : array-like of shape (n_samples,), default=None
        Targets.
    x : array-like of shape (n_samples,), default=None
        Where rows stand, ascending, such as times; None numbers them.
    xlabel : str, default=None
        None says what x is.

    Attributes
    ----------
    quantiles, quantile_levels, y, x : ndarray
        As given, y or None.
    bands_ : list of matplotlib.collections.PolyCollection
        The widest first.
    median_ : matplotlib.lines.Line2D or None
    dots_ : matplotlib.collections.PathCollection or None
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> from ensemblekit.plot import QuantileFanDisplay
    >>> display = QuantileFanDisplay.from_predictions(
    ...     [1.0, 5.0], [[0.0, 1.0, 2.0], [1.0, 2.0, 4.0]], [0.1, 0.5, 0.9])
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['80 %', 'median', 'y: 50 % inside 80 %']
    """

    bands_: Any
    median_: Any
    dots_: Any

    def __init__(self, quantiles, quantile_levels, y=None, *, x=None, xlabel=None):
        self.quantile_levels = layout.check_levels(quantile_levels)
        self.quantiles = check_array(quantiles, "quantiles", 2, infinite=True)
        n_rows, n_levels = self.quantiles.shape
        if n_levels != len(self.quantile_levels):
            raise ValueError(
                f"quantiles has {n_levels} columns; expected "
                f"{len(self.quantile_levels)}, one for each level."
            )
        if (self.quantiles[:, 1:] < self.quantiles[:, :-1]).any():
            raise ValueError(
                "quantiles cross in a row; sort them along each row first."
            )
        self.y = None if y is None else _of_rows(y, "y", n_rows)
        self.x = np.arange(n_rows) if x is None else np.asarray(x)
        if self.x.shape != (n_rows,) or (self.x[1:] < self.x[:-1]).any():
            raise ValueError(
                f"x has shape {self.x.shape}, or does not ascend; expected ({n_rows},) "
                "ascending values."
            )
        self.xlabel = ("row" if x is None else "x") if xlabel is None else xlabel

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        quantile_levels=None,
        x=None,
        order="given",
        max_rows=200,
        ax=None,
    ):
        """Draw the quantiles that a fitted estimator predicts.

        Parameters
        ----------
        estimator : fitted estimator with ``predict_quantiles``
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that it was not fitted on.
        y : array-like of shape (n_samples,), default=None
        quantile_levels : array-like of shape (n_levels,), default=None
            For estimators that predict any levels, such as `ConformalRegressor`; None
            means 0.05, 0.1, 0.25, 0.5 and their mirrors.
        x, order, max_rows, ax
            As for `from_predictions`.

        Returns
        -------
        display : QuantileFanDisplay

        Raises
        ------
        ValueError
            If the estimator predicts no quantiles, or its own levels are others than
            those asked for.
        ImportError
            If matplotlib is not installed.
        """
        quantiles, levels = _predicted(estimator, X, quantile_levels)
        options = {"x": x, "order": order, "max_rows": max_rows}
        return cls.from_predictions(y, quantiles, levels, ax=ax, **options)

    @classmethod
    def from_predictions(
        cls,
        y,
        quantiles,
        quantile_levels,
        *,
        x=None,
        order="given",
        max_rows=200,
        ax=None,
    ):
        """Draw quantiles.

        Parameters
        ----------
        y : array-like of shape (n_samples,), or None
            Targets.
        quantiles : array-like of shape (n_samples, n_levels)
            Ascending along each row.
        quantile_levels : array-like of shape (n_levels,)
            Ascending in (0, 1).
        x : array-like of shape (n_samples,), default=None
            Where rows stand, such as times; only with ``order="given"``.
        order : {"given", "median"}, default="given"
            Order of the rows: as they are, by x where it is given, or by their medians.
        max_rows : int, default=200
            Of more rows some are left out, evenly along the order.
        ax : matplotlib.axes.Axes or None, default=None

        Returns
        -------
        display : QuantileFanDisplay

        Raises
        ------
        ValueError
            If values are NaN, quantiles cross, or shapes disagree.
        """
        if order not in ("given", "median") or (x is not None and order != "given"):
            raise ValueError(
                f"order is {order!r}; expected 'given', or 'median' without x."
            )
        whole = cls(quantiles, quantile_levels, y)  # checks them
        n_rows = len(whole.quantiles)
        rows = np.arange(n_rows)
        if order == "median":
            rows = np.argsort(whole._middle(), kind="stable")
        elif x is not None:
            x = np.asarray(x)
            if x.shape != (n_rows,):
                raise ValueError(f"x has shape {x.shape}; expected ({n_rows},).")
            rows = np.argsort(x, kind="stable")
        kept = thin(n_rows, max_rows)
        rows = rows[kept]
        display = cls(
            whole.quantiles[rows],
            whole.quantile_levels,
            None if whole.y is None else whole.y[rows],
            x=kept if x is None else x[rows],
            xlabel=_describe(order, x, len(rows), n_rows),
        )
        return display.plot(ax)

    def _draw(self):
        """Draw bands, the median where 0.5 is a level, and the targets."""
        handles = self._draw_bands()
        middle = np.flatnonzero(self.quantile_levels == 0.5)
        self.median_ = self.dots_ = None
        if middle.size:
            (self.median_,) = self.ax_.plot(
                self.x,
                self.quantiles[:, middle[0]],
                color=ink(),
                linewidth=1.0,
                marker="" if len(self.x) > 1 else "_",
                label="median",
            )
            handles.append(self.median_)
        if self.y is not None:
            handles.append(self._draw_targets())
        self.ax_.set(xlabel=self.xlabel, ylabel="y", ylim=self._limits())
        legend(self.ax_, handles=handles)

    def _draw_bands(self):
        """Draw the widest band first and return entries for the legend."""
        from matplotlib.patches import Patch

        levels, n_bands = self.quantile_levels, len(self.quantile_levels) // 2
        alpha = min(0.25, 0.8 / max(n_bands, 1))
        low, high = self._limits()
        inside = np.clip(self.quantiles, low, high)  # infinite ends
        self.bands_, handles = [], []
        named = set(thin(n_bands, _MOST_NAMED).tolist()) if n_bands else set()
        for n in range(n_bands):
            ends = inside[:, n], inside[:, -1 - n]
            self.bands_.append(self._draw_band(*ends, alpha))
            if n in named:
                # Bands lie on each other.
                depth = 1.0 - (1.0 - alpha) ** (n + 1)
                label = _name(levels[n], levels[-1 - n])
                handles.append(Patch(color=BLUE, alpha=depth, lw=0, label=label))
        return handles

    def _draw_band(self, low, high, alpha):
        if len(self.x) > 1:
            return self.ax_.fill_between(
                self.x, low, high, color=BLUE, alpha=alpha, linewidth=0
            )
        return self.ax_.vlines(self.x, low, high, color=BLUE, alpha=alpha, linewidth=14)

    def _draw_targets(self):
        low, high = self.quantiles[:, 0], self.quantiles[:, -1]
        held = float(np.mean((low <= self.y) & (self.y <= high)))
        label = "y"
        if len(self.quantile_levels) > 1:
            widest = _name(self.quantile_levels[0], self.quantile_levels[-1])
            label = f"y: {share(held)} inside {widest}"
        size = float(np.clip(2000.0 / len(self.x), 4.0, 20.0))
        self.dots_ = self.ax_.scatter(
            self.x, self.y, s=size, color=VERMILLION, zorder=3, label=label
        )
        return self.dots_

    def _middle(self):
        """Return what rows are sorted by: the level nearest to 0.5."""
        nearest = np.argmin(np.abs(self.quantile_levels - 0.5))
        return self.quantiles[:, nearest]

    def _limits(self):
        """Return limits of the axis that all finite values are inside of."""
        finite = self.quantiles[np.isfinite(self.quantiles)]
        values = finite if self.y is None else np.append(finite, self.y)
        if not len(values):
            return -1.0, 1.0
        margin = 0.05 * (values.max() - values.min()) or 1.0
        return values.min() - margin, values.max() + margin


def _predicted(estimator, X, wanted):
    """Return quantiles and their levels."""
    expected = "an estimator of quantiles, such as StackedQuantileRegressor"
    require_method(estimator, "predict_quantiles", expected)
    own = getattr(estimator, "quantile_levels_", None)
    if own is None:
        levels = _levels.DEFAULT_LEVELS if wanted is None else wanted
        return estimator.predict_quantiles(X, levels), levels
    if wanted is not None and not np.array_equal(own, wanted):
        raise ValueError(
            f"quantile_levels is {list(wanted)}, but {type(estimator).__name__} was "
            f"fitted for {own.tolist()}."
        )
    return estimator.predict_quantiles(X), own


def _describe(order, x, n_shown, n_rows):
    text = "row, by median" if order == "median" else "row" if x is None else "x"
    return text if n_shown == n_rows else f"{text} ({n_shown} of {n_rows} shown)"


def _of_rows(values, label, n_rows):
    values = check_array(values, label)
    if len(values) != n_rows:
        raise ValueError(
            f"{label} has {len(values)} values; expected {n_rows}, one for each row."
        )
    return values


def _name(low, high):
    """Return the share between two levels, or these where they are no mirrors."""
    if abs(low + high - 1.0) < 1e-9:
        return share(high - low)
    return f"levels {low:.3g} to {high:.3g}"
