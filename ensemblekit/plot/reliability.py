"""Are probabilities honest: observed shares against predicted ones."""

from typing import Any

import numpy as np

from ..exceptions import describe_rows
from ..metrics._checks import check_share
from ..metrics.coverage import clopper_pearson
from ._axes import GREY, legend, next_colour, share
from ._display import Display
from ._source import check_array, require_method

__all__ = ["ReliabilityDisplay"]


class ReliabilityDisplay(Display):
    """Observed share of a class against its predicted probability, in bins of rows.

    On the diagonal, of the rows predicted 0.3 a share of 0.3 is of the class. Upright
    lines are Clopper-Pearson bands of the observed shares: one that misses the diagonal
    is evidence, but one in twenty does by chance. They are a little too wide, since the
    rows of a bin differ in probability. With more than two classes it is the most
    probable class, and whether it is right. Use `from_estimator`, or
    `from_predictions`.

    Parameters
    ----------
    predicted, observed : array-like of shape (n_bins,)
        Mean probability and share of the class in each bin, in [0, 1].
    n_rows : array-like of shape (n_bins,), int
    confidence : float, default=0.95
        Probability that a band holds what it is for, in (0, 1).
    of : str, default="the class"
        What is predicted, for the axes.
    name : str, default=None
        Of the model, for the legend.

    Attributes
    ----------
    predicted, observed, low, high : ndarray of shape (n_bins,), float64
        `low` and `high` are the ends of the bands.
    n_rows : ndarray of shape (n_bins,), int64
    line_ : matplotlib.lines.Line2D
    bands_, counts_ : matplotlib.collections.LineCollection, \
            matplotlib.container.BarContainer
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Niculescu-Mizil, Caruana, "Predicting good probabilities with supervised
       learning", ICML 2005.
    .. [2] Clopper, Pearson, "The use of confidence or fiducial limits illustrated in
       the case of the binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> from ensemblekit.plot import ReliabilityDisplay
    >>> y, p = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.2, 0.8, 0.8, 0.9]
    >>> display = ReliabilityDisplay.from_predictions(y, p, n_bins=2)
    >>> display.predicted.round(3).tolist(), display.observed.round(3).tolist()
    ([0.167, 0.833], [0.333, 0.667])
    """

    line_: Any
    bands_: Any
    counts_: Any

    def __init__(
        self,
        predicted,
        observed,
        n_rows,
        *,
        confidence=0.95,
        of="the class",
        name=None,
    ):
        self.predicted = _check_shares(predicted, "predicted")
        self.observed = _check_shares(observed, "observed")
        self.n_rows = np.asarray(n_rows)
        if not self.predicted.shape == self.observed.shape == self.n_rows.shape:
            raise ValueError(
                f"predicted, observed and n_rows have shapes {self.predicted.shape}, "
                f"{self.observed.shape} and {self.n_rows.shape}; expected equal ones."
            )
        confidence = check_share(confidence, "confidence")
        n_of_class = np.round(self.observed * self.n_rows).astype(np.int64)
        self.low, self.high = clopper_pearson(n_of_class, self.n_rows, confidence)
        self.confidence, self.of, self.name = confidence, of, name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        n_bins=10,
        strategy="quantile",
        pos_label=None,
        confidence=0.95,
        name=None,
        ax=None,
    ):
        """Draw how honest the probabilities of a fitted classifier are.

        Parameters
        ----------
        estimator : fitted classifier with ``predict_proba``
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that it was not fitted on.
        y : array-like of shape (n_samples,)
        n_bins, strategy, pos_label, confidence, ax
            As for `from_predictions`.
        name : str, default=None
            For the legend; None is the class of the estimator.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If the estimator has no probabilities.
        ImportError
            If matplotlib is not installed.
        """
        expected = "a classifier with probabilities"
        require_method(estimator, "predict_proba", expected)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            classes=estimator.classes_,
            n_bins=n_bins,
            strategy=strategy,
            pos_label=pos_label,
            confidence=confidence,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y,
        proba,
        *,
        classes=None,
        n_bins=10,
        strategy="quantile",
        pos_label=None,
        confidence=0.95,
        name=None,
        ax=None,
    ):
        """Draw how honest probabilities are.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels.
        proba : array-like of shape (n_samples,) or (n_samples, n_classes)
            Probabilities, one-dimensional of the second of two classes.
        classes : array-like of shape (n_classes,), default=None
            Labels in the order of the columns; None means those in y, sorted.
        n_bins : int, default=10
            >= 1. There are fewer where bins would be empty or share their values.
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins of about as many rows, or of equal width.
        pos_label : label, default=None
            The class that is looked at. None means the second of two classes, and of
            more the most probable one of each row.
        confidence : float, default=0.95
            Of the bands, in (0, 1).
        name : str, default=None
            For the legend.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure; another display's shows both.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If probabilities are outside [0, 1], shapes disagree, or a label is unknown.
        """
        y = np.asarray(y)
        classes = np.unique(y) if classes is None else np.asarray(classes)
        predicted, hits, of = _of_interest(y, proba, classes, pos_label)
        codes = _bins(predicted, n_bins, strategy)
        n_rows = np.bincount(codes)
        display = cls(
            np.clip(np.bincount(codes, predicted) / n_rows, 0.0, 1.0),
            np.bincount(codes, hits) / n_rows,
            n_rows,
            confidence=confidence,
            of=of,
            name=name,
        )
        return display.plot(ax)

    def _draw(self):
        """Draw the shares, their bands, and how many rows there are."""
        colour, first = next_colour(self.ax_), not self.ax_.lines
        if first:
            self.ax_.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        self.bands_ = self.ax_.vlines(
            self.predicted, self.low, self.high, color=colour, linewidth=1.2
        )
        (self.line_,) = self.ax_.plot(
            self.predicted,
            self.observed,
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.2,
            label=self.name,
        )
        self._draw_counts(colour)
        self.ax_.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.14, 1.02),
            yticks=np.linspace(0.0, 1.0, 6),
            xlabel=f"predicted probability of {self.of} (below: rows)",
            ylabel=f"observed share (lines: {share(self.confidence)} bands)",
        )
        if self.name is not None:
            legend(self.ax_, loc="upper left")

    def _draw_counts(self, colour):
        """Draw under 0 how many rows each bin has, the largest in full height."""
        heights = 0.1 * self.n_rows / self.n_rows.max()
        self.counts_ = self.ax_.bar(
            self.predicted, heights, width=0.012, bottom=-0.13, color=colour, alpha=0.6
        )


