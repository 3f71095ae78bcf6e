"""QOEnsembleSelectionRegressor and its classifier: a population of ensembles."""

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .._sklearn import StrOptions, _fit_context
from . import _population_base as base
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_probabilities,
    mix_values,
    validate_classification,
    validate_regression,
)

__all__ = ["QOEnsembleSelectionClassifier", "QOEnsembleSelectionRegressor"]


class QOEnsembleSelectionRegressor(
    RegressionCombinerMixin, RegressorMixin, BaseEstimator
):
    """Search the ensemble of lowest loss by a population (QO-ES).

    The 49 best ensembles found so far are crossed and mutated; what is better than the
    worst of them replaces it. The search starts from the single members, pairs and the
    whole path of greedy selection, so that the result is never worse than
    `EnsembleSelectionRegressor` on the rows given. It serves losses that are not
    convex; for squared error `ConvexRegressor` finds the exact optimum.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        The last two are slow: each ensemble costs some passes over the rows in numpy.
    n_evaluations : int or None, default=None
        Ensembles evaluated, the single members included; at least the number of
        distinct members. None is 50 for each of them.
    batch_size : int, default=40
        Ensembles proposed between two updates of the archive; >= 1.
    crossover : {"average", "two_point"}, default="average"
        ``"average"`` takes the mean of two elites' counts, rounded up; ``"two_point"``
        lets them exchange a slice of their members.
    elite : {"combined_dynamic", "deterministic", "tournament"}, \
            default="combined_dynamic"
        How parents are drawn from the archive: the best one or any, by chances that
        follow success; always the best; or the best of some.
    mutation : {"all", "add"}, default="all"
        ``"add"`` only adds picks; ``"all"`` also takes picks out and swaps members.
    definition : {"corrected", "published"}, default="corrected"
        ``"published"`` keeps to the authors' rules for archive, parents, moves and
        chances: for comparison. Greedy selection is then no start, and the result may
        be worse than its.
    random_state : int, RandomState instance or None, default=0
        Seed of the search; with an int the result is reproducible.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Of the best ensemble found; non-negative, sums to 1. Of members with equal
        columns the first takes all.
    loss_ : float
        Its loss on the rows given (fitted: optimistic).
    archive_ : Bunch
        Near-optimal ensembles, from the lowest loss to the highest: ``weights`` and
        ``counts`` of shape (n_elites, n_members), ``losses`` of shape (n_elites,),
        ``descriptors`` of shape (n_elites, 2) and ``descriptor_names``.
    loss_path_ : ndarray of shape (n_batches + 1,), float64
        Lowest loss so far: of the first ensembles, then after each batch.
    n_evaluations_ : int
        Ensembles evaluated within `n_evaluations`.
    n_init_evaluations_ : int
        Ensembles evaluated besides, by the greedy selection at the start.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, weights are unfit,
        or `n_evaluations` is less than the number of distinct members.

    Notes
    -----
    Squared error: O(n_samples * n_members**2) once, then O(size**2) for each ensemble.

    A lower loss on the rows given is what this search finds; on new rows the paper sees
    no significant difference from greedy selection.

    References
    ----------
    .. [1] Purucker et al., "Q(D)O-ES: Population-based Quality (Diversity) Optimisation
       for Post Hoc Ensemble Selection in AutoML", AutoML 2023.

    Examples
    --------
    >>> P = [[0.0, 2.0, 0.5], [1.0, 3.0, 2.5], [2.0, 4.0, 2.0]]
    >>> combiner = QOEnsembleSelectionRegressor().fit(P, [1.0, 2.0, 3.0])
    >>> combiner.weights_
    array([0.5, 0.5, 0. ])
    >>> combiner.loss_
    0.0
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions(base.REGRESSION_LOSSES)],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        *,
        loss="squared_error",
        n_evaluations=None,
        batch_size=40,
        crossover="average",
        elite="combined_dynamic",
        mutation="all",
        definition="corrected",
        random_state=0,
    ):
        self.loss = loss
        self.n_evaluations = n_evaluations
        self.batch_size = batch_size
        self.crossover = crossover
        self.elite = elite
        self.mutation = mutation
        self.definition = definition
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Search the ensemble.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : QOEnsembleSelectionRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        rows = base.distinct_rows(P, y, weight)
        names = ["loss_correlation", "ensemble_size"]
        base.fit_population(self, "quality", rows, names)
        return self

    def _combine(self, P):
        return mix_values(self, P)


class QOEnsembleSelectionClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Search the ensemble of lowest loss by a population (QO-ES).

    The 49 best ensembles found so far are crossed and mutated; what is better than the
    worst of them replaces it. The search starts from the single members, pairs and the
    whole path of greedy selection, so that the result is never worse than
    `EnsembleSelectionClassifier` on the rows given. It serves losses that are not
    convex, such as the share of errors; for log loss or Brier score `ConvexClassifier`
    finds the exact optimum.

    Parameters
    ----------
    loss : {"log_loss", "brier", "zero_one", "auc"}, default="log_loss"
        ``"auc"`` is 1 - ROC AUC, for two classes. The last two are slow: each ensemble
        costs some passes over the rows in numpy, or a sort.
    n_evaluations : int or None, default=None
        Ensembles evaluated, the single members included; at least the number of
        distinct members. None is 50 for each of them.
    batch_size : int, default=40
        Ensembles proposed between two updates of the archive; >= 1.
    crossover : {"average", "two_point"}, default="average"
        ``"average"`` takes the mean of two elites' counts, rounded up; ``"two_point"``
        lets them exchange a slice of their members.
    elite : {"combined_dynamic", "deterministic", "tournament"}, \
            default="combined_dynamic"
        How parents are drawn from the archive: the best one or any, by chances that
        follow success; always the best; or the best of some.
    mutation : {"all", "add"}, default="all"
        ``"add"`` only adds picks; ``"all"`` also takes picks out and swaps members.
    definition : {"corrected", "published"}, default="corrected"
        ``"published"`` keeps to the authors' rules for archive, parents, moves and
        chances: for comparison. Greedy selection is then no start, and the result may
        be worse than its.
    random_state : int, RandomState instance or None, default=0
        Seed of the search; with an int the result is reproducible.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Of the best ensemble found; non-negative, sums to 1. Of members with equal
        columns the first takes all.
    loss_ : float
        Its loss on the rows given (fitted: optimistic).
    archive_ : Bunch
        Near-optimal ensembles, from the lowest loss to the highest: ``weights`` and
        ``counts`` of shape (n_elites, n_members), ``losses`` of shape (n_elites,),
        ``descriptors`` of shape (n_elites, 2) and ``descriptor_names``.
    loss_path_ : ndarray of shape (n_batches + 1,), float64
        Lowest loss so far: of the first ensembles, then after each batch.
    n_evaluations_ : int
        Ensembles evaluated within `n_evaluations`.
    n_init_evaluations_ : int
        Ensembles evaluated besides, by the greedy selection at the start.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit,
        or `n_evaluations` is less than the number of distinct members.

    Notes
    -----
    Log loss: O(n_samples * size) for each ensemble of that many members.

    A lower loss on the rows given is what this search finds; on new rows the paper sees
    no significant difference from greedy selection.

    References
    ----------
    .. [1] Purucker et al., "Q(D)O-ES: Population-based Quality (Diversity) Optimisation
       for Post Hoc Ensemble Selection in AutoML", AutoML 2023.

    Examples
    --------
    >>> P = [[0.1, 0.6], [0.4, 0.5], [0.9, 0.5]]
    >>> combiner = QOEnsembleSelectionClassifier().fit(P, ["no", "no", "yes"])
    >>> combiner.weights_
    array([1., 0.])
    >>> len(combiner.archive_.losses) > 1
    True
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions(base.CLASSIFICATION_LOSSES)],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        *,
        loss="log_loss",
        n_evaluations=None,
        batch_size=40,
        crossover="average",
        elite="combined_dynamic",
        mutation="all",
        definition="corrected",
        random_state=0,
    ):
        self.loss = loss
        self.n_evaluations = n_evaluations
        self.batch_size = batch_size
        self.crossover = crossover
        self.elite = elite
        self.mutation = mutation
        self.definition = definition
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Search the ensemble.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : QOEnsembleSelectionClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        rows = base.distinct_rows(P, y, weight, len(self.classes_))
        names = ["loss_correlation", "ensemble_size"]
        base.fit_population(self, "quality", rows, names)
        return self

    def _combine(self, P):
        return mix_probabilities(self, P)
