"""CascadeClassifier: costly members for rows near the threshold of confidence."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Interval, Real, StrOptions
from ..combine._calibration_base import LogCalibrator
from . import _tracing, windows
from ._cascade_base import Cascade
from .classifier import ConfidenceSelection

__all__ = ["CascadeClassifier"]

# Draws powers to 1, so that rows which are all right leave them finite.
_RIDGE = 1e-3


class CascadeClassifier(ClassifierMixin, Cascade):
    """Ask costly members only about rows near the threshold of confidence.

    The cheapest member answers first. Rows whose confidence lies outside a window
    around the operating threshold keep its answer; the others go on to the next member,
    whose stage answers with the mean of the probabilities so far, and so on. The
    window is chosen on held-out rows by a budget of cost or a tolerance of loss. With
    window 0 this is the first member, with window 1 the mean of all members; with
    `calibrate` their calibrated forms. `predict` answers all rows; `abstains` says
    which are below the threshold.

    Parameters
    ----------
    estimators : list of (str, classifier)
        The members, with ``predict_proba``; ``"drop"`` leaves one out.
    costs : array-like, dict of str to float, "measured" or None, default=None
        Cost of one row by each member, positive, in any unit; the cheapest is asked
        first, of equal ones the first listed. ``"measured"`` takes the time to predict
        held-out rows, which differs from run to run; None means equal costs.
    weights : array-like, dict of str to float or None, default=None
        Positive weights of the members in the means; None means equal ones.
    window : float or None, default=None
        The window itself, in [0, 1]: the share of the rows that the first stage passes
        on; its square is the share inside the window of the second, and so on.
    max_cost : float or None, default=None
        Take the widest window of at most this mean cost of a row, in multiples of the
        first member's; at least 1. Where window and tolerance are None as well, 1.25.
    tolerance : float or None, default=None
        Take the narrowest window whose loss exceeds that of the whole ensemble by at
        most this share of it.
    loss : {"log_loss", "brier", "zero_one"}, default="log_loss"
        What `cost_curve_` and `tolerance` are about.
    coverage : float, default=1.0
        Share of the rows, in (0, 1], that the operating threshold lets answer. Give
        that at which you will abstain: only rows near that threshold can change between
        answered and not, and the window lies around it. With 1 the least confident rows
        go on, for the best plain predictions, and none is abstained from.
    calibrate : bool, default=False
        Raise each stage's probabilities to a power that is fitted on held-out rows
        (temperature scaling). For log loss or Brier give True: most of what an ensemble
        gains there over a member that is too sure, or not sure enough, is such a power,
        and costs nothing.
    confidence : {"max_proba", "margin", "entropy"}, default="max_proba"
        The largest probability, its lead over the second, or minus the entropy.
    cv : int, splitter or iterable of (train, test), default=None
        Must hold out each row exactly once; None means 5 stratified folds.
    n_jobs : int, default=None
        Workers for the flat list of (member, fold) tasks; results do not depend on it,
        unless costs are measured.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None.
    verbose : int, default=0
        Progress messages of joblib.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    stages_ : list of str
        Members in the order in which they are asked.
    costs_ : ndarray of shape (n_members,), float64
        In the order of `stages_`, in multiples of the first's.
    weights_ : ndarray of shape (n_members,), float64
        In the order of `stages_`; sums to 1.
    window_ : float
        The window chosen, in [0, 1].
    windows_ : ndarray of shape (n_members - 1, 2), float64
        Least and largest confidence that each stage but the last passes on.
    powers_ : ndarray of shape (n_members,), float64
        Of each stage's probabilities; below 1 they are flattened. All 1 without
        `calibrate`.
    threshold_ : float
        Confidence from which rows are answered, as `predict_selective` gives it:
        1 - coverage.
    coverage_ : float
        Share of the held-out rows answered, in [0, 1]: near `coverage`, as stages rank
        rows each on its own.
    expected_cost_ : float
        Mean cost of a held-out row, in multiples of the first member's.
    cost_curve_ : CascadeCurve
        Cost and loss at every window, cross-fitted: of held-out rows, by members fitted
        on the other folds. A window chosen by `tolerance`, and `powers_`, one number
        for each stage, have seen these losses.
    cross_fit_ : CrossFit
        The members, fitted on all rows, and their held-out predictions.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member fails; names member and fold.
    ValueError, TypeError
        If members, costs, weights, X or y are unfit, or several of `window`, `max_cost`
        and `tolerance` are given.

    Notes
    -----
    The paper has the window symmetric in rank around the threshold; here it also keeps
    its share where an end of the ranks cuts it off. Number of fits:
    n_members * (n_folds + 1). Of members of equal cost list the best first.

    Measured at a cost of 1.25 on the three to nine of 24 real tables where the ensemble
    is clearly better than its first member, two and four members: 94 to 97 % of its
    gain in accuracy is kept, but 42 to 51 % of that in log loss. With `calibrate` the
    cascade gets 87 to 148 % of that gain, as most of it is calibration; of what a
    calibrated ensemble gains over a calibrated first member it keeps 69 to 76 %. On
    most tables there is no gain to keep. New rows cost what held-out rows did where
    confidences differ; of confidences that are nearly all equal, any share may fall
    into a window (the most seen was 1.70 instead of 1.25). For a coverage of 0.8, 0.77
    to 0.87 of the test rows were answered.

    References
    ----------
    .. [1] Xia, Bouganis, "Window-Based Early-Exit Cascades for Uncertainty Estimation",
       ICCV 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> members = [("bayes", GaussianNB()),
    ...            ("trees", ExtraTreesClassifier(50, random_state=0))]
    >>> cascade = CascadeClassifier(members, costs=[1, 20], max_cost=3).fit(X, y)
    >>> cascade.expected_cost_ <= 3
    True
    >>> cascade.stage(X[:6])
    array([0, 0, 0, 0, 0, 1])
    """

    _task = "classification"
    _parameter_constraints: dict = {
        **Cascade._parameter_constraints,
        "loss": [StrOptions(set(windows.CLASS_LOSSES))],
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "confidence": [StrOptions(set(windows.CONFIDENCES))],
    }

    def __init__(
        self,
        estimators,
        *,
        costs=None,
        weights=None,
        window=None,
        max_cost=None,
        tolerance=None,
        loss="log_loss",
        coverage=1.0,
        calibrate=False,
        confidence="max_proba",
        cv=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.costs = costs
        self.weights = weights
        self.window = window
        self.max_cost = max_cost
        self.tolerance = tolerance
        self.loss = loss
        self.coverage = coverage
        self.calibrate = calibrate
        self.confidence = confidence
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def classes_(self):
        """Labels, sorted."""
        check_is_fitted(self)
        return self.cross_fit_.classes_

    def predict_proba(self, X):
        """Predict class probabilities: the mean of the members asked.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        return self._answer(X)[0]

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_selective(self, X):
        """Return the answer to every row, whether to take it, and its confidence.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        selection : ConfidenceSelection
            Named tuple of labels, accepted and confidence: the share of the held-out
            rows, in [0, 1], of which the stage that answers was less sure. Stages are
            compared by that, as a mean of members is less sure than one of them.
        """
        probabilities, stage = self._answer(X)
        labels = self.classes_[probabilities.argmax(axis=1)]
        confidence = self._places(probabilities, stage)
        return ConfidenceSelection(labels, confidence >= self.threshold_, confidence)

    def abstains(self, X):
        """Say which rows are not answered.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        abstains : ndarray of shape (n_samples,), bool
        """
        return self._places(*self._answer(X)) < self.threshold_

    @property
    def _centre(self):
        return 1.0 - self.coverage

    def _places(self, probabilities, stage):
        """Return the rank of each row's confidence among the held-out ones."""
        sure = windows.confidence_of(probabilities, self.confidence)
        places = np.empty(len(sure))
        for k, known in enumerate(self._known):
            places[stage == k] = known.find(sure[stage == k])
        return places

    def _set_threshold(self, curve, confidences, weight):
        self._known = [_tracing.rank_values(own, weight) for own in confidences.T]
        self.threshold_ = self._centre
        self.coverage_ = float(curve.coverage[curve.at(self.window_)])

    def _calibrator(self):
        return LogCalibrator(False, _RIDGE)

    def _plain(self, mean):
        return mean

    def _held_out_confidences(self, X, cube, answers, sample_weight):
        powers = [c.slope for c in self._calibrators or []]
        self.powers_ = np.array(powers or np.ones(len(cube)))
        return windows.confidence_of(answers, self.confidence).T

    def _confidence(self, k, X, said, mean):
        return windows.confidence_of(mean, self.confidence)
