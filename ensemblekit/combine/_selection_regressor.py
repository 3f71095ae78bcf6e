"""EnsembleSelectionRegressor: greedy selection of values and quantiles."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import get_scorer_names
from sklearn.utils.metaestimators import available_if

from .. import layout
from .._sklearn import (
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_sample_weight,
    forget_fitted,
)
from ..convex.constraints import as_numbers
from . import _selection_base as base
from ._base import (
    RegressionCombinerMixin,
    check_all_finite,
    validate_new,
    validate_rows,
)
from ._scores_base import plain, value_scores

__all__ = ["EnsembleSelectionRegressor"]

_SCORERS = set(get_scorer_names())


class EnsembleSelectionRegressor(
    RegressionCombinerMixin, RegressorMixin, BaseEstimator
):
    """Select members greedily, with replacement.

    Each round adds the member that lowers the loss of the running mean most; the best
    prefix of the picks is kept, so the result is never worse than the best single
    member on the rows given. For the exact optimum of a convex loss see
    `ConvexRegressor`; selection takes any loss, and limits on members and cost.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "pinball"}, str or callable, \
            default="squared_error"
        Also the name of a scikit-learn scorer or a callable
        ``scorer(estimator, X, y)``
        (X then holds row numbers), whose negative is lowered: slow, one call for each
        member in each round.
    delta : float, default=1.0
        Huber's bend, in the unit of y; > 0.
    level : float, default=0.5
        Level of the pinball loss; in (0, 1).
    quantile_levels : array-like of shape (n_levels,) or None, default=None
        For ``loss="pinball"`` in place of `level`: ascending levels in (0, 1), of which
        each member gives all; the mean of their losses counts.
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
        If P or y is NaN or infinite, lengths differ, weights are unfit or not taken by
        the scorer, or parameters contradict each other.

    Notes
    -----
    Squared error: one Gram matrix, O(n_samples * n_members**2), then O(n_members) for
    each round. Other losses: O(n_rounds * n_samples * n_members).

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
    >>> combiner = EnsembleSelectionRegressor(n_rounds=2)
    >>> combiner.fit([[0.0, 2.0], [1.0, 3.0]], [1.0, 2.0]).weights_
    array([0.5, 0.5])
    """

    _parameter_constraints: dict = {
        "loss": [
            StrOptions(
                {"squared_error", "absolute_error", "huber", "pinball"} | _SCORERS
            ),
            callable,
        ],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "quantile_levels": ["array-like", None],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        *,
        loss="squared_error",
        delta=1.0,
        level=0.5,
        quantile_levels=None,
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
        self.delta = delta
        self.level = level
        self.quantile_levels = quantile_levels
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
            Out-of-fold predictions, member by member: one column each, or one for each
            target or quantile level.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : EnsembleSelectionRegressor
        """
        before = getattr(self, "picks_", ()) if self.warm_start else ()
        forget_fitted(self)
        P, y = validate_rows(self, P, y, y_numeric=True, multi_output=True)
        if self.loss != "squared_error" or sample_weight is not None:
            check_all_finite(self, P)  # else the Gram matrix tells
        y = y.astype(np.float64, copy=False)
        weight = check_sample_weight(sample_weight, P)
        n_outputs = self._n_outputs(y)
        n_members = layout.count_members(P, n_outputs, "outputs of each member")
        scores = value_scores(self, P, y, plain(weight), n_outputs)
        if self.rules != "exact":
            base.select_as_autogluon(self, scores, list(P.T), y, self.loss)
        else:
            before = [pick for pick in before if pick < n_members]
            base.select(self, scores, np.zeros(len(y), np.int64), before)
        self.n_outputs_ = n_outputs
        return self

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

    @available_if(lambda self: self.quantile_levels is not None)
    def predict_quantiles(self, P):
        """Return the combined quantiles at `quantile_levels`.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending where the members' are.
        """
        P = validate_new(self, P)
        return layout.weighted_mean(P, self.weights_, self.n_outputs_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _combine(self, P):
        mixture = layout.weighted_mean(P, self.weights_, self.n_outputs_)
        if self.quantile_levels is not None:
            middle = np.abs(np.asarray(self.quantile_levels) - 0.5).argmin()
            return mixture[:, middle]
        return mixture if self.n_outputs_ > 1 else mixture[:, 0]

    def _n_outputs(self, y):
        """Return the columns of each member."""
        if self.quantile_levels is None:
            return 1 if y.ndim == 1 else y.shape[1]
        levels = as_numbers("quantile_levels", self.quantile_levels)
        flat = levels.ndim == 1 and len(levels) > 0
        steps = np.diff(levels, prepend=0.0, append=1.0) if flat else [0]
        if self.loss != "pinball" or y.ndim > 1 or not np.all(np.greater(steps, 0)):
            raise ValueError(
                "quantile_levels need loss='pinball', one target, and levels that "
                f"ascend inside (0, 1); got loss={self.loss!r}, y of shape {y.shape} "
                f"and {levels.tolist()}."
            )
        return len(levels)
