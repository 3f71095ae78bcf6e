"""QuantileAggregator: the best mixture of members that predict quantiles."""

from sklearn.base import BaseEstimator, RegressorMixin

from .. import kernels, layout
from .._sklearn import Integral, Interval, Real, StrOptions, _fit_context
from ..convex import quantiles
from ..convex.ridge import plug_in
from . import _convex_base as convex
from . import _quantile_base as base
from ._base import RegressionCombinerMixin, warn_if_open

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
        Adds ``ridge * L * sum((w - 1/m)**2)``, with L the loss of the best member and m
        the number of distinct members (for each level; ``"fine"`` weights are drawn to
        1/m at the level itself and 0 beside it); >= 0. ``"auto"`` is m divided by the
        sum of the sample weights (the number of rows).
    noncrossing : {"sort", "isotonic"} or None, default="sort"
        What is done to predicted quantiles that decrease along the levels: sorted, or
        moved to the nearest that do not (least squares). Neither can raise the pinball
        loss summed over the levels of a row. None leaves them.
    absent : {"raise", "renormalise"}, default="raise"
        What a member means whose quantiles in a row are all NaN, as in forecast hubs.
        ``"renormalise"``: it is absent, and the weights of those present are divided
        by their sum.
    tol : float, default=1e-6
        Largest accepted ``duality_gap_ / objective_`` beyond rounding; in (0, 1).
    max_iter : int, default=10000
        Iterations of the solver for each problem: one, or one for each level.

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), (n_members, n_levels) or \
            (n_members, n_levels, n_levels), float64
        Coarse, medium, fine. Fine ones are by member, its own level, and the level that
        is predicted; 0 beyond `band`. Non-negative; they sum to 1 for each level that
        is predicted. Of members with equal columns the first takes all.
    member_weights_ : ndarray of shape (n_members,), float64
        What each member weighs on the mean over the levels; sums to 1. Exactly 0 for
        members that need not be predicted.
    objective_ : float
        What is minimised: the mean pinball loss plus the penalty, mean over the levels.
    loss_ : float
        Mean pinball loss on the rows given (fitted: optimistic), in the unit of y,
        before `noncrossing`.
    duality_gap_ : float
        Upper bound on ``objective_`` minus the least possible.
    ridge_ : float
        The `ridge` used.
    n_crossings_ : int
        Neighbouring levels at which fitted quantiles decreased, before `noncrossing`,
        counted over the rows of positive weight.
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

    O(n_samples * n_levels * n_members**2) time for each iteration, some ten of them;
    fine weights take (2 band + 1)**2 times as long. A copy of P is made while fitting.

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
    >>> aggregator.predict_interval(P[:1], coverage=0.5).round(6)
    array([[1., 3.]])
    """

    _parameter_constraints: dict = {
        "quantile_levels": ["array-like", None],
        "weights": [StrOptions({"coarse", "medium", "fine"})],
        "band": [Interval(Integral, 0, None, closed="left")],
        "ridge": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
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
        noncrossing="sort",
        absent="raise",
        tol=1e-6,
        max_iter=10_000,
    ):
        self.quantile_levels = quantile_levels
        self.weights = weights
        self.band = band
        self.ridge = ridge
        self.noncrossing = noncrossing
        self.absent = absent
        self.tol = tol
        self.max_iter = max_iter

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Find the weights.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Out-of-fold quantiles, member by member.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : QuantileAggregator
        """
        P, y, weight = base.validate_quantile_rows(self, P, y, sample_weight)
        levels = base.read_levels(self.quantile_levels)
        present = self._read(P, len(levels))
        convex.warn_unless_counts(self, weight)
        rows = base.Rows.counted(P, y, weight, present, len(levels))
        self.quantile_levels_ = levels
        self.ridge_ = self.ridge
        if self.ridge == "auto":
            self.ridge_ = plug_in(len(rows.members), float(weight.sum()))
        rule = quantiles.Rule(
            self.weights, self.band, self.ridge_, self.tol, self.max_iter
        )
        found = rows.find(levels, rule)
        self.weights_ = rows.of_all_members(found.weights)
        self._distinct_ = rows.members
        self.member_weights_ = base.member_weights(self.weights_, len(levels))
        self.objective_, self.loss_ = found.objective, found.loss
        self.duality_gap_, self.n_iter_ = found.gap, found.n_iter
        self.n_crossings_ = base.count_crossings(rows.mix(found.weights))
        warn_if_open(self, found.gap, found.accepted)
        return self

    def predict_quantiles(self, P):
        """Return the combined quantiles at `quantile_levels`.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
            Quantiles of the members seen in `fit`, in the same order.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_levels), float64
            Ascending along each row, unless ``noncrossing=None``.
        """
        P = base.validate_new_quantiles(self, P)
        return self._combine_quantiles(P)

    def predict_interval(self, P, coverage=0.9):
        """Return central intervals of the combined quantiles.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)
        coverage : float or array-like of shape (n_coverages,), default=0.9
            Inside (0, 1): 0.9 is from level 0.05 to 0.95, linear between the levels on
            either side; nothing is extrapolated.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, 2, n_coverages)
        """
        return base.interval(self.predict_quantiles(P), self.quantile_levels_, coverage)

    def predict(self, P):
        """Return the combined median, linear between the levels on either side.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_levels)

        Returns
        -------
        median : ndarray of shape (n_samples,), float64
        """
        return base.at_level(
            self.predict_quantiles(P), self.quantile_levels_, base.MEDIAN, "predict"
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.absent == "renormalise"
        return tags

    def _read(self, P, n_levels):
        allow_absent = self.absent == "renormalise"
        return base.read_quantiles(self, P, n_levels, allow_absent)

    def _combine_quantiles(self, P):
        n_levels = len(self.quantile_levels_)
        present = self._read(P, n_levels)
        cube = layout.to_cube(P, n_levels)
        mixture = quantiles.mix(cube, self.weights_, present, self._distinct_)
        if self.noncrossing == "sort":
            return kernels.monotone.sort_rows(mixture)
        if self.noncrossing == "isotonic":
            return kernels.monotone.isotonic_rows(mixture)
        return mixture
