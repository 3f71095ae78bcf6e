"""RecalibratedClassifier, RecalibratedRegressor: a combiner and a calibrator."""

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .._sklearn import HasMethods, Interval, Real, StrOptions, _fit_context
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    validate_classification,
    validate_regression,
)
from ._calibration_base import (
    IsotonicClassCalibrator,
    IsotonicValueCalibrator,
    LineCalibrator,
    LogCalibrator,
)
from ._convex_classifier import ConvexClassifier
from ._convex_regressor import ConvexRegressor
from ._recalibrated_base import apply_calibrator, fit_recalibrated

__all__ = ["RecalibratedClassifier", "RecalibratedRegressor"]

_VALUE_CALIBRATORS = {"affine": LineCalibrator, "isotonic": IsotonicValueCalibrator}


class RecalibratedClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Recalibrate the probabilities of any combiner on rows held out from it.

    Mixtures of sharp members may be too sharp, mixtures of many too flat. Each fold's
    rows are predicted by the combiner fitted on the other rows, a calibrator of few
    parameters is fitted on these predictions, and the combiner is fitted again on all
    rows; no member is. Where rows are few, the calibrator's own noise may cost more
    than it gains.

    Parameters
    ----------
    combiner : classifier or None, default=None
        Fitted on P; needs `predict_proba`. A combiner, or any classifier; None means
        ``ConvexClassifier()``.
    calibrate : {"temperature", "affine", "isotonic"} or None, default="affine"
        ``"temperature"`` is ``softmax(slope_ * log p)``. ``"affine"`` adds a bias for
        each class, where members find one too likely. Both minimise the log loss, and
        read probabilities below 1e-6 as 1e-6. ``"isotonic"`` is any monotone function
        of the second class's probability (of more than two classes: of each one's, then
        scaled to sum to 1), no closer to 0 and 1 than ``1 / (n + 2)``, n the number of
        rows held out; with less than many thousand rows it mostly raises the log loss.
        None leaves the combiner as it is.
    ridge : float, default=0.03
        Adds ``ridge / 2 * ((slope_ - 1)**2 + ||intercept_||**2)`` to the mean log loss
        of ``"temperature"`` and ``"affine"``; > 0. It draws to the combiner as it is
        where rows are few, and keeps the answer finite where classes are separable.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds; an int means that many stratified, shuffled folds with a fixed seed,
        or as many as the largest class has rows. Of one row a class none can be held
        out: the combiner is left as it is, as by ``calibrate=None``. Where rows come in
        groups, give the splits that keep groups together. A row held out several times
        counts with its mean prediction, a row held out never does not count. A fold
        whose training rows lack a class is left out.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    combiner_ : classifier
        Fitted on all rows.
    slope_ : float
        At least 0.001; below 1 flattens, above 1 sharpens. What is called temperature
        is one over it. Only for ``"temperature"`` and ``"affine"``.
    intercept_ : ndarray of shape (n_classes,), float64
        Biases, which sum to 0; only for ``"temperature"`` (all 0) and ``"affine"``.
    isotonic_ : list of IsotonicRegression
        One for two classes, else one for each class; only for ``"isotonic"``.
    weights_ : ndarray of shape (n_members,), float64
        The inner combiner's, where it is one of this package that has them.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit or not taken by
        the inner combiner, or no fold trains on all classes.

    Notes
    -----
    Time: the inner combiner's fit, once for each fold and once on all rows.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks",
       ICML 2017.
    .. [2] Zadrozny, Elkan, "Transforming Classifier Scores into Accurate Multiclass
       Probability Estimates", KDD 2002.

    Examples
    --------
    >>> from ensemblekit import RecalibratedClassifier
    >>> P = [[0.01], [0.02], [0.98], [0.99]] * 25  # one member, far too sure
    >>> y = ["no", "no", "yes", "no"] * 25
    >>> combiner = RecalibratedClassifier().fit(P, y)
    >>> combiner.slope_ < 0.5
    True
    """

    _parameter_constraints: dict = {
        "combiner": [HasMethods(["fit", "predict_proba"]), None],
        "calibrate": [StrOptions({"temperature", "affine", "isotonic"}), None],
        "ridge": [Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
    }

    def __init__(self, combiner=None, *, calibrate="affine", ridge=0.03, cv=5):
        self.combiner = combiner
        self.calibrate = calibrate
        self.ridge = ridge
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Fit the calibrator on held-out rows, then the combiner on all rows.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; handed to the combiner's fit and the calibrator's. An integer
            weight equals that many copies of the row in the same fold (the bound of
            ``"isotonic"`` counts rows, whatever they weigh).

        Returns
        -------
        self : RecalibratedClassifier
        """
        P, codes, weight = validate_classification(self, P, y, sample_weight)
        passed = None if sample_weight is None else weight
        combiner = ConvexClassifier() if self.combiner is None else self.combiner
        rows = P, self.classes_[codes], passed
        calibrator = self._make_calibrator()
        fit_recalibrated(self, calibrator, combiner, rows, "classification")
        return self

    def _make_calibrator(self):
        if self.calibrate is None:
            return None
        if self.calibrate == "isotonic":
            return IsotonicClassCalibrator()
        return LogCalibrator(self.calibrate == "affine", self.ridge)

    def _combine(self, P):
        return apply_calibrator(self, self.combiner_.predict_proba(P))


class RecalibratedRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Correct the predictions of any combiner for what it gets wrong on held-out rows.

    A mixture of members that all shrink toward the mean of y shrinks too, and one of
    biased members is biased. Each fold's rows are predicted by the combiner fitted on
    the other rows, a line or a monotone function from these predictions to y is fitted,
    and the combiner is fitted again on all rows; no member is.

    Parameters
    ----------
    combiner : regressor or None, default=None
        Fitted on P. A combiner, or any regressor; None means ``ConvexRegressor()``.
    calibrate : {"affine", "isotonic"} or None, default="affine"
        ``"affine"`` is ``intercept_ + slope_ * prediction``, by least squares.
        ``"isotonic"`` is any monotone function, constant outside the predictions held
        out; it needs many thousand rows. None leaves the combiner as it is.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds; an int means that many shuffled folds with a fixed seed, or as many
        as there are rows. Of one row none can be held out: the combiner is left as it
        is, as by ``calibrate=None``. Where rows come in groups, give the splits that
        keep groups together. A row held out several times counts with its mean
        prediction, a row held out never does not count.

    Attributes
    ----------
    combiner_ : regressor
        Fitted on all rows.
    slope_, intercept_ : float
        Only for ``"affine"``. Where all predictions are the same the slope is 1.
    isotonic_ : IsotonicRegression
        Only for ``"isotonic"``.
    weights_ : ndarray of shape (n_members,), float64
        The inner combiner's, where it is one of this package that has them.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, or weights are unfit or not taken by the inner
        combiner.

    Notes
    -----
    Time: the inner combiner's fit, once for each fold and once on all rows.

    References
    ----------
    .. [1] Barlow, Bartholomew, Bremner, Brunk, "Statistical Inference under Order
       Restrictions", Wiley 1972.

    Examples
    --------
    >>> from ensemblekit import RecalibratedRegressor
    >>> P = [[3.0], [3.5], [4.0], [4.5], [5.0], [5.5]]
    >>> combiner = RecalibratedRegressor().fit(P, range(6))
    >>> round(combiner.slope_, 6), round(combiner.intercept_, 6)
    (2.0, -6.0)
    """

    _parameter_constraints: dict = {
        "combiner": [HasMethods(["fit", "predict"]), None],
        "calibrate": [StrOptions({"affine", "isotonic"}), None],
        "cv": ["cv_object"],
    }

    def __init__(self, combiner=None, *, calibrate="affine", cv=5):
        self.combiner = combiner
        self.calibrate = calibrate
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Fit the calibrator on held-out rows, then the combiner on all rows.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; handed to the combiner's fit and the calibrator's. An integer
            weight equals that many copies of the row in the same fold.

        Returns
        -------
        self : RecalibratedRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        passed = None if sample_weight is None else weight
        combiner = ConvexRegressor() if self.combiner is None else self.combiner
        calibrator = None
        if self.calibrate is not None:
            calibrator = _VALUE_CALIBRATORS[self.calibrate]()
        fit_recalibrated(self, calibrator, combiner, (P, y, passed), "regression")
        return self

    def _combine(self, P):
        return apply_calibrator(self, self.combiner_.predict(P))
