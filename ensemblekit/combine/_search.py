"""CombinerSearchClassifier, CombinerSearchRegressor: which combiner to use."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer_names

from .. import layout
from .._sklearn import (
    Interval,
    NamedPartsMixin,
    Real,
    StrOptions,
    _fit_context,
)
from ..losses import LOSSES
from . import _search_base as base
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    validate_classification,
    validate_regression,
)
from ._single_base import SingleClassifier, SingleRegressor

__all__ = ["CombinerSearchClassifier", "CombinerSearchRegressor"]

_SCORERS = set(get_scorer_names())


class CombinerSearchClassifier(
    ClassificationCombinerMixin, ClassifierMixin, NamedPartsMixin
):
    """Choose among combiners, and the members themselves, by cross-validation.

    Every combiner is fitted without each row fold of P in turn and scored on that fold;
    no member is ever fitted again. The list always holds each single member, so that a
    combination has to earn its place. Trying `T` candidates costs a choice of order
    ``log(T) / n_samples`` in expected loss [1]_, so a long list is safe where rows are
    many; where they are few, prefer ``strategy="average"`` or ``"1se"``.

    Duplicating all members leaves the prediction unchanged; duplicating one gives it
    two votes in the means of the list.

    Parameters
    ----------
    combiners : list of (str, classifier) or None, default=None
        Candidates, simplest first; any classifier with `predict_proba`. None means:
        mean, median and geometric mean of the members, the mean of the best ones,
        greedy selection plain and with bagged rows, convex weights without and with
        ridge, these recalibrated, and linear stacks. ``default_combiners`` makes that
        list, to add to.
    loss : str or callable, default="log_loss"
        ``"log_loss"``, ``"brier"``, ``"zero_one"``, ``"auc"``, the name of a
        scikit-learn scorer, or a callable ``scorer(estimator, X, y)`` with X the
        numbers of the rows; scorers are turned so that lower is better. What candidates
        are judged by; their own losses are theirs.
    strategy : {"best", "1se", "average"}, default="average"
        ``"best"`` takes the candidate of least held-out loss. ``"1se"`` takes the
        simplest whose loss exceeds the least by no more than one standard error of the
        difference: members before combiners (of members the best), combiners in the
        order of the list. ``"average"`` mixes the best candidate and the combiners near
        it: one that is behind by `r` standard errors of the difference has ``exp(-2
        r)`` of the best one's share, and none below a hundredth; equal ones count once.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds; an int means that many stratified, shuffled folds with a fixed seed.
        Where rows come in groups, give the splits that keep groups together, here and
        to the candidates that have a `cv` of their own (linear stacks, recalibration).
        Folds whose training rows lack a class are left out.
    n_jobs : int or None, default=None
        Threads for the combiners; no result depends on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    chosen_ : list of str
        Names of the candidates chosen; ``"member <name>"`` for a member alone.
    combiners_ : list of classifier
        Those chosen, fitted on all rows, in the order of `chosen_`. They know class
        codes.
    shares_ : ndarray of shape (n_chosen,), float64
        Shares of theirs in the prediction; they sum to 1.
    results_ : Bunch
        One entry for each candidate, least loss first: ``name``, ``loss`` (on held-out
        rows) and its standard error ``loss_se``, ``difference`` to the least and its
        paired standard error ``difference_se``, ``fit_time`` (seconds, all folds, with
        their predictions) and ``share`` (in the prediction).
        ``pandas.DataFrame(results_)`` shows it.
    nested_score_ : Bunch
        What the choice itself is worth: ``loss`` and ``se`` where each fold's rows are
        predicted by the candidates that the other folds would choose, ``optimism``
        (what the chosen candidates' own held-out loss is too low by),
        ``best_member_loss`` (the member chosen likewise) and ``uniform_loss``.
    weights_ : ndarray of shape (n_members,), float64
        Mean of the weights of those chosen, by their shares; where all have weights.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, names repeat, there are fewer rows
        than folds, or weights are given to a combiner that takes none.

    Notes
    -----
    Time: the fits of all combiners, once for each fold, and of those chosen once more.
    Memory: the predictions of all members and combiners for all rows, and their losses.

    Held-out rows are scored together; standard errors come from leaving out one fold at
    a time (the jackknife). `nested_score_` fits nothing again: a fold's rows took part
    in fits by which the others' choice is made, which is a weaker bond than that of a
    plain minimum [2]_. ``cross_val_score`` of the search itself breaks it.

    References
    ----------
    .. [1] Hasson, Maddix, Wang, Gupta, Park, "Theoretical Guarantees of Learning
       Ensembling Strategies with Applications to Time Series Forecasting", ICML 2023,
       Theorem 4.1.
    .. [2] Tsamardinos, Greasidou, Borboudakis, "Bootstrapping the out-of-sample
       predictions for efficient and accurate cross-validation", Machine Learning 107,
       2018.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 300)
    >>> P = 1 / (1 + np.exp(-(2 * y[:, None] - 1 + rng.normal(size=(300, 4)))))
    >>> search = CombinerSearchClassifier(strategy="1se").fit(P, y)
    >>> search.chosen_
    ['linear stack, shared']
    >>> search.nested_score_.loss < search.nested_score_.best_member_loss
    True
    """

    _parts = "combiners"
    _parameter_constraints: dict = {
        "combiners": [list, None],
        "loss": [
            StrOptions({n for n in LOSSES if LOSSES[n].task != "regression"}),
            StrOptions(_SCORERS),
            callable,
        ],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        combiners=None,
        *,
        loss="log_loss",
        strategy="average",
        cv=5,
        n_jobs=None,
    ):
        self.combiners = combiners
        self.loss = loss
        self.strategy = strategy
        self.cv = cv
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Judge all candidates on held-out rows, and fit those chosen on all rows.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches every combiner and all losses.

        Returns
        -------
        self : CombinerSearchClassifier
        """
        P, codes, weight = validate_classification(self, P, y, sample_weight)
        P = np.asarray(P)  # a dask array in memory
        cube = layout.to_cube(P, layout.n_outputs_for(len(self.classes_)))
        members = [layout.class_probabilities(member) for member in cube]
        singles = [SingleClassifier(j) for j in range(len(members))]
        given = sample_weight is not None
        base.search(self, P, codes, weight, given, members, singles)
        return self

    def _combine(self, P):
        return base.predict(self, P, "predict_proba")


