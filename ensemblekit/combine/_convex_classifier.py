"""ConvexClassifier: the exact best convex weights, for probabilities."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from .. import layout
from .._sklearn import StrOptions, _fit_context, check_sample_weight
from ..convex.losses import LogLoss
from ..convex.problem import RowLoss, SquaredLoss
from . import _convex_base as base
from ._base import (
    ClassificationCombinerMixin,
    check_all_finite,
    check_all_probabilities,
    column_names,
    forget_fitted,
    mix_probabilities,
    validate_rows,
)

__all__ = ["ConvexClassifier"]


class ConvexClassifier(ClassificationCombinerMixin, ClassifierMixin, BaseEstimator):
    """Mix probabilities by the best non-negative weights, sum 1; prove that they are.

    Minimises the weighted mean loss plus a penalty that draws the weights toward
    equality. The Brier score is one quadratic program, log loss about four. The optimum
    lies within `duality_gap_` of `objective_`. A mixture cannot recalibrate: members
    that are all over- or under-confident in the same way are better stacked
    (`LinearStackClassifier`).

    Parameters
    ----------
    loss : {"log_loss", "brier"}, default="log_loss"
        Rows to which all members give probability 0 for the true class have infinite
        log loss under any weights and do not influence them.
    ridge : "auto", "cv" or float, default="auto"
        Adds ``ridge * L * sum((w - 1/m)**2)``, with m the number of distinct members
        and L the Brier score of the best member, or 1/2 for log loss; >= 0. ``"auto"``
        is m divided by the sum of the sample weights (the number of rows), ``"cv"`` the
        best of 0 and 25 values from 1e-4 to 100 on held-out rows; of equal ones the
        largest. 0 is the plain optimum, which overfits where rows are few.
    own_error : float, default=0.0
        Adds ``own_error * sum(w * own losses of the members)``; >= 0. Favours few and
        good members. In their own log loss probabilities below 2.2e-16 count as that.
    cost : array-like of shape (n_members,) or None, default=None
        Adds ``L1 * cost @ w``, L1 the own loss of the best member, say for slow
        members: at a cost of 0.01 a member with all the weight has to lower the loss by
        one per cent of L1.
    max_weight : float, array-like of shape (n_members,) or None, default=None
        Most that a member may weigh; in [0, 1].
    min_weight : float or None, default=None
        Least weight of a member that is kept; others have 0. In (0, 1].
    max_members : int or None, default=None
        Most members with weight; >= 1. With `min_weight` or `max_members` members are
        searched for by greedy steps and exchanges: mostly the best subset, without
        proof, so that `duality_gap_` is the distance to the optimum over all members.
    groups : array-like of shape (n_members,) or None, default=None
        Family of each member.
    max_group_weight : float, dict of family to float, or None, default=None
        Most that a family may weigh together; in (0, 1].
    constraints : callable or None, default=None
        ``constraints(w)`` returns a list of cvxpy constraints on the variable w of
        shape (n_members,), to be met as well. Needs the extra ``cvxpy``. Each step is
        then solved by CLARABEL: slower, and exact to about 1e-6 of the objective.
    n_bootstrap : int, default=0
        Replicates for `weight_intervals_`; >= 0. The Brier score adds up Gram matrices
        of up to 200 row blocks, log loss is solved anew each time.
    alpha : float, default=0.1
        The intervals leave out a share alpha of the replicates; in (0, 1).
    blocks : {"random", "contiguous"} or array-like of shape (n_samples,), \
            default="random"
        Rows that the bootstrap draws together: ``"contiguous"`` for time series, labels
        where rows come in groups.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds of ``ridge="cv"``; an int means that many stratified, shuffled folds
        with a fixed seed. Where rows come in groups, give the splits that keep groups
        together.
    random_state : int, RandomState instance or None, default=0
        Draws the bootstrap and its random blocks.
    tol : float, default=1e-9
        Largest accepted duality gap beyond rounding: absolute for log loss (or relative
        to an objective above 1), relative to the objective for Brier; in (0, 1).
    max_iter : int, default=10000
        Iterations of the solver.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Non-negative, sums to 1; exactly 0 off the support. Of members that are equal on
        all rows the first takes all.
    objective_ : float
        What is minimised: `loss_` plus penalties.
    loss_ : float
        Loss of the mixture on the rows given (fitted: optimistic). Log loss is not
        clipped: a probability of 1e-30 counts as such; only rows to which all members
        give 0 count as the machine epsilon.
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible, computed from P itself.
    ridge_ : float
        The ridge used.
    ridges_, cv_losses_ : ndarray of shape (26,), float64
        Only for ``ridge="cv"``: what was tried, and the loss on held-out rows.
    weight_intervals_ : ndarray of shape (n_members, 2), float64
        Percentiles of the bootstrapped weights; only for ``n_bootstrap > 0``. They show
        stability; at weights near 0 they are no confidence intervals.
    weight_se_ : ndarray of shape (n_members,), float64
        Standard deviation of the bootstrapped weights.
    selection_frequency_ : ndarray of shape (n_members,), float64
        Share of the replicates that give the member weight; in [0, 1].
    gram_ : ndarray of shape (n_members, n_members), float64
        Sum of outer products of the residuals; for the Brier score.
    total_weight_ : float
        Sum of the weights in it.
    n_iter_ : int
        Iterations of the solver; for log loss Newton steps, usually 3 to 6.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit, or parameters
        contradict each other.
    ImportError
        If `constraints` are given and cvxpy is not installed.

    Warns
    -----
    ConvergenceWarning
        If the solver stopped before `tol` was reached.
    UserWarning
        If ``ridge="auto"`` meets sample weights that cannot be counts of rows.

    Notes
    -----
    Time: about 10 Gram matrices, each O(n_samples * n_members**2), for log loss; one
    for Brier (times n_classes). Memory beside P: a few MB and a few numbers a row. P
    may be a memory map, or a dask array, which is read chunk by chunk.

    References
    ----------
    .. [1] Kim, Carbonetto, Stephens, Anitescu, "A fast algorithm for maximum likelihood
       estimation of mixture proportions using sequential quadratic programming", 2020.

    Examples
    --------
    >>> P = [[0.1, 0.5], [0.2, 0.5], [0.9, 0.5]]
    >>> combiner = ConvexClassifier(ridge=0).fit(P, ["no", "no", "yes"])
    >>> combiner.weights_
    array([1., 0.])
    """

    _parameter_constraints: dict = {
        "loss": [StrOptions({"log_loss", "brier"})],
        **base.PARAMETERS,
    }

    def __init__(
        self,
        *,
        loss="log_loss",
        ridge="auto",
        own_error=0.0,
        cost=None,
        max_weight=None,
        min_weight=None,
        max_members=None,
        groups=None,
        max_group_weight=None,
        constraints=None,
        n_bootstrap=0,
        alpha=0.1,
        blocks="random",
        cv=5,
        random_state=0,
        tol=1e-9,
        max_iter=10_000,
    ):
        self.loss = loss
        self.ridge = ridge
        self.own_error = own_error
        self.cost = cost
        self.max_weight = max_weight
        self.min_weight = min_weight
        self.max_members = max_members
        self.groups = groups
        self.max_group_weight = max_group_weight
        self.constraints = constraints
        self.n_bootstrap = n_bootstrap
        self.alpha = alpha
        self.blocks = blocks
        self.cv = cv
        self.random_state = random_state
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities. Memory map and dask array are read in blocks.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : ConvexClassifier
        """
        forget_fitted(self)
        P, y, weight = self._validate(P, y, sample_weight)
        classes, codes = layout.encode_labels(y)
        problem, rows = self._read(P, classes, codes, weight)
        base.warn_unless_counts(self, weight)
        fit = base.fit_problem(self, problem, rows, self.cv)
        self.classes_ = classes
        if self.loss == "brier" and not problem.rough:
            base.keep_rows(self, problem, rows)
        base.name_results(self, [fit])
        return self

    @available_if(lambda self: self.loss == "brier")
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, P, y, classes=None, sample_weight=None):
        """Add rows to those seen before, and find the weights of them all.

        Goes on from `fit`, too. Only a Gram matrix is kept of rows, so that the
        certificate comes from it. For the Brier score.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All labels; needed in the first call, unless `fit` has seen them.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : ConvexClassifier

        Raises
        ------
        ValueError
            If a parameter needs all rows, or y has labels that are not among the
            classes.
        """
        base.refuse_partial_fit(self)
        first = not hasattr(self, "gram_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit.")
        known = self.classes_ if classes is None else np.unique(classes)
        if len(known) < 2 or not (first or np.array_equal(known, self.classes_)):
            raise ValueError(
                f"classes is {known.tolist()}; expected two labels or more, the same "
                "in every call."
            )
        P, y, weight = self._validate(P, y, sample_weight, reset=first)
        base.warn_unless_counts(self, weight)
        design, _, names = self._brier(P, known, _codes(y, known))
        found, sums = base.find_from_sums(self, design, weight, names)
        self.classes_ = known
        base.keep_sums(self, sums.gram, sums.total, sums.leaders)
        base.name_results(self, [base.as_fit(found, len(names))])
        return self

    def explain(self, P, y, sample_weight=None):
        """Tell what each member weighs, and what it adds.

        Members with weight are left out one by one and the weights found again.

        Parameters
        ----------
        P, y, sample_weight
            As given to `fit`.

        Returns
        -------
        rows : list of dict
            For each member ``name``, ``weight``, ``own_loss``, ``loss_without`` (of the
            best weights without it), ``contribution`` (the rise from `loss_` to that;
            NaN where the others cannot meet the constraints; below 0 only by a ridge)
            and ``correlation`` of its probabilities of the true class (log loss) or its
            residuals (Brier) with those of the mixture without it.
            ``pandas.DataFrame(rows)`` shows them as a table.
        """
        check_is_fitted(self)
        P, y, weight = self._validate(P, y, sample_weight, reset=False)
        codes = _codes(y, self.classes_)
        return base.explain(self, *self._read(P, self.classes_, codes, weight))

    def regularization_path(self, P, y, sample_weight=None, *, ridges=None):
        """Find the weights at each of several ridges; the estimator is left as it is.

        Parameters
        ----------
        P, y, sample_weight
            As for `fit`.
        ridges : array-like of shape (n_ridges,) or None, default=None
            Non-negative; None means 0 and 25 values from 1e-4 to 100.

        Returns
        -------
        path : Bunch
            ``weights`` (n_ridges, n_members); ``ridges``, ``losses`` without penalty,
            ``duality_gaps`` and ``n_members`` with weight, (n_ridges,) each.
        """
        combiner = clone(self)
        P, y, weight = combiner._validate(P, y, sample_weight)
        problem, rows = combiner._read(P, *layout.encode_labels(y), weight)
        return base.regularization_path(combiner, problem, rows, ridges)

    def _combine(self, P):
        return mix_probabilities(self, P)

    def _validate(self, P, y, sample_weight, reset=True):
        P, y = validate_rows(self, P, y, reset=reset)
        check_all_finite(self, P)
        check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, P)
        return P, column_or_1d(y), weight

    def _read(self, P, classes, codes, weight):
        """Return the problem and its rows."""
        if self.loss == "brier":
            design, n_outputs, names = self._brier(P, classes, codes)
            spread = None if weight is None else np.repeat(weight, n_outputs)
            problem = SquaredLoss.from_rows(design, spread, terms=n_outputs)
            base.check_problem(self, problem)
        else:
            n_outputs, names = self._members(P, classes)
            # The true class's probability: P - 0, or 1 - P = -(P - 1).
            design = base.design_of(P, np.zeros(len(codes)), n_outputs, codes=codes)
            if n_outputs == 1:
                target, sign = 1.0 - codes, 2.0 * codes - 1.0
                design = base.design_of(P, target, sign=sign)
            problem = RowLoss(design.gathered(), weight, LogLoss())
        return problem, base.Rows(P, codes, n_outputs, weight, names, stratify=True)

    def _brier(self, P, classes, codes):
        n_outputs, names = self._members(P, classes)
        target = layout.one_hot(codes, len(classes)).ravel()
        return base.design_of(P, target, n_outputs), n_outputs, names

    def _members(self, P, classes):
        """Return columns for each member and the names; check probabilities."""
        n_outputs = layout.n_outputs_for(len(classes))
        layout.count_members(P, n_outputs)
        check_all_probabilities(self, P, len(classes))
        return n_outputs, list(column_names(self)[::n_outputs])


def _codes(y, classes):
    """Return the position of each label among the classes."""
    strangers = ~np.isin(y, classes)
    if strangers.any():
        row = int(np.argmax(strangers))
        raise ValueError(
            f"y has the label {y.tolist()[row]!r} (row {row}), which is not among the "
            f"classes {classes.tolist()}."
        )
    return np.searchsorted(classes, y)
