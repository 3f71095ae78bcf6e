"""What it is worth not to answer: risk of the answers against their share."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..metrics._checks import check_share
from ..metrics.coverage import clopper_pearson
from ..selective import aurc, risk_coverage_curve
from ..selective._confidence import OF_PROBABILITIES, labels_and_confidence
from ._axes import legend, next_colour, share, thin
from ._display import Display
from ._source import check_array

__all__ = ["RiskCoverageDisplay"]


class RiskCoverageDisplay(Display):
    """Share of errors among the rows answered, over the share of rows answered.

    Rows are answered from the most confident down. A curve that rises from the left is
    of a confidence that knows where answers are wrong; a level one of a confidence that
    does not. The dashed line is the best there is with as many errors. The band is
    exact (Clopper-Pearson) for a threshold fixed before these rows were seen, and not
    for all thresholds at once: see `sgr_threshold` for a choice that holds. Use
    `from_estimator`, or `from_predictions`.

    Parameters
    ----------
    coverage, selective_risk : array-like of shape (n_points,)
        As `risk_coverage_curve` returns them: coverage ascending to 1.
    n_samples : int
        Rows, for the band.
    area : float, default=None
        `aurc`, for the legend.
    chosen : float, default=None
        Coverage at the threshold of a selective classifier, to be marked.
    confidence_level : float, default=0.95
        Of the band, in (0, 1).
    name : str, default=None
        Of the model, for the legend.

    Attributes
    ----------
    coverage, selective_risk : ndarray of shape (n_points,), float64
    drawn : ndarray of shape (n_drawn,), int64
        Points that are drawn: of more than 500 some, evenly, and both ends.
    low, high : ndarray of shape (n_drawn,), float64
        Ends of the band at these.
    line_, best_ : matplotlib.lines.Line2D
    band_ : matplotlib.collections.PolyCollection
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] El-Yaniv, Wiener, "On the Foundations of Noise-free Selective
       Classification", Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> from ensemblekit.plot import RiskCoverageDisplay
    >>> display = RiskCoverageDisplay.from_predictions(
    ...     ["a", "b", "b"], ["a", "b", "a"], [0.9, 0.8, 0.2])
    >>> display.selective_risk.round(3).tolist()
    [0.0, 0.0, 0.333]
    """

    line_: Any
    best_: Any
    band_: Any

    def __init__(
        self,
        coverage,
        selective_risk,
        n_samples,
        *,
        area=None,
        chosen=None,
        confidence_level=0.95,
        name=None,
    ):
        self.coverage = check_array(coverage, "coverage")
        self.selective_risk = check_array(selective_risk, "selective_risk")
        _check_curve(self.coverage, self.selective_risk)
        self.n_samples, self.area, self.chosen = int(n_samples), area, chosen
        self.confidence_level = check_share(confidence_level, "confidence_level")
        self.name = name
        self.drawn = thin(len(self.coverage))
        n_answered = np.round(self.coverage[self.drawn] * self.n_samples)
        n_wrong = np.round(self.selective_risk[self.drawn] * n_answered)
        self.low, self.high = clopper_pearson(n_wrong, n_answered, confidence_level)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        confidence="max_proba",
        confidence_level=0.95,
        name=None,
        ax=None,
    ):
        """Draw the curve of a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
            Of a `SelectiveClassifier` it is its own confidence that is drawn, and its
            threshold is marked.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that it was neither fitted nor calibrated on.
        y : array-like of shape (n_samples,)
        confidence : {"max_proba", "margin", "entropy"} or callable, \
                default="max_proba"
            Confidence in the answers of other classifiers, out of their probabilities
            as in `SelectiveClassifier`, or ``confidence(estimator, X)``.
        confidence_level : float, default=0.95
            Of the band, in (0, 1).
        name : str, default=None
            For the legend; None is the class of the estimator.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure; another display's shows both.

        Returns
        -------
        display : RiskCoverageDisplay

        Raises
        ------
        ValueError
            If the estimator has no probabilities, or confidence is unknown.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(estimator)
        labels, values, chosen = _answers(estimator, X, confidence)
        return cls.from_predictions(
            y,
            labels,
            values,
            chosen=chosen,
            confidence_level=confidence_level,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y,
        labels,
        confidence,
        *,
        chosen=None,
        confidence_level=0.95,
        name=None,
        ax=None,
    ):
        """Draw the curve of answers and their confidence.

        Parameters
        ----------
        y, labels : array-like of shape (n_samples,)
            True and predicted labels.
        confidence : array-like of shape (n_samples,)
            Finite; high where the answer is likely right.
        chosen : float, default=None
            A coverage to be marked.
        confidence_level : float, default=0.95
            Of the band, in (0, 1).
        name : str, default=None
            For the legend.
        ax : matplotlib.axes.Axes or None, default=None

        Returns
        -------
        display : RiskCoverageDisplay

        Raises
        ------
        ValueError
            If shapes disagree, or confidence is not finite.
        """
        y, labels = np.asarray(y), np.asarray(labels)
        if y.shape != labels.shape or y.ndim != 1:
            raise ValueError(
                f"y has shape {y.shape} and labels {labels.shape}; expected "
                "(n_samples,) for both."
            )
        correct = labels == y
        curve = risk_coverage_curve(confidence, correct)
        display = cls(
            curve.coverage,
            curve.selective_risk,
            len(y),
            area=aurc(confidence, correct),
            chosen=chosen,
            confidence_level=confidence_level,
            name=name,
        )
        return display.plot(ax)

    def _draw(self):
        """Draw the curve, its band and the best there is."""
        colour, x = next_colour(self.ax_), self.coverage[self.drawn]
        self.band_ = self.ax_.fill_between(
            x, self.low, self.high, color=colour, alpha=0.2, linewidth=0
        )
        (self.line_,) = self.ax_.plot(
            x, self.selective_risk[self.drawn], color=colour, label=self._label()
        )
        (self.best_,) = self.ax_.plot(
            *self._best(),
            color=colour,
            linestyle="--",
            linewidth=0.9,
            label="best order of its errors",
        )
        if self.chosen is not None:
            self._mark(colour)
        self._limit()
        self.ax_.set(
            xlabel="coverage: share of rows answered",
            ylabel=f"errors among them (band: {share(self.confidence_level)})",
        )
        legend(self.ax_)

    def _label(self):
        name = "answers" if self.name is None else self.name
        return name if self.area is None else f"{name}, AURC {self.area:.3g}"

    def _best(self):
        """Return the curve of rows that are right before those that are wrong."""
        error = self.selective_risk[-1]
        bent = np.linspace(max(1.0 - error, 1.0 / self.n_samples), 1.0, 50)
        x = np.append(min(self.coverage[0], bent[0]), bent)
        return x, np.maximum(0.0, 1.0 - (1.0 - error) / x)

    def _mark(self, colour):
        # Nothing may be answered at all.
        at = np.searchsorted(self.coverage, self.chosen - 0.5 / self.n_samples)
        if self.chosen > 0.0:
            self.ax_.plot(
                self.chosen,
                self.selective_risk[min(at, len(self.coverage) - 1)],
                color=colour,
                marker="D",
                linestyle="none",
                label=f"threshold chosen: answers {share(self.chosen)}",
            )

    def _limit(self):
        """Leave the few most confident rows, whose share is noise, out of the scale."""
        coverage = self.coverage[self.drawn]
        settled = coverage >= min(0.1, coverage[-1])
        top = max(self.high[settled].max(), 1e-3)
        n_before = self.ax_._ensemblekit_series - 1
        top = max(top, self.ax_.get_ylim()[1]) if n_before else 1.05 * top
        # A little below 0, where the best lines are.
        self.ax_.set(xlim=(0.0, 1.0), ylim=(-0.02 * top, top))


def _check_curve(coverage, risk):
    if coverage.shape != risk.shape:
        raise ValueError(
            f"coverage has shape {coverage.shape} and selective_risk {risk.shape}; "
            "expected equal ones."
        )
    rises = (np.diff(coverage) > 0.0).all() and coverage[0] > 0.0
    if not rises or coverage[-1] > 1.0 or risk.min() < 0.0 or risk.max() > 1.0:
        raise ValueError(
            "coverage does not ascend in (0, 1], or selective_risk is outside [0, 1]; "
            "expected those of risk_coverage_curve."
        )


def _answers(estimator, X, confidence):
    """Return labels, confidence, and the coverage that was chosen or None."""
    if hasattr(estimator, "threshold_") and hasattr(estimator, "predict_selective"):
        labels, accepted, values = estimator.predict_selective(X)
        return labels, values, float(np.mean(accepted))
    if not callable(confidence) and confidence not in OF_PROBABILITIES:
        raise ValueError(
            f"confidence is {confidence!r}; expected one of {sorted(OF_PROBABILITIES)} "
            "or a callable."
        )
    return *labels_and_confidence(confidence, estimator, X), None