class CombinerSearchRegressor(RegressionCombinerMixin, RegressorMixin, NamedPartsMixin):
    """Choose among combiners, and the members themselves, by cross-validation.

    Every combiner is fitted without each row fold of P in turn and scored on that fold;
    no member is ever fitted again. The list always holds each single member, so that a
    combination has to earn its place. Trying `T` candidates costs a choice of order
    ``log(T) / n_samples`` in expected loss [1]_, so a long list is safe where rows are
    many; where they are few, prefer ``strategy="average"`` or ``"1se"``.

    Duplicating all members leaves the prediction unchanged; duplicating one gives it
    two votes in the means of the list.

    Parameters
    ----------
    combiners : list of (str, regressor) or None, default=None
        Candidates, simplest first. None means: mean and median of the members, the mean
        of the best ones, greedy selection plain and with bagged rows, convex weights
        without and with ridge, these recalibrated, and linear stacks.
        ``default_combiners`` makes that list, to add to.
    loss : str or callable, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"pinball"``, the name
        of a scikit-learn scorer, or a callable ``scorer(estimator, X, y)`` with X the
        numbers of the rows; scorers are turned so that lower is better. What candidates
        are judged by; their own losses are theirs.
    strategy : {"best", "1se", "average"}, default="average"
        ``"best"`` takes the candidate of least held-out loss. ``"1se"`` takes the
        simplest whose loss exceeds the least by no more than one standard error of the
        difference: members before combiners (of members the best), combiners in the
        order of the list. ``"average"`` mixes the best candidate and the combiners near
        it: one that is behind by `r` standard errors of the difference has ``exp(-2
        r)`` of the best one's share, and none below a hundredth; equal ones count once.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds; an int means that many shuffled folds with a fixed seed. Where rows
        come in groups, give the splits that keep groups together, here and to the
        candidates that have a `cv` of their own (linear stacks, recalibration).
    delta : float, default=1.0
        Where ``loss="huber"`` bends, in the unit of y; > 0.
    level : float, default=0.5
        Quantile level of ``loss="pinball"``; in (0, 1).
    n_jobs : int or None, default=None
        Threads for the combiners; no result depends on it.

    Attributes
    ----------
    chosen_ : list of str
        Names of the candidates chosen; ``"member <name>"`` for a member alone.
    combiners_ : list of regressor
        Those chosen, fitted on all rows, in the order of `chosen_`.
    shares_ : ndarray of shape (n_chosen,), float64
        Shares of theirs in the prediction; they sum to 1.
    results_ : Bunch
        One entry for each candidate, least loss first: ``name``, ``loss`` (on held-out
        rows) and its standard error ``loss_se``, ``difference`` to the least and its
        paired standard error ``difference_se``, ``fit_time`` (seconds, all folds, with
        their predictions) and ``share`` (in the prediction).
        ``pandas.DataFrame(results_)`` shows it.
    nested_score_ : Bunch
        What the choice itself is worth: ``loss`` and ``se`` where each fold's rows are
        predicted by the candidates that the other folds would choose, ``optimism``
        (what the chosen candidates' own held-out loss is too low by),
        ``best_member_loss`` (the member chosen likewise) and ``uniform_loss``.
    weights_ : ndarray of shape (n_members,), float64
        Mean of the weights of those chosen, by their shares; where all have weights.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, names repeat, there are fewer rows than folds, or
        weights are given to a combiner that takes none.

    Notes
    -----
    Time: the fits of all combiners, once for each fold, and of those chosen once more.
    Memory: the predictions of all members and combiners for all rows, and their losses.

    Held-out rows are scored together; standard errors come from leaving out one fold at
    a time (the jackknife). `nested_score_` fits nothing again: a fold's rows took part
    in fits by which the others' choice is made, which is a weaker bond than that of a
    plain minimum [2]_. ``cross_val_score`` of the search itself breaks it.

    References
    ----------
    .. [1] Hasson, Maddix, Wang, Gupta, Park, "Theoretical Guarantees of Learning
       Ensembling Strategies with Applications to Time Series Forecasting", ICML 2023,
       Theorem 4.1.
    .. [2] Tsamardinos, Greasidou, Borboudakis, "Bootstrapping the out-of-sample
       predictions for efficient and accurate cross-validation", Machine Learning 107,
       2018.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=200)
    >>> P = y[:, None] + rng.normal(size=(200, 4))
    >>> search = CombinerSearchRegressor(strategy="1se").fit(P, y)
    >>> search.chosen_
    ['convex, affine']
    >>> search.nested_score_.loss < search.nested_score_.best_member_loss
    True
    """

    _parts = "combiners"
    _parameter_constraints: dict = {
        "combiners": [list, None],
        "loss": [
            StrOptions({n for n in LOSSES if LOSSES[n].task == "regression"}),
            StrOptions(_SCORERS),
            callable,
        ],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "level": [Interval(Real, 0, 1, closed="neither")],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        combiners=None,
        *,
        loss="squared_error",
        strategy="average",
        cv=5,
        delta=1.0,
        level=0.5,
        n_jobs=None,
    ):
        self.combiners = combiners
        self.loss = loss
        self.strategy = strategy
        self.cv = cv
        self.delta = delta
        self.level = level
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Judge all candidates on held-out rows, and fit those chosen on all rows.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches every combiner and all losses.

        Returns
        -------
        self : CombinerSearchRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        P = np.asarray(P)  # a dask array in memory
        singles = [SingleRegressor(j) for j in range(P.shape[1])]
        given = sample_weight is not None
        base.search(self, P, y, weight, given, list(P.T), singles)
        return self

    def _combine(self, P):
        return base.predict(self, P, "predict")
