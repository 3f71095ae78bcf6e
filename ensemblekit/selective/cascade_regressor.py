"""CascadeRegressor: costly members where they would change the prediction."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import RegressorMixin
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from .._routing import Routed
from .._sklearn import (
    HasMethods,
    Interval,
    Real,
    StrOptions,
    check_sample_weight,
    hstack_containers,
    routing_enabled,
)
from ..combine._calibration_base import LineCalibrator
from ..crossfit import CrossFit
from ..members import category_columns, encode_categories, request_weights
from ..quantile_members._base import weight_arguments
from . import windows
from ._cascade_base import Cascade

__all__ = ["CascadeRegressor"]

_GATE_COST = 0.05


class CascadeRegressor(RegressorMixin, Cascade):
    """Ask costly members only about rows where they would change the prediction.

    The cheapest member answers first. A small model, the gate, predicts from X and that
    answer how far it is from the whole ensemble's; rows inside the window, where it
    says the farthest, go on to the next member. Later stages pass on the rows where the
    members so far disagree most. A stage answers with the mean of the members so far.
    With window 0 this is the first member, with window 1 the mean of all members.

    Parameters
    ----------
    estimators : list of (str, regressor)
        The members; ``"drop"`` leaves one out.
    costs : array-like, dict of str to float, "measured" or None, default=None
        Cost of one row by each member, positive, in any unit; the cheapest is asked
        first, of equal ones the first listed. ``"measured"`` takes the time to predict
        held-out rows, which differs from run to run; None means equal costs.
    weights : array-like, dict of str to float or None, default=None
        Positive weights of the members in the means; None means equal ones.
    window : float or None, default=None
        The window itself, in [0, 1]: the share of the rows that the first stage passes
        on; its square is the share inside the window of the second, and so on.
    max_cost : float or None, default=None
        Take the widest window of at most this mean cost of a row, in multiples of the
        first member's; at least 1. Where window and tolerance are None as well, 1.25.
    tolerance : float or None, default=None
        Take the narrowest window whose loss exceeds that of the whole ensemble by at
        most this share of it.
    loss : {"squared_error", "absolute_error"}, default="squared_error"
        What `cost_curve_` and `tolerance` are about.
    calibrate : bool, default=False
        Put each stage's answer on the line of least squares through held-out rows,
        which takes out of the first member what needs no second one.
    gate : regressor or None, default=None
        Cross-fitted on the squared distance of the first member's held-out predictions
        from the ensemble's. Its first column is what the first member predicts, the
        others are X. None means one tree with leaves of at least 3 % of the rows.
    gate_cost : float or None, default=None
        Cost of one row by the gate, >= 0, in the unit of `costs`. None means the time
        to predict where costs are measured, else 0.05 of the first member's, which is
        more than the tree takes beside a boosted model or a forest, and less than it
        takes beside a linear one.
    cv : int, splitter or iterable of (train, test), default=None
        Must hold out each row exactly once; None means 5 folds in the order of the
        rows (give a shuffled KFold where rows are sorted).
    n_jobs : int, default=None
        Workers for the flat list of (member, fold) tasks; results do not depend on it,
        unless costs are measured.
    random_state : int, RandomState or None, default=None
        Seeds the members' ``random_state`` parameters that are None.
    verbose : int, default=0
        Progress messages of joblib.

    Attributes
    ----------
    stages_ : list of str
        Members in the order in which they are asked.
    costs_ : ndarray of shape (n_members,), float64
        In the order of `stages_`, in multiples of the first's.
    weights_ : ndarray of shape (n_members,), float64
        In the order of `stages_`; sums to 1.
    gate_ : fitted regressor or None
        None where there is one member.
    gate_cost_ : float
        In multiples of the first member's; part of every cost but those of the windows
        0 and 1, at which no row is judged.
    lines_ : ndarray of shape (n_members, 2), float64
        Intercept and slope of each stage; 0 and 1 without `calibrate`.
    window_ : float
        The window chosen, in [0, 1].
    windows_ : ndarray of shape (n_members - 1, 2), float64
        Least and largest confidence that each stage but the last passes on: minus what
        the gate says, in the square of y's unit, then minus the standard deviation of
        the members so far, in the unit of y.
    expected_cost_ : float
        Mean cost of a held-out row, in multiples of the first member's.
    cost_curve_ : CascadeCurve
        Cost and loss at every window, cross-fitted: of held-out rows, by members and a
        gate fitted on the other folds. A window chosen by `tolerance`, and `lines_`,
        two numbers for each stage, have seen these losses.
    cross_fit_ : CrossFit
        The members, fitted on all rows, and their held-out predictions.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If a member or the gate fails; names it and the fold.
    ValueError, TypeError
        If members, costs, weights, X or y are unfit, or several of `window`, `max_cost`
        and `tolerance` are given.

    Notes
    -----
    Why a distance and not an error: what a row gains by going on is the squared error
    of the first member less that of the ensemble, and noise in y is in both. Number of
    fits: n_members * (n_folds + 1), and as many of the gate as of one member.
    Measured at a cost of 1.25, the gate counted as 0.05: on the 16 of 20 real tables
    where two members are clearly better than the first, 38 % of the gain is kept (a
    little flattered: the gate was chosen on 15 of them), 59 % with `calibrate`, of
    which a line through the first member's held-out predictions makes 21 %. A gate that
    knew the distances would keep some 80 %: trees, forests and boosted trees foretell
    them about equally badly.

    References
    ----------
    .. [1] Xia, Bouganis, "Window-Based Early-Exit Cascades for Uncertainty Estimation",
       ICCV 2023.
    .. [2] Krogh, Vedelsby, "Neural Network Ensembles, Cross Validation, and Active
       Learning", NIPS 1994.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> members = [("ridge", Ridge(0.1)),
    ...            ("trees", ExtraTreesRegressor(50, random_state=0))]
    >>> cascade = CascadeRegressor(members, costs=[1, 20], window=0.25).fit(X, y)
    >>> round(cascade.expected_cost_)
    6
    >>> cascade.stage(X[:6])
    array([0, 0, 0, 0, 1, 0])
    """

    gate_: Any
    _task = "regression"
    _parameter_constraints: dict = {
        **Cascade._parameter_constraints,
        "loss": [StrOptions(set(windows.VALUE_LOSSES))],
        "gate": [HasMethods(["fit", "predict"]), None],
        "gate_cost": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        estimators,
        *,
        costs=None,
        weights=None,
        window=None,
        max_cost=None,
        tolerance=None,
        loss="squared_error",
        calibrate=False,
        gate=None,
        gate_cost=None,
        cv=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.estimators = estimators
        self.costs = costs
        self.weights = weights
        self.window = window
        self.max_cost = max_cost
        self.tolerance = tolerance
        self.loss = loss
        self.calibrate = calibrate
        self.gate = gate
        self.gate_cost = gate_cost
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def predict(self, X):
        """Predict values: the mean of the members asked.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        prediction : ndarray of shape (n_samples,), float64
        """
        return self._answer(X)[0][:, 0]

    def _calibrator(self):
        return LineCalibrator()

    def _plain(self, mean):
        return mean[:, 0]

    def _held_out_confidences(self, X, cube, answers, sample_weight):
        lines = [(c.intercept, c.slope) for c in self._calibrators or []]
        self.lines_ = np.array(lines or [(0.0, 1.0)] * len(cube))
        self.gate_, self.gate_cost_ = None, 0.0
        spreads = [_spread(cube[: k + 1]) for k in range(len(cube))]
        if len(cube) > 1:
            seen = self._before(X, cube[0])
            distance = ((answers[0] - answers[-1]) ** 2)[:, 0]
            spreads[0] = self._fit_gate(seen, distance, sample_weight)
        return -np.column_stack(spreads)

    def _overhead(self):
        return self.gate_cost_

    def _fit_gate(self, X, distance, sample_weight):
        """Cross-fit the gate on the members' folds; return what it says held out."""
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X)
        gate = _default_gate(X) if self.gate is None else self.gate
        members = [("gate", gate)]
        routed = Routed({"gate": weight_arguments(gate, weight)}, {}, {})
        folds = CrossFit(
            members, cv=self.cross_fit_.splits_, refit="all", n_jobs=self.n_jobs
        )._fit(X, distance, members, routed, weight, every_row_for="A gate")
        self.gate_ = folds.estimators_["gate"]
        self.gate_cost_ = _GATE_COST
        if self.gate_cost is not None:
            self.gate_cost_ = self.gate_cost / self._unit
        elif isinstance(self.costs, str):
            self.gate_cost_ = folds.report_[0]["predict_time"] / self._unit
        return folds.oof_predictions_[:, 0]

    def _before(self, X, first):
        """Put the first member's predictions before X, for the gate."""
        if sparse.issparse(X):
            return sparse.hstack([first, X], format="csr")
        if hasattr(self, "feature_names_in_"):
            return hstack_containers(first, [f"cascade_{self.stages_[0]}"], X)
        return np.hstack([first, X])

    def _confidence(self, k, X, said, mean):
        if k > 0:
            return -_spread(said)
        return -np.asarray(self.gate_.predict(self._before(X, said[0])))


def _spread(cube):
    """Return the standard deviation of the members in each row."""
    return cube[:, :, 0].std(axis=0)


def _default_gate(X):
    """Return a tree whose leaves hold 3 % of the rows' weight at least."""
    tree = DecisionTreeRegressor(min_weight_fraction_leaf=0.03, random_state=0)
    if sparse.issparse(X) or not (hasattr(X, "columns") or category_columns(X)):
        return tree
    gate = make_pipeline(encode_categories(), tree)
    if routing_enabled():
        request_weights([("gate", gate)])
    return gate
