"""SelectiveClassifier: answer where the model is likely right, else abstain."""

from typing import NamedTuple

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._routing import merge_member_tags
from .._rows import check_groups
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    _safe_indexing,
    check_input_features,
    forget_fitted,
)
from ..stack import StackedClassifier
from ._answers import answers_of
from ._choice import TARGETS, choose_threshold, refuse_dependent, resolve_target
from ._confidence import LARGEST, model_confidence
from ._sentinel import accuracy, check_abstain_label, with_abstentions
from ._training import check_rows, refuse_regressor, train_part

__all__ = ["ConfidenceSelection", "SelectiveClassifier"]


class ConfidenceSelection(NamedTuple):
    """Answers, which of them to take, and how sure they are.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The answer to every row, also where it is not accepted.
    accepted : ndarray of shape (n_samples,), bool
        True where the row is answered.
    confidence : ndarray of shape (n_samples,), float64
    """

    labels: NDArray
    accepted: NDArray
    confidence: NDArray


def _wrapped_has(method):
    def has_method(selective):
        getattr(getattr(selective, "estimator_", selective._resolve()), method)
        return True

    return has_method


class SelectiveClassifier(ClassifierMixin, BaseEstimator):
    """Answer where a classifier is confident enough, and abstain elsewhere.

    The model is trained on some rows, and the threshold of confidence is found on the
    others: at a coverage, at a cost of abstaining, or at a risk of wrong answers that
    is not exceeded. This is about likely errors; whether another training would give
    the same answer is another question. To ask both, wrap a model that abstains by
    itself, such as a `SelectiveVotingClassifier`: a row is answered where both do, and
    the rows that the model answers calibrate.

    Parameters
    ----------
    estimator : classifier, default=None
        None is ``StackedClassifier()``. A ``FrozenEstimator`` is not trained, and
        calibrated on all rows of `fit`.
    confidence : str or callable, default="max_proba"
        How sure an answer is:

        - "max_proba": the probability of the answer, in [0, 1]: the largest one, but
          for models that answer by another rule, such as ``FixedThresholdClassifier``;
        - "margin": its lead on the largest other, in [-1, 1]; below 0 where the answer
          is not the likeliest class;
        - "entropy": minus the entropy of the probabilities, in nats;
        - "vote": the share of an ensemble's members that give the answer, in [0, 1];
        - "mutual_information": minus the entropy that comes from disagreement of the
          members, in nats; see `decompose_uncertainty`;
        - ``confidence(estimator, X)`` of the fitted model, which returns a finite
          number for each row, high where it is likely right.

        Members are those of stacks (with their weights), of `SelectiveVotingClassifier`
        and of scikit-learn's forests, bagging and voting.
    method : {"coverage", "threshold", "chow", "sgr", "ltt"}, default="coverage"
        What `target` means:

        - "coverage": the share of rows to answer, in (0, 1]; more where confidences are
          equal, fewer where the model abstains by itself;
        - "threshold": the least confidence that is answered;
        - "chow": the cost of abstaining divided by that of an error, in (0, 1). Chow's
          rule answers where the probability of the answer is at least 1 less this; it
          needs calibrated probabilities, and ``confidence="max_proba"``;
        - "sgr", "ltt": the selective risk that is exceeded with probability at most
          `delta`, in (0, 1); see `sgr_threshold` and `ltt_threshold`.
    target : float, default=None
        See `method`. None is a coverage of 0.9, a threshold of 0.9, a cost of 0.1 or a
        risk of 0.05.
    delta : float, default=0.05
        Probability that `risk_bound_` does not hold, in (0, 1).
    calibration_size : float or int, default=0.25
        Share of the rows in (0, 1), rounded up, or their number, kept from training;
        with groups, share or number of these.
    cv : int, splitter, iterable of (train, test) or None, default=None
        Its first split says which rows train and which calibrate; a splitter is given
        the groups. An int draws one part in so many, at random. None draws
        `calibration_size`.
    random_state : int, RandomState instance or None, default=None
        Of the split into training and calibration, and of each ``random_state`` of the
        model that is None.
    abstain_label : label or None, default=None
        What `predict` returns for rows that are not answered; no class of y. None means
        that `predict` answers all rows. Where labels are of another kind, `predict`
        returns objects. `score` is the accuracy of `predict`, as that of
        `SelectiveVotingClassifier`.

    Attributes
    ----------
    estimator_ : fitted classifier
    classes_ : ndarray of shape (n_classes,)
        Of the model.
    threshold_ : float
        Rows with a confidence of at least this are answered; infinity answers none.
    risk_bound_ : float
        Bound of the selective risk, which holds with probability 1 - `delta` over
        calibration rows; NaN with "coverage", which chooses no risk, with groups, and
        where no row is answered.
    coverage_ : float
        Share of the calibration rows answered, in [0, 1].
    selective_risk_ : float
        Share of errors among these; NaN where there are none. Of a threshold that was
        chosen on the same rows, except with "threshold" and "chow".
    n_calibration_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If `estimator` is no classifier, `target` does not suit the method or is above
        all confidences, `abstain_label` is a class, the model has no probabilities, or
        no members, that `confidence` needs, it predicts labels that are none of its
        classes, groups are given to "sgr" or "ltt", a split divides a group, or rows
        are too few.

    Warns
    -----
    UserWarning
        If no row is answered, as no threshold has the risk asked for or no calibration
        row such a confidence; or a class is in none of the training rows (the model
        never answers it).

    Notes
    -----
    Bounds are for new rows drawn as the calibration rows are. Held-out predictions of a
    stack are not used instead of rows of their own: its combiner was fitted on them,
    and its members are refitted afterwards. Sample weights and other metadata reach the
    model's fit; calibration rows count alike, but for those of weight 0, which are as
    if they were not there. With groups, rows of a group train together or calibrate
    together, and the groups also reach a model whose fit takes them, such as a stack.
    Rows of a group are not independent, so that no bound of risk is given then.

    What `set_params` changes counts from the next fit or calibration on; only
    `abstain_label` at once. Selective predictions cost one predict and one
    predict_proba of the model, or of its members; time besides: O(n log(n)) for n
    calibration rows.

    References
    ----------
    .. [1] Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions
       on Information Theory 16, 1970.
    .. [2] Geifman, El-Yaniv, "Selective Classification for Deep Neural Networks",
       NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> X, new, y, truth = train_test_split(X, y, random_state=0)
    >>> model = SelectiveClassifier(
    ...     GaussianNB(), method="ltt", target=0.1, random_state=0
    ... ).fit(X, y)
    >>> labels, accepted, confidence = model.predict_selective(new)
    >>> right = labels == truth
    >>> [float(a.mean().round(2)) for a in (accepted, right, right[accepted])]
    [0.8, 0.85, 0.93]
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "confidence": [StrOptions(set(LARGEST)), callable],
        "method": [StrOptions(set(TARGETS))],
        "target": [Interval(Real, None, None, closed="neither"), None],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
        "abstain_label": "no_validation",
    }

    def __init__(
        self,
        estimator=None,
        *,
        confidence="max_proba",
        method="coverage",
        target=None,
        delta=0.05,
        calibration_size=0.25,
        cv=None,
        random_state=None,
        abstain_label=None,
    ):
        self.estimator = estimator
        self.confidence = confidence
        self.method = method
        self.target = target
        self.delta = delta
        self.calibration_size = calibration_size
        self.cv = cv
        self.random_state = random_state
        self.abstain_label = abstain_label

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, groups=None, **params):
        """Train on some of the rows, find the threshold on the others.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together: none of a group calibrates where another trains.
        **params : dict
            For the model's fit, such as ``sample_weight``; of those with a value for
            each row it is given the values of the training rows.

        Returns
        -------
        self : SelectiveClassifier
        """
        forget_fitted(self)
        refuse_regressor(self._resolve())
        self._target()
        X, y = check_rows(self, X, y, reset=True)
        groups = check_groups(groups, len(y))
        refuse_dependent(self.method, groups)
        model, held_out = train_part(
            self, self._resolve(), X, y, groups, params, self._draw_seed()
        )
        X, y = _safe_indexing(X, held_out), y[held_out]
        return self._calibrate(model, X, y, groups is None)

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y, groups=None):
        """Find the threshold for a trained model: that of `fit`, or `estimator`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that the model has not seen.
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together; no bound of risk is given then.

        Returns
        -------
        self : SelectiveClassifier
        """
        self._target()
        trained_here = hasattr(self, "estimator_")
        model = self.estimator_ if trained_here else self._resolve()
        refuse_regressor(model)
        check_is_fitted(model)
        X, y = check_rows(self, X, y, reset=not trained_here)
        refuse_dependent(self.method, check_groups(groups, len(y)))
        return self._calibrate(model, X, y, groups is None)

    def predict(self, X):
        """Answer every row, unless an `abstain_label` is set.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        if self.abstain_label is None:
            return self._answers(X)[1]
        labels, accepted, _ = self.predict_selective(X)
        check_abstain_label(self.abstain_label, self.classes_)
        return with_abstentions(labels, accepted, self.abstain_label)

    @available_if(_wrapped_has("predict_proba"))
    def predict_proba(self, X):
        """Return the model's probabilities of all rows, answered or not.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        return self.estimator_.predict_proba(X)

    def predict_selective(self, X):
        """Return the answer to every row, whether to take it, and its confidence.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        selection : ConfidenceSelection
            Named tuple of labels, accepted and confidence.
        """
        X, labels, answered = self._answers(X)
        confidence = model_confidence(self._kind, self.estimator_, X, labels)
        accepted = answered & (confidence >= self.threshold_)
        return ConfidenceSelection(labels, accepted, confidence)

    def abstains(self, X):
        """Say which rows are not answered.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        abstains : ndarray of shape (n_samples,), bool
        """
        return ~self.predict_selective(X).accepted

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of `predict`; an `abstain_label` counts as an error.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
            In [0, 1]. Without `abstain_label`, `predict` answers all rows, and no
            threshold changes this; `rejection_cost_scorer` and
            `selective_accuracy_scorer` see abstentions.
        """
        if self.abstain_label is None:
            labels = accepted = self.predict(X)
        else:
            labels, accepted, _ = self.predict_selective(X)
        return accuracy(labels, accepted, self.abstain_label, y, sample_weight)

    def get_metadata_routing(self):
        """Return the router of the model's fit.

        Returns
        -------
        router : MetadataRouter
        """
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(
            estimator=self._resolve(),
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "threshold_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        model = self._resolve()
        own = get_tags(model).classifier_tags
        if own is not None:
            tags.classifier_tags.multi_class = own.multi_class
        return merge_member_tags(tags, [("estimator", model)])

    def _resolve(self):
        return StackedClassifier() if self.estimator is None else self.estimator

    def _target(self):
        return resolve_target(self.method, self.target, self.confidence)

    def _draw_seed(self):
        """Return a seed for all that is drawn in fit; None where it need not repeat."""
        if self.random_state is None:
            return None
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _answers(self, X):
        """Return X as it was, the model's labels, and where it answers by itself."""
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        return X, *answers_of(self.estimator_, X)

    def _calibrate(self, model, X, y, independent):
        check_abstain_label(self.abstain_label, model.classes_)
        labels, answered = answers_of(model, X)
        confidence = model_confidence(self.confidence, model, X, labels)
        choice = choose_threshold(
            self.method,
            self._target(),
            self.delta,
            confidence,
            labels == y,
            answered,
            independent,
        )
        self.estimator_, self.classes_ = model, model.classes_
        self._kind = self.confidence
        self.threshold_, self.risk_bound_ = choice.threshold, choice.risk_bound
        self.coverage_, self.selective_risk_ = choice.coverage, choice.selective_risk
        self.n_calibration_ = len(y)
        return self
