"""The loss of given predictions, for combiners that search for weights by trying."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from .. import kernels
from ..losses import LOSSES


def make_loss(combiner, y, weight, weighted, numbers=None):
    """Return ``combiner.loss`` as a function of a prediction; lower is better.

    Parameters
    ----------
    combiner : estimator with `loss`, and with `classes_`, or `level` and `delta`
    y : ndarray of shape (n_samples,)
        Codes in range(n_classes) for a classifier, values for a regressor.
    weight : ndarray of shape (n_samples,), float64
    weighted : bool
        Whether the user gave weights: a scorer is handed them only then.
    numbers : ndarray of shape (n_samples,), default=None
        Numbers of the rows, as a scorer is told them; None counts from 0.

    Returns
    -------
    loss : callable
        ``loss(prediction)`` -> float, for values (n_samples,) or probabilities
        (n_samples, n_classes). Rows of weight 0 are not looked at.
    """
    rows = np.flatnonzero(weight > 0.0)
    y, weight = y[rows], weight[rows]
    if not in_table(combiner.loss):
        return _scorer_loss(combiner, y, weight if weighted else None, rows, numbers)
    if combiner.loss == "auc":
        return _auc_loss(y, weight, rows)
    per_row, options = LOSSES[combiner.loss].per_row, loss_options(combiner)
    assert per_row is not None
    return lambda prediction: float(
        np.average(per_row(y, prediction[rows], **options), weights=weight)
    )


def check_loss(combiner, task, y, weight):
    """Refuse losses of the other task, unknown names, and AUC without two classes.

    Raises
    ------
    ValueError
        If ``combiner.loss`` cannot be used.
    """
    name = combiner.loss
    if in_table(name) and LOSSES[name].task != task:
        raise ValueError(
            f"loss={name!r} is for {LOSSES[name].task}; expected one of "
            f"{sorted(n for n in LOSSES if LOSSES[n].task == task)}, or a scorer."
        )
    if isinstance(name, str) and not in_table(name):
        _get_scorer(name, task)
    if name == "auc":
        n_present = len(np.unique(y[weight > 0.0]))
        if len(combiner.classes_) != 2 or n_present != 2:
            raise ValueError(
                f"loss='auc' needs two classes with positive weight; got "
                f"{n_present} of {len(combiner.classes_)} classes. For more classes "
                "use loss='roc_auc_ovr', a scikit-learn scorer."
            )


def in_table(loss):
    """Return whether the loss is a name of the table, not a scorer."""
    return isinstance(loss, str) and loss in LOSSES


def loss_options(combiner):
    """Return what the loss takes besides targets and predictions."""
    names = {"huber": "delta", "pinball": "level"}
    if combiner.loss not in names:
        return {}
    name = names[combiner.loss]
    return {name: getattr(combiner, name)}


def distinct_members(cube, own):
    """Return the members by own loss, lowest first, each of equal members once.

    cube : (n_members, n_samples, n_outputs); own : (n_members,) losses of the members
    alone. Equal losses go by index, so that the first of equal members stays.
    """
    order = np.argsort(own, kind="stable")
    kept: list[int] = []
    for j in order:
        # Sums over equal columns may differ in the last bits.
        rivals = [i for i in kept if own[i] >= own[j] - 1e-12 * abs(own[j])]
        if not any(np.array_equal(cube[i], cube[j]) for i in rivals):
            kept.append(int(j))
    return np.array(kept)


def _get_scorer(name, task):
    from sklearn.metrics import get_scorer

    try:
        return get_scorer(name)
    except ValueError as error:
        raise ValueError(
            f"Unknown loss {name!r}. Expected one of "
            f"{sorted(n for n in LOSSES if LOSSES[n].task == task)}, the name of a "
            "scikit-learn scorer, or a callable scorer(estimator, X, y)."
        ) from error


def _auc_loss(y, weight, rows):
    equal = bool((weight == weight[0]).all())

    def loss(prediction):
        values = np.clip(prediction[rows, 1], 0.0, 1.0) + 0.0
        return kernels.hill.one_minus_auc(values, y, None if equal else weight)

    return loss


def _scorer_loss(combiner, y, weight, rows, numbers):
    scorer, classes = combiner.loss, getattr(combiner, "classes_", None)
    if isinstance(scorer, str):
        scorer = _get_scorer(scorer, "regression")
        if classes is not None and len(classes) == 2:
            classes = np.arange(2)  # what many metrics take for the positive class
    if classes is not None:
        y = classes[y]
    options = {} if weight is None else {"sample_weight": weight}
    X = (rows if numbers is None else numbers[rows])[:, None]

    def loss(prediction):
        given = _as_estimator(classes, prediction[rows])
        try:
            score = scorer(given, X, y, **options)
        except TypeError as error:
            if weight is None or "sample_weight" not in str(error):
                raise
            raise ValueError(
                f"The scorer {combiner.loss!r} takes no sample_weight. Fit without "
                "weights, or use a scorer that takes them."
            ) from error
        if not isinstance(score, Real) or not np.isfinite(float(score)):
            raise ValueError(
                f"The scorer {combiner.loss!r} returned {score}; expected a finite "
                "number for every mixture of members."
            )
        return -float(score)

    return loss


def _as_estimator(classes, prediction):
    if classes is None:
        return _GivenValues(prediction)
    return _GivenProbabilities(prediction, classes)


class _GivenValues(RegressorMixin, BaseEstimator):
    """A fitted regressor that returns what it was given."""

    def __init__(self, values):
        self.values = values

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return self.values


class _GivenProbabilities(ClassifierMixin, BaseEstimator):
    """A fitted classifier that returns what it was given."""

    def __init__(self, probabilities, classes):
        self.probabilities = probabilities
        self.classes_ = classes

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return self.probabilities

    def predict(self, X):
        return self.classes_[self.probabilities.argmax(axis=1)]
