"""CMAEnsembleRegressor, CMAEnsembleClassifier: weights by an evolution strategy."""

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state

from .. import layout
from .._sklearn import Integral, Interval, Real, StrOptions, _fit_context
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_values,
    validate_classification,
    validate_regression,
)
from ._cma_base import NORMALIZATIONS, mixed_probabilities, mixture_losses, search
from ._mixture_base import check_loss

__all__ = ["CMAEnsembleClassifier", "CMAEnsembleRegressor"]

_CONSTRAINTS: dict = {
    "loss": [str, callable],
    "normalization": [StrOptions(set(NORMALIZATIONS))],
    "init": [StrOptions({"best", "uniform"})],
    "sigma": [Interval(Real, 0, None, closed="neither")],
    "n_evaluations": [Interval(Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
}


class CMAEnsembleRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Search for weights by CMA-ES, for any loss.

    The covariance matrix adaptation evolution strategy draws weights, keeps the better
    ones and learns their covariance; the single members are tried first, and the best
    of them is returned if nothing beats it. Needs the extra ``cma``. `ConvexRegressor`
    finds the exact optimum of convex losses in less time. Of equal members the first
    is used.

    Parameters
    ----------
    loss : str or callable, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"pinball"``; or the
        name of a scikit-learn scorer or a callable ``scorer(estimator, X, y)``, of
        which the negative is lowered; X then holds row numbers.
    normalization : {"softmax", "explicit", "raw"}, default="softmax"
        From the point x drawn to weights. ``"softmax"``: exp(x) over its sum, members
        at exactly 0 left out. ``"explicit"``: these weights rounded to counts that sum
        to 50, small ones trimmed, as greedy selection has them. ``"raw"``: x itself,
        of any sign and sum.
    init : {"best", "uniform"}, default="best"
        Start from 1 for the best member and 0 for the others, or from 1 / n_members.
    sigma : float, default=0.2
        First standard deviation of x (no unit; > 0).
    n_evaluations : int or None, default=None
        Mixtures and single members evaluated in all; None: 50 times the number of
        members that differ. All single members are evaluated in any case.
    level : float, default=0.5
        Quantile level of ``"pinball"``, in (0, 1).
    delta : float, default=1.0
        Where ``"huber"`` turns from square to linear (unit of y; > 0).
    random_state : int, RandomState instance or None, default=0
        Seed of the draws. None gives other weights in each fit.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Non-negative and of sum 1 unless `normalization` is ``"raw"``.
    loss_ : float
        Loss of the weights, on the rows given (optimistic).
    n_evaluations_ : int
        Mixtures and single members evaluated.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, weights are unfit, the loss is
        unknown, or a scorer takes no weights that were given.
    ImportError
        If cma is not installed.

    Notes
    -----
    A generation has int(4 + 3 ln n_members) points. An evaluation costs O(n_samples *
    n_members), with ``"squared_error"`` and weights of sum 1 O(n_members**2). Above
    200 members that differ the covariance is diagonal.

    References
    ----------
    .. [1] Purucker and Beel, "CMA-ES for Post Hoc Ensembling in AutoML: A Great Success
       and Salvageable Failure", AutoML 2023.

    Examples
    --------
    >>> P = [[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]
    >>> combiner = CMAEnsembleRegressor().fit(P, [1.0, 2.0, 3.0])
    >>> combiner.weights_.round(2)
    array([0.5, 0.5])
    """

    _parameter_constraints: dict = {
        **_CONSTRAINTS,
        "level": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        loss="squared_error",
        normalization="softmax",
        init="best",
        sigma=0.2,
        n_evaluations=None,
        level=0.5,
        delta=1.0,
        random_state=0,
    ):
        self.loss = loss
        self.normalization = normalization
        self.init = init
        self.sigma = sigma
        self.n_evaluations = n_evaluations
        self.level = level
        self.delta = delta
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Search for the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : CMAEnsembleRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        check_loss(self, "regression", y, weight)
        losses = mixture_losses(self, P, y, weight, sample_weight is not None)
        _search(self, losses, layout.to_cube(P, 1))
        return self

    def _combine(self, P):
        return mix_values(self, P)


class CMAEnsembleClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Search for weights by CMA-ES, for any loss.

    The covariance matrix adaptation evolution strategy draws weights, keeps the better
    ones and learns their covariance; the single members are tried first, and the best
    of them is returned if nothing beats it. Needs the extra ``cma``. `ConvexClassifier`
    finds the exact optimum of log loss and Brier score in less time. Of equal members
    the first is used.

    Parameters
    ----------
    loss : str or callable, default="log_loss"
        ``"log_loss"``, ``"brier"``, ``"zero_one"`` (share of rows whose most probable
        class is wrong), ``"auc"`` (1 - ROC AUC, two classes); or the name of a
        scikit-learn scorer or a callable ``scorer(estimator, X, y)``, of which the
        negative is lowered; X then holds row numbers.
    normalization : {"softmax", "explicit", "raw"}, default="softmax"
        From the point x drawn to weights. ``"softmax"``: exp(x) over its sum, members
        at exactly 0 left out. ``"explicit"``: these weights rounded to counts that sum
        to 50, small ones trimmed, as greedy selection has them. ``"raw"``: x itself,
        of any sign and sum: if an x is negative, the probabilities are the softmax of
        the class sums, which fits decisions rather than probabilities; otherwise the
        class sums divided by their row's sum.
    init : {"best", "uniform"}, default="best"
        Start from 1 for the best member and 0 for the others, or from 1 / n_members.
    sigma : float, default=0.2
        First standard deviation of x (no unit; > 0).
    n_evaluations : int or None, default=None
        Mixtures and single members evaluated in all; None: 50 times the number of
        members that differ. All single members are evaluated in any case.
    random_state : int, RandomState instance or None, default=0
        Seed of the draws. None gives other weights in each fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Non-negative and of sum 1 unless `normalization` is ``"raw"``.
    loss_ : float
        Loss of the weights, on the rows given (optimistic).
    n_evaluations_ : int
        Mixtures and single members evaluated.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit, the loss is
        unknown, or a scorer takes no weights that were given.
    ImportError
        If cma is not installed.

    Notes
    -----
    A generation has int(4 + 3 ln n_members) points. An evaluation costs O(n_samples *
    n_members * n_classes); with weights of sum 1 ``"log_loss"`` O(n_samples *
    n_members) and ``"brier"`` O(n_members**2). Above 200 members that differ the
    covariance is diagonal.

    References
    ----------
    .. [1] Purucker and Beel, "CMA-ES for Post Hoc Ensembling in AutoML: A Great Success
       and Salvageable Failure", AutoML 2023.

    Examples
    --------
    >>> P = [[0.1, 0.6], [0.4, 0.1], [0.7, 0.9]]
    >>> combiner = CMAEnsembleClassifier(normalization="explicit")
    >>> combiner.fit(P, ["no", "no", "yes"]).n_evaluations_
    100
    """

    _parameter_constraints: dict = _CONSTRAINTS

    def __init__(
        self,
        *,
        loss="log_loss",
        normalization="softmax",
        init="best",
        sigma=0.2,
        n_evaluations=None,
        random_state=0,
    ):
        self.loss = loss
        self.normalization = normalization
        self.init = init
        self.sigma = sigma
        self.n_evaluations = n_evaluations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Search for the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : CMAEnsembleClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        check_loss(self, "classification", y, weight)
        losses = mixture_losses(self, P, y, weight, sample_weight is not None)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        _search(self, losses, layout.to_cube(P, n_outputs))
        return self

    def _combine(self, P):
        n_outputs = layout.n_outputs_for(len(self.classes_))
        mixture = layout.weighted_mean(P, self.weights_, n_outputs)
        return mixed_probabilities(self, mixture, self.weights_)


def _search(combiner, losses, cube):
    combiner.weights_, loss, combiner.n_evaluations_ = search(
        losses,
        cube,
        NORMALIZATIONS[combiner.normalization],
        combiner.init,
        combiner.sigma,
        combiner.n_evaluations,
        check_random_state(combiner.random_state),
    )
    combiner.loss_ = float(loss)
