"""EnsembleSelectionClassifier: greedy selection of probabilities."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer_names

from .. import layout
from .._sklearn import (
    StrOptions,
    _fit_context,
)
from ..selection.offsets import METRICS
from . import _selection_base as base
from ._base import (
    ClassificationCombinerMixin,
    column_names,
    mix_probabilities,
    validate_classification,
)
from ._scores_base import class_scores, plain

__all__ = ["EnsembleSelectionClassifier"]

_SCORERS = set(get_scorer_names())


class EnsembleSelectionClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Select members greedily, with replacement.

    Each round adds the member that lowers the loss of the running mean most; the best
    prefix of the picks is kept, so the result is never worse than the best single
    member on the rows given. For the exact optimum of log loss or Brier score see
    `ConvexClassifier`; selection takes any loss, and limits on members and cost.

    Parameters
    ----------
    loss : {"log_loss", "brier", "zero_one", "auc"}, str or callable, \
            default="log_loss"
        ``"zero_one"`` is the share of rows whose most probable class is wrong (equal
        ones: the first), ``"auc"`` 1 - ROC AUC of two classes. Also the name of a
        scikit-learn scorer (``"balanced_accuracy"``, ``"f1"``, ``"f1_macro"``,
        ``"f1_weighted"`` and ``"matthews_corrcoef"``, each as 1 - score, are as fast as
        the former; ``"f1"`` is that of the second of two classes) or a callable
        ``scorer(estimator, X, y)`` (X then holds row numbers), whose negative is
        lowered: slow, one call for each member in each round.
    tune_offsets : bool, default=False
        For losses of labels (``"zero_one"``, ``"balanced_accuracy"``, ``"f1"``, ..):
        whether to choose decision offsets with the members. Every five picks offsets
        are chosen anew, so that members are not judged by a line between the classes
        that will move; the final ones are the median over folds whose members and
        offsets are chosen without them, 0 unless they gain one standard error there.
        `predict` adds them; probabilities are left alone.
    n_rounds : int, default=50
        Picks in all, counted with repeats; >= 1.
    init : "best", "sorted" or int, default="best"
        What selection starts from: nothing, so that the best member comes first; the
        members in order of their own loss, as long as their mean gains; or so many of
        the best.
    replacement : bool, default=True
        Whether a member may be picked again. False gives equal weights to the picks.
    max_members : int or None, default=None
        Most distinct members; >= 1. Not with `bagging` or `shrinkage`.
    cost : array-like of shape (n_members,) or None, default=None
        What each member costs (seconds, money), once however often it is picked; >= 0.
        Selection itself heeds `max_cost` alone; `frontier_` shows what less cost loses.
    max_cost : float or None, default=None
        Most that the distinct members may cost together, in the unit of `cost`. Not
        with `bagging` or `shrinkage`.
    min_gain : float, default=0.0
        The shortest prefix of the picks within `min_gain` of the lowest loss is kept,
        in the unit of the loss; >= 0.
    patience : int or None, default=None
        Stop after so many rounds without a gain above `min_gain`; None goes on.
    time_limit : float or None, default=None
        Seconds after which no further round of this fit starts, in whichever bag or
        fold; each still makes its first pick. Results then depend on the machine.
    callback : callable or None, default=None
        ``callback(round, loss, member)`` after each pick; a true value stops.
    bagging : {"members", "rows"} or None, default=None
        Average the weights of `n_bags` selections: from random subsets of the members
        (`bag_share` of them), or on bootstrap samples of the rows (within classes;
        whole weights are copies, others stay with their rows). Steadier weights where
        rows are few.
    n_bags : int, default=20
        Selections that are averaged; >= 1.
    bag_share : float, default=0.5
        Share of the members that each bag may pick; in (0, 1].
    shrinkage : float or "cv", default=0.0
        Draws the weights toward equal ones on the best tenth of the members (at least
        five), by this share; in [0, 1]. ``"cv"`` is the strongest of 0, 1/4, 1/2, 3/4,
        1 whose loss on held-out rows exceeds the lowest by no more than one standard
        error of the difference.
    nested_cv : int, splitter, iterable of (train, test) or None, default=None
        Row folds for `nested_score_`, and of ``shrinkage="cv"`` (there 5 if None).
        Where rows come in groups, give splits that keep groups together.
    rules : {"exact", "autogluon", "autogluon_second_metric"}, default="exact"
        ``"autogluon"`` reproduces the picks of AutoGluon's EnsembleSelection: its
        rounding, its ties, its random stream; ``"autogluon_second_metric"`` with its
        ``tie_breaker="second_metric"``, by which log loss decides first. For log
        loss, AUC, accuracy and RMSE (``"squared_error"``, whose path is then the root),
        without sample weights and with the other choices left alone.
    warm_start : bool, default=False
        Whether a further `fit` also goes on from `picks_`, by member position: for
        members added behind the others, rows added, or a larger `n_rounds`. Of that and
        a selection from the start the one of lower loss is kept.
    random_state : int, RandomState instance or None, default=0
        Draws the bags.
    n_jobs : int or None, default=None
        Threads for the bags; no result depends on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    offsets_ : ndarray of shape (n_classes,), float64
        Only with `tune_offsets`: added to probabilities before the largest is taken.
    picks_ : ndarray of shape (n_picks,), int64
        Members in the order chosen, up to the best prefix. Losses within 1e-12
        (relative) tie; the lowest index wins.
    loss_path_ : ndarray of shape (n_picks,), float64
        Loss after each pick, on the rows given (optimistic).
    weights_ : ndarray of shape (n_members,), float64
        Share of each member in `picks_`, averaged over bags and shrunk if asked for;
        non-negative, sums to 1.
    loss_ : float
        Loss of `weights_` on the rows given (optimistic).
    duality_gap_ : float
        Upper bound on what any other convex weights could gain (Frank-Wolfe [2]_),
        often loose; NaN for losses that are not convex and for scorers.
    near_ties_ : list of ndarray, int64
        For each pick the other members whose loss was within 1e-4 (relative) of it;
        empty for picks that `init` or `warm_start` gave.
    frontier_ : Bunch
        ``losses``, ``costs`` and ``picks`` of the undominated ensembles among the
        prefixes of the path and, with `cost`, of ten runs in which cost has a price.
        Without `cost` each distinct member costs 1.
    shrinkage_ : float
        The shrinkage used.
    bag_picks_ : list of ndarray, int64
        Picks of each bag; only with `bagging`.
    nested_score_ : Bunch
        Only with `nested_cv`: ``loss`` on rows that no choice has seen, its standard
        error ``se`` from the folds' spread (too small where splits overlap, NaN for
        one), ``optimism`` (what `loss_` is too low by),
        ``best_member_loss`` and ``uniform_loss`` on the same rows. Held-out rows are
        scored together; ``fold_losses`` are of each fold alone. `se` is the jackknife's
        over folds.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class (for ``"auc"``: not two), weights
        are unfit or not taken by the scorer, or parameters contradict each other.

    Notes
    -----
    O(n_rounds * n_samples * n_members), times n_classes for ``"zero_one"`` at most and
    times log(n_samples) for ``"auc"``; ``"brier"`` needs one Gram matrix,
    O(n_samples * n_classes * n_members**2), whatever the number of rounds. With more
    than two classes log loss copies the true class's columns, 1 / n_classes of P.

    A fit takes a few vectors of n_samples numbers beside P, folds and bags included:
    P may be a memory map, larger than memory if need be. Folds of a P above 64 MB, and
    such a P in Fortran order, are gathered anew in each round, in up to four times the
    time. Scorers are given copies of predictions, one mixture at a time.

    References
    ----------
    .. [1] Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.
    .. [2] Jaggi, "Revisiting Frank-Wolfe", ICML 2013.
    .. [3] Caruana et al., "Getting the Most Out of Ensemble Selection", ICDM 2006.

    Examples
    --------
    >>> P = [[0.1, 0.6], [0.4, 0.5], [0.9, 0.5]]
    >>> combiner = EnsembleSelectionClassifier(n_rounds=5).fit(P, ["no", "no", "yes"])
    >>> combiner.picks_
    array([0])
    """

    _parameter_constraints: dict = {
        "loss": [
            StrOptions({"log_loss", "brier", "zero_one", "auc", *METRICS} | _SCORERS),
            callable,
        ],
        "tune_offsets": ["boolean"],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        *,
        loss="log_loss",
        tune_offsets=False,
        n_rounds=50,
        init="best",
        replacement=True,
        max_members=None,
        cost=None,
        max_cost=None,
        min_gain=0.0,
        patience=None,
        time_limit=None,
        callback=None,
        bagging=None,
        n_bags=20,
        bag_share=0.5,
        shrinkage=0.0,
        nested_cv=None,
        rules="exact",
        warm_start=False,
        random_state=0,
        n_jobs=None,
    ):
        self.loss = loss
        self.tune_offsets = tune_offsets
        self.n_rounds = n_rounds
        self.init = init
        self.replacement = replacement
        self.max_members = max_members
        self.cost = cost
        self.max_cost = max_cost
        self.min_gain = min_gain
        self.patience = patience
        self.time_limit = time_limit
        self.callback = callback
        self.bagging = bagging
        self.n_bags = n_bags
        self.bag_share = bag_share
        self.shrinkage = shrinkage
        self.nested_cv = nested_cv
        self.rules = rules
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Select members.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : EnsembleSelectionClassifier
        """
        before = getattr(self, "picks_", ()) if self.warm_start else ()
        P, codes, weight = validate_classification(
            self, P, y, sample_weight, values=False
        )
        n_outputs = layout.n_outputs_for(len(self.classes_))
        n_members = layout.count_members(P, n_outputs)
        if self.rules != "exact":
            P = np.ascontiguousarray(P)  # the peer reads columns in its own order
        unchecked = column_names(self)
        scores = class_scores(self, P, codes, plain(weight), unchecked)
        if self.rules != "exact":
            members = list(layout.to_cube(P, n_outputs))
            if n_outputs == 1:
                members = [member[:, 0] for member in members]
            base.select_as_autogluon(self, scores, members, codes, self.loss)
        else:
            before = [pick for pick in before if pick < n_members]
            base.select(self, scores, codes, before)
        return self

    def predict(self, P):
        """Return the class of the highest probability, plus `offsets_` if tuned.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
            Ties go to the first in `classes_`.
        """
        shifted = self.predict_proba(P) + getattr(self, "offsets_", 0.0)
        return self.classes_[shifted.argmax(axis=1)]

    def explain(self):
        """Tell why each member has the weight it has.

        Returns
        -------
        rows : list of dict
            For each member ``name``, ``weight``, ``n_picks``, ``first_pick`` (round, or
            None), ``own_loss``, ``loss_without`` (of the other weights, rescaled; NaN
            without weight) and ``closest``: how far its loss was from that of the pick
            in its best round. ``pandas.DataFrame(rows)`` shows them as a table.
        """
        return base.explain(self)

    def _combine(self, P):
        return mix_probabilities(self, P)
