"""HillClimbingRegressor, HillClimbingClassifier: members added with their best step."""

import warnings

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import layout
from .._sklearn import Integral, Interval, Real, _fit_context
from ._base import (
    ClassificationCombinerMixin,
    RegressionCombinerMixin,
    mix_probabilities,
    mix_values,
    validate_classification,
    validate_regression,
)
from ._hill_base import (
    LINE_LOSSES,
    LONGEST_STEP,
    classification_table,
    climb,
    clip_probabilities,
    final_weights,
    regression_table,
    step_grid,
)
from ._mixture_base import check_loss

__all__ = ["HillClimbingClassifier", "HillClimbingRegressor"]

_CONSTRAINTS: dict = {
    "loss": [str, callable],
    "step": [Interval(Real, 0, LONGEST_STEP, closed="right"), None],
    "allow_negative": ["boolean"],
    "min_gain": [Interval(Real, 0, None, closed="left")],
    "max_members": [Interval(Integral, 1, None, closed="left"), None],
}


class HillClimbingRegressor(RegressionCombinerMixin, RegressorMixin, BaseEstimator):
    """Add members one by one, each with the weight that lowers the loss most.

    The rule known from Kaggle: start with the member of lowest own loss; in each round
    try ``(1 - w) * mixture + w * member`` for every member not yet added and every w of
    a grid, take the best, and stop when nothing improves. Of equal members the first is
    used. `ConvexRegressor` finds the exact optimum of convex losses; climbing serves
    any metric.

    Parameters
    ----------
    loss : str or callable, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"pinball"``; or, one
        call for each step tried and therefore slow, the name of a scikit-learn scorer
        or a callable ``scorer(estimator, X, y)``, of which the negative is lowered; X
        then holds row numbers.
    step : float or None, default=0.01
        Grid of weights step, 2 step, .. up to 0.5; in (0, 0.5]. None searches [0, 0.5]
        exactly, for ``"squared_error"`` only: of no squared error is the best step
        longer.
    allow_negative : bool, default=False
        Also try the negatives of the grid. Negative weights fit noise of these rows;
        a warning tells when some were chosen.
    min_gain : float, default=0.0
        Stop when the loss falls by no more than that (unit of the loss; >= 0).
    max_members : int or None, default=None
        Most members used; >= 1. None uses as many as improve.
    level : float, default=0.5
        Quantile level of ``"pinball"``, in (0, 1).
    delta : float, default=1.0
        Where ``"huber"`` turns from square to linear (unit of y; > 0).

    Attributes
    ----------
    weights_ : ndarray of shape (n_members,), float64
        Sum to 1; non-negative unless `allow_negative`.
    picks_ : ndarray of shape (n_picks,), int64
        Members in the order added, each once. Losses equal to 1e-12 (relative) go to
        the member of lower own loss, then to the lower step.
    steps_ : ndarray of shape (n_picks,), float64
        Weight w of each member when it was added; 1 for the first.
    loss_path_ : ndarray of shape (n_picks,), float64
        Loss after each pick, on the rows given (optimistic); it falls.
    n_features_in_ : int
        Number of members.

    Raises
    ------
    ValueError
        If P or y is NaN or infinite, lengths differ, weights are unfit, the loss is
        unknown or has no exact step, or a scorer takes no weights that were given.

    Notes
    -----
    At most n_members**2 / 2 candidates are tried, with every step of the grid. A step
    costs O(1) with ``"squared_error"``, after O(n_samples * n_members**2) once, and
    O(n_samples) otherwise.

    References
    ----------
    .. [1] `hillclimbers`, a Python package: pypi.org/project/hillclimbers.

    Examples
    --------
    >>> combiner = HillClimbingRegressor(step=0.25)
    >>> combiner.fit([[0.0, 2.0], [1.0, 3.0]], [0.5, 1.5]).weights_
    array([0.75, 0.25])
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
        step=0.01,
        allow_negative=False,
        min_gain=0.0,
        max_members=None,
        level=0.5,
        delta=1.0,
    ):
        self.loss = loss
        self.step = step
        self.allow_negative = allow_negative
        self.min_gain = min_gain
        self.max_members = max_members
        self.level = level
        self.delta = delta

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Climb.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members)
            Out-of-fold predictions.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : HillClimbingRegressor
        """
        P, y, weight = validate_regression(self, P, y, sample_weight)
        check_loss(self, "regression", y, weight)
        _check_line(self)
        table = regression_table(self, P, y, weight, sample_weight is not None)
        _climb(self, table, layout.to_cube(P, 1))
        return self

    def _combine(self, P):
        return mix_values(self, P)


class HillClimbingClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Add members one by one, each with the weight that lowers the loss most.

    The rule known from Kaggle: start with the member of lowest own loss; in each round
    try ``(1 - w) * mixture + w * member`` for every member not yet added and every w of
    a grid, take the best, and stop when nothing improves. Of equal members the first is
    used. `ConvexClassifier` finds the exact optimum of log loss and Brier score;
    climbing serves any metric.

    Parameters
    ----------
    loss : str or callable, default="log_loss"
        ``"log_loss"``, ``"brier"``, ``"zero_one"`` (share of rows whose most probable
        class is wrong), ``"auc"`` (1 - ROC AUC, two classes); or, one call for each
        step tried and therefore slow, the name of a scikit-learn scorer or a callable
        ``scorer(estimator, X, y)``, of which the negative is lowered; X then holds row
        numbers.
    step : float or None, default=0.01
        Grid of weights step, 2 step, .. up to 0.5; in (0, 0.5]. None searches [0, 0.5]
        exactly, for ``"log_loss"`` (Newton) and ``"brier"`` (closed form) without
        negative weights.
    allow_negative : bool, default=False
        Also try the negatives of the grid. Mixtures are then clipped to [0, 1] and
        divided by the sum of their row, while climbing and in prediction. Negative
        weights fit noise of these rows; a warning tells when some were chosen.
    min_gain : float, default=0.0
        Stop when the loss falls by no more than that (unit of the loss; >= 0).
    max_members : int or None, default=None
        Most members used; >= 1. None uses as many as improve.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : ndarray of shape (n_members,), float64
        Sum to 1; non-negative unless `allow_negative`.
    picks_ : ndarray of shape (n_picks,), int64
        Members in the order added, each once. Losses equal to 1e-12 (relative) go to
        the member of lower own loss, then to the lower step.
    steps_ : ndarray of shape (n_picks,), float64
        Weight w of each member when it was added; 1 for the first.
    loss_path_ : ndarray of shape (n_picks,), float64
        Loss after each pick, on the rows given (optimistic); it falls.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit, the loss is
        unknown or has no exact step, or a scorer takes no weights that were given.

    Notes
    -----
    At most n_members**2 / 2 candidates are tried, with every step of the grid. A step
    costs O(1) with ``"brier"`` without negative weights, after O(n_samples *
    n_members**2) once; O(n_samples) otherwise; and a sort of the rows with ``"auc"``.

    References
    ----------
    .. [1] `hillclimbers`, a Python package: pypi.org/project/hillclimbers.

    Examples
    --------
    >>> P = [[0.1, 0.6], [0.4, 0.1], [0.7, 0.9]]
    >>> combiner = HillClimbingClassifier(step=0.25).fit(P, ["no", "no", "yes"])
    >>> combiner.picks_, combiner.weights_
    (array([0, 1]), array([0.75, 0.25]))
    """

    _parameter_constraints: dict = _CONSTRAINTS

    def __init__(
        self,
        *,
        loss="log_loss",
        step=0.01,
        allow_negative=False,
        min_gain=0.0,
        max_members=None,
    ):
        self.loss = loss
        self.step = step
        self.allow_negative = allow_negative
        self.min_gain = min_gain
        self.max_members = max_members

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Climb.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row.

        Returns
        -------
        self : HillClimbingClassifier
        """
        P, y, weight = validate_classification(self, P, y, sample_weight)
        check_loss(self, "classification", y, weight)
        _check_line(self, clipped=self.allow_negative)
        table = classification_table(self, P, y, weight, sample_weight is not None)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        _climb(self, table, layout.to_cube(P, n_outputs))
        return self

    def _combine(self, P):
        if not self.allow_negative:
            return mix_probabilities(self, P)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        return clip_probabilities(layout.weighted_mean(P, self.weights_, n_outputs))


def _check_line(combiner, clipped=False):
    if combiner.step is not None:
        return
    if combiner.loss not in LINE_LOSSES or clipped:
        raise ValueError(
            f"step=None, the exact step, exists for {', '.join(LINE_LOSSES)} without "
            f"clipped mixtures; got loss={combiner.loss!r} and "
            f"allow_negative={combiner.allow_negative}. Give a step such as 0.01."
        )


def _climb(combiner, table, cube):
    negative = combiner.allow_negative
    grid = None if combiner.step is None else step_grid(combiner.step, negative)
    combiner.picks_, combiner.steps_, combiner.loss_path_ = climb(
        table,
        cube,
        grid,
        -LONGEST_STEP if negative else 0.0,
        combiner.min_gain,
        combiner.max_members,
    )
    combiner.weights_ = final_weights(combiner.picks_, combiner.steps_, len(cube))
    if (combiner.weights_ < 0.0).any():
        warnings.warn(
            f"{type(combiner).__name__} chose negative weights. They fit noise of the "
            "rows given: score the ensemble on other rows, or use "
            "allow_negative=False.",
            UserWarning,
            stacklevel=4,
        )
