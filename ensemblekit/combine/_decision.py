"""DecisionOffsetClassifier: a combiner whose labels are tuned for a metric."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import has_fit_parameter

from .._sklearn import HasMethods, _fit_context
from ..selection import offsets
from ._base import ClassificationCombinerMixin, row_folds, validate_classification

__all__ = ["DecisionOffsetClassifier"]


class DecisionOffsetClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Tune the labels of a combiner for balanced accuracy, F1 or another metric.

    Predicts the class of the highest ``probability + offsets_``; for two classes that
    is a threshold of ``(1 - offsets_[1]) / 2`` on the probability of the second. The
    probabilities themselves stay the inner combiner's. Offsets are chosen on rows held
    out, and are 0 unless they gain at least one standard error on rows held out again.
    Take it where the metric counts classes alike but the rows do not; accuracy and
    calibrated probabilities have nothing to gain.

    Parameters
    ----------
    combiner : classifier
        Fitted on P; needs `predict_proba`. A combiner, or any classifier.
    metric : str or callable, default="balanced_accuracy"
        What the labels are tuned for. ``"accuracy"``, ``"balanced_accuracy"``,
        ``"f1"`` (of ``classes_[1]``, two classes only), ``"f1_macro"``,
        ``"f1_weighted"``, ``"matthews_corrcoef"`` and ``"cohen_kappa"`` try every
        offset that changes a label, at the cost of one sort for each class and pass.
        The name of any other scorer of scikit-learn that reads labels, or a callable
        ``(estimator, P, y)`` (called with ``sample_weight`` where weights differ), is
        called at up to 200 offsets for each class and pass.
    cv : int, splitter or iterable of (train, test), default=5
        Row folds; an int means that many stratified, shuffled folds with a fixed seed.
        Where rows come in groups, give the splits that keep groups together. A row may
        be held out once, or never. A fold whose training rows lack a class is left out.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    combiner_ : classifier
        Fitted on all rows.
    offsets_ : ndarray of shape (n_classes,), float64
        The first is 0. The median, class by class, of those chosen without each fold;
        all 0 where these gain less than `gain_se_`.
    score_without_, score_with_ : float
        The metric (higher is better) of all held-out rows with no offsets, and with
        those chosen without the row's fold, also where `offsets_` is 0.
    gain_se_ : float
        Standard error of their difference, by the jackknife over folds.
    weights_ : ndarray of shape (n_members,), float64
        The inner combiner's, where it is one of this package that has them.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, y has one class, weights are unfit, leave a class
        without rows or are not taken by the inner combiner, a row is held out twice,
        fewer than two folds train on all classes, or the metric is unknown.

    Notes
    -----
    Time: the inner combiner's fit, once for each fold and once on all rows, and
    O(n_classes * n_samples * (n_classes + log(n_samples))) a pass for each fold.

    A held-out row's probabilities come from a combiner that has not seen it, but the
    other rows', on which its fold's offsets are chosen, from combiners that have.

    References
    ----------
    .. [1] Koyejo, Natarajan, Ravikumar, Dhillon, "Consistent Binary Classification with
       Generalized Performance Metrics", NeurIPS 2014.

    Examples
    --------
    >>> from ensemblekit import AverageClassifier, DecisionOffsetClassifier
    >>> P = np.linspace(0.0, 0.4, 50)[:, None]  # a member that never says yes
    >>> y = np.where(P[:, 0] > 0.3, "yes", "no")
    >>> combiner = DecisionOffsetClassifier(AverageClassifier()).fit(P, y)
    >>> combiner.score_without_, combiner.score_with_ > 0.9
    (0.5, True)
    >>> combiner.predict([[0.2], [0.35]])
    array(['no', 'yes'], dtype='<U3')
    """

    _parameter_constraints: dict = {
        "combiner": [HasMethods(["fit", "predict_proba"])],
        "metric": [str, callable],
        "cv": ["cv_object"],
    }

    def __init__(self, combiner, *, metric="balanced_accuracy", cv=5):
        self.combiner = combiner
        self.metric = metric
        self.cv = cv

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, P, y, sample_weight=None):
        """Choose offsets on held-out rows, then fit the combiner on all rows.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Out-of-fold probabilities.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; an integer weight equals that many copies of the row, in the
            same fold.

        Returns
        -------
        self : DecisionOffsetClassifier
        """
        P, codes, weight = validate_classification(self, P, y, sample_weight)
        offsets.find_scorer(self.metric, len(self.classes_))  # refused before fitting
        self._check_weights(sample_weight, codes, weight)
        passed = None if sample_weight is None else weight
        E, rows, folds = self._predict_held_out(P, codes, weight, passed)
        chosen = offsets.cross_fitted(
            E, codes[rows], weight[rows], folds, self.metric, self.classes_
        )
        self.offsets_ = chosen.offsets
        self.score_without_, self.score_with_ = chosen.score_without, chosen.score_with
        self.gain_se_ = chosen.gain_se
        self.combiner_ = self._fit_inner(P, codes, passed, slice(None))
        if isinstance(self.combiner_, ClassificationCombinerMixin) and hasattr(
            self.combiner_, "weights_"
        ):
            self.weights_ = self.combiner_.weights_
        return self

    def predict(self, P):
        """Return the class of the highest probability plus offset.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)

        Returns
        -------
        labels : ndarray of shape (n_samples,), dtype of `classes_`
            Ties go to the first in `classes_`.
        """
        probabilities = self.predict_proba(P)
        return self.classes_[offsets.decide(probabilities, self.offsets_)]

    def _combine(self, P):
        return np.asarray(self.combiner_.predict_proba(P), dtype=np.float64)

    def _check_weights(self, sample_weight, codes, weight):
        if sample_weight is None:
            return
        if not has_fit_parameter(self.combiner, "sample_weight"):
            raise ValueError(
                f"sample_weight is given, but {type(self.combiner).__name__}.fit takes "
                "none. Use a combiner whose fit does, or fit without weights."
            )
        weightless = self.classes_[np.bincount(codes, weight) == 0.0].tolist()
        if weightless:
            raise ValueError(
                f"sample_weight is zero in all rows of class {weightless[0]!r}; "
                "offsets need weight in each class. Leave out the rows without."
            )

    def _fit_inner(self, P, codes, weight, rows):
        params = {} if weight is None else {"sample_weight": weight[rows]}
        return clone(self.combiner).fit(P[rows], self.classes_[codes[rows]], **params)

    def _predict_held_out(self, P, codes, weight, passed):
        """Return held-out probabilities, their rows, and the rows' folds."""
        n_classes, parts = len(self.classes_), []
        for train, test in row_folds(self.cv, codes, weight, stratify=True):
            if len(np.unique(codes[train][weight[train] > 0])) == n_classes:
                inner = self._fit_inner(P, codes, passed, train)
                parts.append((inner.predict_proba(P[test]), test))
        if len(parts) < 2:
            raise ValueError(
                f"cv has {len(parts)} folds whose training rows hold all {n_classes} "
                "classes; offsets need at least two. Use stratified folds, or fewer."
            )
        E, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
        _check_held_out_once(rows, len(codes))
        folds = np.repeat(np.arange(len(parts)), [len(test) for _, test in parts])
        return np.asarray(E, dtype=np.float64), rows, folds


def _check_held_out_once(rows, n_rows):
    times = np.bincount(rows, minlength=n_rows)
    if times.max() > 1:
        row = int(np.argmax(times > 1))
        raise ValueError(
            f"cv holds out row {row} {times[row]} times; offsets chosen on a row "
            "cannot be judged by it. Use splits that hold out each row at most once."
        )
