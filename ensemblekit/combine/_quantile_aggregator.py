"""QuantileAggregator: the best mixture of members that predict quantiles."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from .. import _levels, kernels, layout
from .._sklearn import Integral, Interval, Real, StrOptions, _fit_context
from ..convex import quantiles
from ..convex.ridge import plug_in
from . import _convex_base as convex
from . import _quantile_base as base
from . import _quantile_gate_base as gates
from ._base import RegressionCombinerMixin, row_folds, warn_if_open

__all__ = ["QuantileAggregator"]


class QuantileAggregator(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Mix the members' quantiles by the weights, sum 1, of least pinball loss.

    Each predicted quantile is a weighted mean of the members' quantiles; the weights
    minimise the mean pinball loss over rows and levels (on symmetric levels the
    weighted interval score, but for a factor). They are found exactly: no weights of
    the same kind have an `objective_` lower by more than `duality_gap_`.

    Parameters
    ----------
    quantile_levels : array-like of shape (n_levels,) or None, default=None
        Ascending levels in (0, 1) of each member's columns. None: each member has one
        column, its median.
    weights : {"coarse", "medium", "fine"}, default="coarse"
        ``"coarse"``: one weight for each member; what it predicts cannot cross.
        ``"medium"``: one for each member and level. ``"fine"``: each level is mixed
        from the members' quantiles at the levels near it, which can narrow or shift
        them. The finer, the lower the loss on the rows given, and the more rows it
        takes for that to hold on others.
    band : int, default=1
        Levels on each side that ``"fine"`` weights may use; >= 0, and 0 is
        ``"medium"``.
    ridge : "auto" or float, default="auto"
        Adds ``ridge * L * sum((w - c)**2)``, with L the loss of the best member and c
        the weights of `ridge_center` (for each level; ``"fine"`` weights are drawn to c
        at the level itself and 0 beside it); >= 0. ``"auto"`` is the number of distinct
        members divided by the sum of the sample weights (the number of rows): far too
        little where rows depend on each other, as those of one week do; 10 is nearly c.
        L is a mean: targets that are far out raise it, and with it the pull.
    ridge_center : {"uniform", "inverse_loss"}, default="uniform"
        ``"uniform"``: c is the same for all distinct members. ``"inverse_loss"``: in
        proportion to the member's loss to the power -2; where it is absent, the mixture
        of the others counts as its forecast.
    crossing_penalty : float, default=0.0
        Adds ``crossing_penalty`` times the mean, over rows and all pairs of levels, of
        how far the lower quantile is above the higher one; >= 0. From some finite value
        on no fitted quantiles cross. Coarse weights never do.
    gate : {"linear"} or None, default=None
        ``"linear"``: the weights of a row are a softmax of linear scores of its gate
        features, for coarse weights. These are the members' medians and spreads, and
        the `features` given to `fit`. A gate is kept only where held-out rows (with
        ``gate_ridge="cv"``) and the rows given say that it is better than one set of
        weights for all rows.
    gate_ridge : "cv" or float, default="cv"
        Adds ``gate_ridge * sum(coef**2)`` to the loss of the gate, in losses of the
        weights for all rows; > 0. ``"cv"`` is the best of 0.1, 0.01, 0.001, 0.0001 on
        held-out rows.
    cv : int, splitter or iterable, default=5
        Splits of ``gate_ridge="cv"``, by positions among the rows given to `fit`; an
        int means shuffled folds of a fixed seed, of the rows with weight. Where rows
        are repeated or belong together give splits that keep them together: copies of a
        row in another fold flatter the gate.
    noncrossing : {"sort", "isotonic"} or None, default="sort"
        What is done to predicted quantiles that decrease along the levels: sorted, or
        moved to the nearest that do not (least squares). Neither can raise the pinball
        loss summed over the levels of a row. None leaves them.
    absent : {"raise", "renormalise"}, default="raise"
        What a member means whose quantiles in a row are all NaN, as in forecast hubs.
        ``"renormalise"``: it is absent, and the weights of those present are divided
        by their sum.
    tol : float, default=1e-9
        Largest accepted ``duality_gap_ / objective_`` beyond rounding; in (0, 1). With
        a `crossing_penalty` at least 1e-5 where there are more than 100 weights.
    max_iter : int, default=10000
        Iterations of the solver for each problem: one, or one for each level.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), (n_members, n_levels) or \
            (n_members, n_levels, n_levels), float64
        Coarse, medium, fine. Fine ones are by member, its own level, and the level that
        is predicted; 0 beyond `band`. Non-negative; they sum to 1 for each level that
        is predicted. Of members with equal columns the first takes all. With a gate
        the mean over the rows given; see `local_weights`.
    member_weights_ : ndarray of shape (n_members,), float64
        What each member weighs on the mean over the levels; sums to 1. Exactly 0 for
        members that need not be predicted.
    objective_ : float
        What is minimised: `loss_` plus the penalties, mean over levels; without a gate.
    loss_ : float
        Mean pinball loss on the rows given (fitted: optimistic), in the unit of y,
        before `noncrossing`; with a gate, that of its mixture.
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible; with absent members that
        of the last problem solved, see Notes. A gate has no such proof: both are those
        of the weights for all rows that it starts from.
    ridge_ : float
        The `ridge` used.
    n_crossings_ : int
        Neighbouring levels at which fitted quantiles decreased, before `noncrossing`,
        counted over the rows of positive weight; by more than 1e-9 of the largest error
        of the row.
    gate_ridge_ : float
        The `gate_ridge` used; inf where no gate was kept. Only with a gate.
    gate_losses_ : ndarray of shape (5,), float64
        Held-out mean pinball losses of the four ridges, from 0.1 down, then of the
        weights for all rows. Only with a gate and ``gate_ridge="cv"``.
    quantile_levels_ : ndarray of shape (n_levels,), float64
        The levels.
    n_iter_ : int
        Iterations of the solver, over all problems.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite (but for `absent`), the columns of P are not a
        multiple of the levels, levels do not ascend in (0, 1), a member's own
        quantiles cross, a member is absent at some of its levels only, a row has no
        member, lengths differ, or weights are unfit.
    TypeError
        If P is a dask array.

    Warns
    -----
    UserWarning
        If ``ridge="auto"`` meets sample weights that cannot be counts of rows.
    ConvergenceWarning
        If the solver stopped before `tol` was reached.

    Notes
    -----
    A mixture renormalised over the members present is no convex function of the
    weights. It equals the plain mixture in which absent members repeat it. So absent
    quantiles are filled with the members' mean, then with the mixture found, and so on
    while the loss of the renormalised mixture falls: 20 times at most. `duality_gap_`
    holds for the last such problem, with its fillings as they are. Where all members
    with weight are absent, those present are averaged. A member absent from all rows
    given has no weight.

    Gate features are scaled to mean 0 and deviation 1 on the rows given, and clipped at
    4 deviations: medians about the mean of the members', logarithms of the spread from
    level 0.1 to 0.9. The gate starts from the weights for all rows, those below 0.01
    raised to it, and is found by L-BFGS: a local optimum. Absent members leave the
    softmax; features they lack are 0.

    O(n_samples * n_levels * n_members**2) time for each iteration, some ten of them;
    fine weights take (2 band + 1)**2 times as long. Memory while fitting is up to 3
    copies of P, 4 with absent members, 5 with a gate.

    References
    ----------
    .. [1] Fakoor, Kim, Mueller, Smola, Tibshirani, "Flexible Model Aggregation for
       Quantile Regression", Journal of Machine Learning Research 24, 2023.

    Examples
    --------
    Two members, three levels each: the first is 1 too low, the second 1 too high.

    >>> low, high = [0.0, 1.0, 2.0], [2.0, 3.0, 4.0]
    >>> P = [low + high] * 4
    >>> y = [1.0, 2.0, 2.0, 3.0]
    >>> aggregator = QuantileAggregator(quantile_levels=[0.25, 0.5, 0.75]).fit(P, y)
    >>> aggregator.weights_.round(6)
    array([0.5, 0.5])
    >>> aggregator.predict_quantiles(P[:1]).round(6)
    array([[1., 2., 3.]])
    >>> aggregator.predict_interval(P[:1], alpha=0.5).round(6)
    array([[1., 3.]])
    """

    _parameter_constraints: dict = {
        "quantile_levels": ["array-like", None],
        "weights": [StrOptions({"coarse", "medium", "fine"})],
        "band": [Interval(Integral, 0, None, closed="left")],
        "ridge": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "ridge_center": [StrOptions({"uniform", "inverse_loss"})],
        "crossing_penalty": [Interval(Real, 0, None, closed="left")],
        "gate": [StrOptions({"linear"}), None],
        "gate_ridge": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
        "noncrossing": [StrOptions({"sort", "isotonic"}), None],
        "absent": [StrOptions({"raise", "renormalise"})],
        "tol": convex.PARAMETERS["tol"],
        "max_iter": convex.PARAMETERS["max_iter"],
    }

    def __init__(
        self,
        *,
        quantile_levels=None,
        weights="coarse",
        band=1,
        ridge="auto",
        ridge_center="uniform",
        crossing_penalty=0.0,
        gate=None,
        gate_ridge="cv",
        cv=5,
        noncrossing="sort",
        absent="raise",
        tol=1e-9,
        max_iter=10_000,
    ):
        self.quantile_levels = quantile_levels
        self.weights = weights
        self.band = band
        self.ridge = ridge
        self.ridge_center = ridge_center
        self.crossing_penalty = crossing_penalty
        self.gate = gate
        self.gate_ridge = gate_ridge
        self.cv = cv
        self.noncrossing = noncrossing
        self.absent = absent
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None, features=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Out-of-fold quantiles, member by member.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.
        features : array-like of shape (n_samples, n_gate_features), default=None
            More features of the rows, for the gate; finite numbers. To be given to
            every prediction, too.

        Returns
        -------
        self : QuantileAggregator
        """
        P, y, weight = base.validate_quantile_rows(self, P, y, sample_weight)
        levels = self.quantile_levels
        levels = layout.check_levels([0.5] if levels is None else levels)
        present = self._read(P, len(levels))
        given = self._read_features(features, len(P), reset=True)
        convex.warn_unless_counts(self, weight)
        rows = base.Rows.counted(P, y, weight, present, len(levels))
        self.quantile_levels_, self._distinct_ = levels, rows.members
        self.ridge_ = self.ridge
        if self.ridge == "auto":
            self.ridge_ = plug_in(len(rows.members), float(weight.sum()))
        rule = quantiles.Rule(
            self.weights,
            self.band,
            self.ridge_,
            self.tol,
            self.max_iter,
            self.crossing_penalty,
            self.ridge_center,
        )
        found = rows.find(levels, rule)
        mixture = rows.mix(found.weights)
        self.weights_ = rows.of_all_members(found.weights)
        self.objective_, self.loss_ = found.objective, found.loss
        self.duality_gap_, self.n_iter_ = found.gap, found.n_iter
        self._gate_: gates.Gate | None = None
        if self.gate is not None:
            given = None if given is None else given[weight > 0.0]
            cv = self.gate_ridge == "cv"
            splits = self._gate_splits(y, weight) if cv else []
            local = self._fit_gate(rows, given, found.weights, rule, splits)
            if local is not None:
                mixture = gates.mix_local(rows.cube, local)
                self.weights_ = rows.of_all_members(rows.share @ local)
                self.loss_ = quantiles.mean_loss(mixture, levels, rows.share)
        self.member_weights_ = base.member_weights(self.weights_, len(levels))
        self.n_crossings_ = base.count_crossings(mixture)
        warn_if_open(self, found.gap, found.accepted)
        return self

    def predict_quantiles(self, P, features=None):
        """Return the combined quantiles at `quantile_levels`.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles of the members seen in `fit`, in the same order.
        features : array-like of shape (n_samples, n_gate_features), default=None
            Where `fit` had them.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending along each row, unless ``noncrossing=None``.
        """
        cube, present, given = self._read_new(P, features)
        if self._gate_ is None:
            mixture = quantiles.mix(cube, self.weights_, present, self._distinct_)
        else:
            local = self._gate_.of_all(self._distinct_, cube, present, given)
            mixture = gates.mix_local(cube, local)
        if self.noncrossing == "sort":
            return kernels.monotone.sort_rows(mixture)
        if self.noncrossing == "isotonic":
            return kernels.monotone.isotonic_rows(mixture)
        return mixture

    def predict_interval(self, P, alpha=0.1, features=None):
        """Return central intervals of the combined quantiles.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
        alpha : float or array-like of shape (n_alphas,), default=0.1
            Miscoverage, inside (0, 1): 0.1 is from level 0.05 to 0.95, linear between
            the levels on either side; nothing is extrapolated.
        features : array-like of shape (n_samples, n_gate_features), default=None
            Where `fit` had them.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_alphas)
        """
        combined = self.predict_quantiles(P, features)
        return _levels.central_interval(combined, self.quantile_levels_, alpha)

    def predict(self, P, features=None):
        """Return the combined median, linear between the levels on either side.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
        features : array-like of shape (n_samples, n_gate_features), default=None
            Where `fit` had them.

        Returns
        -------
        median : ndarray of shape (n_samples,), float64
        """
        combined = self.predict_quantiles(P, features)
        return _levels.median(combined, self.quantile_levels_)

    def local_weights(self, P, features=None):
        """Return what each member weighs in each row; for coarse weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
        features : array-like of shape (n_samples, n_gate_features), default=None
            Where `fit` had them.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_members), float64
            Rows sum to 1; 0 for absent members. Without a gate all complete rows are
            `weights_`.
        """
        cube, present, given = self._read_new(P, features)
        if self.weights_.ndim > 1:
            raise ValueError(
                f"weights={self.weights!r} differ between levels; local_weights has "
                "one number for each row and member. Read weights_."
            )
        if self._gate_ is not None:
            return self._gate_.of_all(self._distinct_, cube, present, given)
        return base.weights_of_present(self.weights_, present, self._distinct_, len(P))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.absent == "renormalise"
        return tags

    def _read(self, P, n_levels):
        allow_absent = self.absent == "renormalise"
        return base.read_quantiles(self, P, n_levels, allow_absent)

    def _read_new(self, P, features):
        """Return cube, present and features of new rows."""
        P = base.validate_new_quantiles(self, P)
        n_levels = len(self.quantile_levels_)
        present = self._read(P, n_levels)
        given = self._read_features(features, len(P), reset=False)
        return layout.to_cube(P, n_levels), present, given

    def _read_features(self, features, n_rows, reset):
        """Check features for the gate against its kind and those of fit."""
        if reset:
            if self.gate is not None and self.weights != "coarse":
                raise ValueError(
                    f"gate={self.gate!r} is for weights='coarse'; got "
                    f"weights={self.weights!r}."
                )
            self._n_given_ = None if features is None else base.width(features)
        if features is None and self._n_given_ is None:
            return None
        return base.read_features(features, n_rows, self._n_given_, self.gate)

    def _gate_splits(self, y, weight):
        """Return splits of the rows with weight, by their positions among these."""
        counts = weight > 0.0
        if isinstance(self.cv, Integral):  # rows without weight are as if not there
            return row_folds(self.cv, y[counts], weight[counts], False)
        place = np.cumsum(counts) - 1
        splits = row_folds(self.cv, y, weight, False)
        return [[place[part[counts[part]]] for part in pair] for pair in splits]

    def _fit_gate(self, rows, given, weights, rule, splits):
        """Find the gate; return the weights of each row, or None if none is kept."""
        levels, losses = self.quantile_levels_, None
        if self.gate_ridge == "cv":
            losses = gates.held_out_losses(rows, given, levels, rule, splits)
            self.gate_losses_ = losses
        gate, self.gate_ridge_ = gates.best_gate(
            rows, given, levels, weights, self.gate_ridge, losses
        )
        self._gate_ = gate
        return None if gate is None else gate.weights(rows.cube, rows.present, given)
