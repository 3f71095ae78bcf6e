"""SelectiveClassifier: answer where the model is likely right, else abstain."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._members import is_frozen, with_seed
from .._routing import merge_member_tags
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _check_method_params,
    _fit_context,
    _safe_indexing,
    check_input_features,
    forget_fitted,
)
from ..stack import StackedClassifier
from ._choice import TARGETS, choose_threshold, resolve_target
from ._confidence import OF_PROBABILITIES, model_confidence
from ._sentinel import check_abstain_label, with_abstentions
from ._training import check_rows, fit_arguments, warn_of_unknown

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
    the same answer is another question.

    Parameters
    ----------
    estimator : classifier, default=None
        None is ``StackedClassifier()``. A ``FrozenEstimator`` is not trained, and
        calibrated on all rows of `fit`.
    confidence : {"max_proba", "margin", "entropy"} or callable, default="max_proba"
        The largest probability, in [0, 1]; its lead on the second, in [0, 1]; minus the
        entropy in nats; or ``confidence(estimator, X)`` of the fitted model, which
        returns a finite number for each row, high where it is likely right.
    method : {"coverage", "threshold", "chow", "sgr", "ltt"}, default="coverage"
        What `target` means:

        - "coverage": the share of rows to answer, in (0, 1], and more where confidences
          are equal;
        - "threshold": the least confidence that is answered;
        - "chow": the cost of abstaining divided by that of an error, in (0, 1). Chow's
          rule answers where the largest probability is at least 1 less this; it needs
          calibrated probabilities, and ``confidence="max_proba"``;
        - "sgr", "ltt": the selective risk that is exceeded with probability at most
          `delta`, in (0, 1); see `sgr_threshold` and `ltt_threshold`.
    target : float, default=None
        See `method`. None is a coverage of 0.9, a threshold of 0.9, a cost of 0.1 or a
        risk of 0.05.
    delta : float, default=0.05
        Probability that `risk_bound_` does not hold, in (0, 1).
    calibration_size : float or int, default=0.25
        Share of the rows, in (0, 1), or their number, kept from training.
    random_state : int, RandomState instance or None, default=None
        Of the split into training and calibration, and of each ``random_state`` of the
        model that is None.
    abstain_label : label or None, default=None
        What `predict` returns for rows that are not answered; no class of y. None means
        that `predict` answers all rows. Where labels are of another kind, `predict`
        returns objects.

    Attributes
    ----------
    estimator_ : fitted classifier
    classes_ : ndarray of shape (n_classes,)
        Of the model.
    threshold_ : float
        Rows with a confidence of at least this are answered; infinity answers none.
    risk_bound_ : float
        Bound of the selective risk, which holds with probability 1 - `delta` over
        calibration rows; NaN with "coverage", which chooses no risk, and where no row
        is answered.
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
        If `target` does not suit the method, `abstain_label` is a class, or the model
        has no probabilities and no callable is given.

    Warns
    -----
    UserWarning
        If no threshold has the risk asked for (nothing is answered then), or a class is
        in none of the training rows (the model never answers it).

    Notes
    -----
    Bounds are for new rows drawn as the calibration rows are. Held-out predictions of a
    stack are not used instead of rows of their own: its combiner was fitted on them,
    and its members are refitted afterwards. Sample weights and other metadata reach the
    model's fit; calibration rows count alike. Selective predictions cost one predict
    and one predict_proba of the model; time besides: O(n log(n)) for n calibration
    rows.

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
        "confidence": [StrOptions(set(OF_PROBABILITIES)), callable],
        "method": [StrOptions(set(TARGETS))],
        "target": [Interval(Real, None, None, closed="neither"), None],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "calibration_size": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
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
        random_state=None,
        abstain_label=None,
    ):
        self.estimator = estimator
        self.confidence = confidence
        self.method = method
        self.target = target
        self.delta = delta
        self.calibration_size = calibration_size
        self.random_state = random_state
        self.abstain_label = abstain_label

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, **params):
        """Train on some of the rows, find the threshold on the others.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        **params : dict
            For the model's fit, such as ``sample_weight``; of those with a value for
            each row it is given the values of the training rows.

        Returns
        -------
        self : SelectiveClassifier
        """
        forget_fitted(self)
        self._target()
        X, y = check_rows(self, X, y, reset=True)
        model = self._resolve()
        if params.get("groups") is not None:
            raise ValueError(
                "groups are given, but the rows that calibrate are drawn one by one, "
                "which would promise too low a risk. Fit the model on some groups, and "
                "calibrate a FrozenEstimator of it on the others."
            )
        if is_frozen(model):
            return self._calibrate(model, X, y)
        params = fit_arguments(self, model, X, params)
        seed = self._draw_seed()
        train, held_out = train_test_split(
            np.arange(len(y)), test_size=self.calibration_size, random_state=seed
        )
        model = with_seed(model, seed).fit(
            _safe_indexing(X, train),
            y[train],
            **_check_method_params(X, params, indices=train),
        )
        warn_of_unknown(np.setdiff1d(y, y[train]))
        return self._calibrate(model, _safe_indexing(X, held_out), y[held_out])

    @_fit_context(prefer_skip_nested_validation=False)
    def calibrate(self, X, y):
        """Find the threshold for a trained model: that of `fit`, or `estimator`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that the model has not seen.
        y : array-like of shape (n_samples,)

        Returns
        -------
        self : SelectiveClassifier
        """
        self._target()
        trained_here = hasattr(self, "estimator_")
        model = self.estimator_ if trained_here else self._resolve()
        check_is_fitted(model)
        X, y = check_rows(self, X, y, reset=not trained_here)
        return self._calibrate(model, X, y)

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
            return self._answer(X)
        labels, accepted, _ = self.predict_selective(X)
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
        labels, confidence = self._answer(X), self._confidence(X)
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
        return self._confidence(X) < self.threshold_

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the answers to all rows; no threshold changes it.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
            In [0, 1]. To choose a threshold use `rejection_cost_scorer` or
            `selective_accuracy_scorer`.
        """
        return accuracy_score(y, self._answer(X), sample_weight=sample_weight)

    def get_metadata_routing(self):
        """Return the router of the model's fit."""
        return MetadataRouter(owner=type(self).__name__).add(
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

    def _answer(self, X):
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        return np.asarray(self.estimator_.predict(X))

    def _confidence(self, X):
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        return model_confidence(self.confidence, self.estimator_, X)

    def _calibrate(self, model, X, y):
        check_abstain_label(self.abstain_label, model.classes_)
        confidence = model_confidence(self.confidence, model, X)
        correct = np.asarray(model.predict(X)) == y
        choice = choose_threshold(
            self.method, self._target(), self.delta, confidence, correct
        )
        self.estimator_, self.classes_ = model, model.classes_
        self.threshold_, self.risk_bound_ = choice.threshold, choice.risk_bound
        self.coverage_, self.selective_risk_ = choice.coverage, choice.selective_risk
        self.n_calibration_ = len(y)
        return self