def _check_shares(values, label):
    values = check_array(values, label)
    if values.min() < 0.0 or values.max() > 1.0:
        raise ValueError(f"{label} has values outside [0, 1]; expected shares.")
    return values


def _of_interest(y, proba, classes, pos_label):
    """Return a probability for each row, whether it came true, and of what it is."""
    proba = check_array(proba, "proba", np.ndim(proba))
    if proba.ndim == 1:
        proba = np.column_stack([1.0 - proba, proba])
    if proba.shape != (len(y), len(classes)) or y.ndim != 1:
        raise ValueError(
            f"proba has shape {proba.shape} and y {y.shape}; expected a row for each "
            f"label and a column for each of the {len(classes)} classes."
        )
    outside = ((proba < 0.0) | (proba > 1.0)).any(axis=1)
    if outside.any():
        raise ValueError(
            f"proba has values outside [0, 1] ({describe_rows(np.flatnonzero(outside))}"
            "); expected probabilities."
        )
    if not np.isin(y, classes).all():
        raise ValueError(f"y has labels besides the classes {classes.tolist()}.")
    if pos_label is None and len(classes) > 2:
        best = proba.argmax(axis=1)
        right = classes[best] == y
        return proba[np.arange(len(y)), best], right, "the most probable class"
    column = len(classes) - 1 if pos_label is None else _column(classes, pos_label)
    label = classes[column]
    return proba[:, column], y == label, f"class {label}"


def _column(classes, label):
    found = np.flatnonzero(classes == label)
    if not len(found):
        raise ValueError(f"pos_label is {label!r}; expected one of {classes.tolist()}.")
    return int(found[0])


def _bins(values, n_bins, strategy):
    """Return the number of each row's bin; equal values share one, none is empty."""
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; expected 1 or more.")
    if strategy == "uniform":
        codes = np.minimum((values * n_bins).astype(np.int64), n_bins - 1)
    elif strategy == "quantile":
        ordered = np.sort(values)
        last = np.arange(1, n_bins + 1) * len(ordered) // n_bins - 1
        codes = np.searchsorted(np.unique(ordered[last[last >= 0]]), values)
    else:
        raise ValueError(f"strategy is {strategy!r}; expected 'quantile' or 'uniform'.")
    return np.unique(codes, return_inverse=True)[1]
