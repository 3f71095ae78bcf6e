"""The combiners that a blend tries: by task, metric and size of the data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score, make_scorer

from .. import combine
from ..combine import _population_base as population
from ..combine._decision import DecisionOffsetClassifier
from ..combine._scores_base import METRICS as LABEL_METRICS
from .metrics import Metric

__all__ = ["BEST_MEMBER", "MEAN", "Method", "methods_for"]

MEAN, BEST_MEMBER = "mean", "best member"
# Numbers in P up to which a method takes minutes at most on two cores; measured.
ANY_SIZE, LARGE, MEDIUM = float("inf"), 100_000_000, 20_000_000
SMALL, ON_REQUEST = 300_000, 0.0
_KINDS = {"regression": "Regressor", "classification": "Classifier"}


@dataclass(frozen=True)
class Method:
    """One way to combine, in the order of `methods_for` simplest first.

    Attributes
    ----------
    name : str
    make : callable
        Returns an unfitted combiner.
    most : float
        Numbers in P beyond which it is left out unless asked for by name; 0 for a
        method that calls a slow scorer thousands of times.
    needs : str or None, default=None
        A package, and the extra that brings it, that is no hard dependency.
    """

    name: str
    make: Callable[[], BaseEstimator]
    most: float
    needs: str | None = None

    @property
    def lacks(self) -> str | None:
        """Return what has to be installed first, None if nothing."""
        return None if self.needs is None or find_spec(self.needs) else self.needs


def methods_for(
    metric: Metric, task: str, n_classes: int, random_state: int
) -> list[Method]:
    """Return all methods that apply, simplest first.

    Parameters
    ----------
    metric : Metric
    task : {"regression", "classification", "quantile"}
    n_classes : int
        0 for values and quantiles.
    random_state : int
        Seed of the methods that draw.

    Returns
    -------
    methods : list of Method

    Examples
    --------
    >>> from ensemblekit.blending.metrics import find_metric
    >>> methods = methods_for(find_metric("rmse", "regression"), "regression", 0, 0)
    >>> [method.name for method in methods][:4]
    ['best member', 'mean', 'median', 'top mean']
    """
    if metric.levels is not None:
        return _of_quantiles(list(metric.levels))
    recipes = _Recipes(metric, task, n_classes, random_state)
    methods = [*recipes.plain(), *recipes.searches(), *recipes.weights()]
    methods += recipes.populations()
    if metric.tuned is not None:
        methods += recipes.offsets()
    return [*methods, recipes.choice()]


def _of_quantiles(levels):
    """Return what pools quantiles, and what weights members by their pinball loss."""

    def make(name, /, **parameters):
        return partial(getattr(combine, name), quantile_levels=levels, **parameters)

    pool = partial(make, "QuantilePoolRegressor")
    select = partial(make, "EnsembleSelectionRegressor", loss="pinball")
    weigh = partial(make, "QuantileAggregator")
    steady = weigh(ridge=10.0, ridge_center="inverse_loss")
    return [
        Method(BEST_MEMBER, select(n_rounds=1), ANY_SIZE),
        Method(MEAN, pool(), ANY_SIZE),
        Method("median", pool(kind="median"), LARGE),
        Method("trimmed mean", pool(kind="trimmed_mean"), LARGE),
        Method("linear pool", pool(kind="linear"), LARGE),
        Method("top mean", select(n_rounds=1, shrinkage=1.0), ANY_SIZE),
        Method("greedy", select(), LARGE),
        Method("quantile weights", weigh(), LARGE),
        Method("quantile weights, steady", steady, LARGE),
        Method("quantile weights, medium", weigh(weights="medium"), MEDIUM),
        Method("quantile weights, fine", weigh(weights="fine"), MEDIUM),
    ]


@dataclass(frozen=True)
class _Recipes:
    metric: Metric
    task: str
    n_classes: int
    seed: int

    def make(self, name: str, /, **parameters: Any) -> Callable[[], BaseEstimator]:
        return partial(getattr(combine, name + _KINDS[self.task]), **parameters)

    @property
    def cheap(self):
        """Return whether kernels know the metric; else a scorer is called each time."""
        known = isinstance(self.metric.loss, str)
        return known and (
            (
                self.metric.reads == "values"
                and self.metric.loss in ("squared_error", "absolute_error")
            )
            or self.metric.loss in ("log_loss", "brier", "auc", "zero_one")
            or self.metric.loss in LABEL_METRICS
        )

    def plain(self):
        """Return what learns nothing but an order of the members."""
        loss, average = self.metric.loss, self.make
        single = average("EnsembleSelection", loss=loss, n_rounds=1)
        top = average("EnsembleSelection", loss=loss, n_rounds=1, shrinkage=1.0)
        found = [
            Method(BEST_MEMBER, single, ANY_SIZE),
            Method(MEAN, average("Average"), ANY_SIZE),
            Method("median", average("Average", kind="median"), LARGE),
        ]
        if self.n_classes:
            geometric = average("Average", kind="geometric")
            ranks = average("Average", kind="rank")
            found += [
                Method("geometric mean", geometric, LARGE),
                Method("rank mean", ranks, LARGE),
            ]
        return [*found, Method("top mean", top, ANY_SIZE)]

    def searches(self):
        """Return what minimises the metric itself, member by member."""
        loss, seed = self.metric.loss, self.seed
        greedy = self.make("EnsembleSelection", loss=loss)
        bagged = self.make(
            "EnsembleSelection", loss=loss, bagging="rows", random_state=seed
        )
        climb = partial(self.make, "HillClimbing", loss=self._climbed)
        known = self.metric.loss not in LABEL_METRICS  # to climbing, without a scorer
        most = LARGE if self.cheap and known else ON_REQUEST
        # Signed mixtures of values have moments; those of probabilities are clipped.
        signed = most if not self.n_classes else min(most, SMALL)
        return [
            Method("greedy", greedy, ANY_SIZE if self.cheap else MEDIUM),
            Method("greedy, rows bagged", bagged, MEDIUM if self.cheap else ON_REQUEST),
            Method("hill climbing", climb(), most),
            Method("hill climbing, signed", climb(allow_negative=True), signed),
        ]

    def populations(self):
        """Return searches of many ensembles: 50 evaluations for each member."""
        loss, seed = self.metric.loss, self.seed
        gram, fast = loss in ("squared_error", "brier"), loss == "log_loss"
        known = population.CLASSIFICATION_LOSSES
        if not self.n_classes:
            known = population.REGRESSION_LOSSES
        most = MEDIUM if gram else MEDIUM / 4 if fast else MEDIUM / 10
        found = [
            Method(f"{name} selection", make, most)
            for name in ("QO", "QDO")
            if loss in known
            for make in [
                self.make(f"{name}EnsembleSelection", loss=loss, random_state=seed)
            ]
        ]
        evolved = self.make("CMAEnsemble", loss=self._climbed, random_state=seed)
        slow = MEDIUM / 10 if loss in known else ON_REQUEST
        return [*found, Method("CMA-ES", evolved, MEDIUM if gram else slow, "cma")]

    @property
    def _climbed(self):
        """Return the loss where scorers are known, and no names of selection."""
        kappa = self.metric.loss == "cohen_kappa"
        return make_scorer(cohen_kappa_score) if kappa else self.metric.loss

    def weights(self):
        """Return what solves for weights exactly, and stacks of more freedom."""
        options = {"loss": self._convex_loss(), "random_state": self.seed}
        plain = self.make("Convex", ridge=0.0, **options)
        convex = self.make("Convex", **options)
        found = [
            Method("convex", plain, ANY_SIZE),
            Method("convex, ridge", convex, ANY_SIZE),
        ]
        for calibrate in ("affine", "isotonic"):
            most = LARGE if calibrate == "affine" else MEDIUM
            make = partial(self._recalibrated, convex, calibrate)
            found.append(Method(f"convex, {calibrate}", make, most))
        return [*found, *self._stacks()]

    def offsets(self):
        """Return methods whose labels are tuned for the metric."""
        most = MEDIUM if self.cheap else MEDIUM / 100
        bases = {
            MEAN: self.make("Average"),
            "convex": self.make("Convex", random_state=self.seed),
            "linear stack": self.make("LinearStack"),
        }
        return [
            Method(f"{name}, offsets", partial(self._tuned, base), most)
            for name, base in bases.items()
        ]

    def choice(self):
        search = self.make("CombinerSearch", loss=self._climbed)
        known = self.cheap and self.metric.loss not in LABEL_METRICS
        return Method("search", search, MEDIUM / 4 if known else ON_REQUEST)

    def _recalibrated(self, base, calibrate):
        kind = getattr(combine, "Recalibrated" + _KINDS[self.task])
        return kind(base(), calibrate=calibrate)

    def _tuned(self, base):
        return DecisionOffsetClassifier(base(), metric=self.metric.tuned)

    def _convex_loss(self):
        if self.n_classes:
            return "brier" if self.metric.loss == "brier" else "log_loss"
        robust = self.metric.loss == "absolute_error"
        return "absolute_error" if robust else "squared_error"

    def _stacks(self):
        stack = partial(self.make, "LinearStack")
        if not self.n_classes:
            return [
                Method("linear stack, huber", stack(loss="huber"), MEDIUM),
                Method("linear stack", stack(), LARGE),
            ]
        shared = stack(weights="shared", features="log")
        return [
            Method("linear stack, shared", shared, MEDIUM),
            Method("linear stack", stack(), MEDIUM),
        ]
