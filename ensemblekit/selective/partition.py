"""PartitionVotingClassifier: votes that a few poisoned training rows cannot turn."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from .. import kernels, layout
from .._members import fit_member, is_frozen, last_step, with_seed
from .._routing import merge_member_tags
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Parallel,
    StrOptions,
    _fit_context,
    _num_samples,
    _safe_indexing,
    check_input_features,
    check_sample_weight,
    delayed,
    forget_fitted,
)
from ..quantile_members._base import check_labels, weight_arguments
from ._hashing import part_seed, row_hashes
from .certificates import _certify, _check_scores, _is_runoff

__all__ = ["PartitionVotingClassifier"]

# Scores of a block of rows stay below 256 MB.
_SCORES = 2**25


class PartitionVotingClassifier(ClassifierMixin, BaseEstimator):
    """Vote among models of disjoint parts of the rows, with a certificate.

    Each row goes to a part by its values and label alone. An inserted or deleted
    training row then reaches the models of its part and no other; an altered one those
    of two parts, where it was and where it is. As long as no more models change than
    `certified_radius` says, the answer stays, whatever the rows are. Use it where
    training rows come from people who may gain by them; it costs accuracy, as each
    model sees few rows.

    Parameters
    ----------
    estimator : classifier, default=None
        Fitted on each part. None is a ``DecisionTreeClassifier``. A run-off gains from
        models with ``predict_proba`` that rank all classes. Preprocessing belongs in
        it: a scaler fitted on all rows lets one row reach every model.
    n_partitions : int, default=50
        Parts, >= 1; many give larger certificates and weaker models.
    spread : int, default=1
        With more than 1, finite aggregation: ``n_partitions * spread`` models, each
        trained on `spread` of as many buckets of rows, so that parts overlap. A radius
        then counts buckets.
    voting : {"runoff", "plurality"}, default="runoff"
        See `certified_radius`.
    random_state : int, RandomState instance or None, default=None
        Seeds the models, and of `spread` which buckets share a model. With None the
        seed of a model comes from the rows of its part, and the buckets are always the
        same: equal rows give equal models, as certificates assume. A RandomState moves
        on with each fit: its certificates are about training from the same state.
    n_jobs : int or None, default=None
        Models fitted at a time; results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    estimators_ : list of fitted classifier or None
        None for a part whose rows have one label, for which it votes, or no row: it
        abstains.
    buckets_ : ndarray of shape (n_buckets, spread), int64
        Models that rows of a bucket reach.
    part_sizes_ : ndarray of shape (n_partitions * spread,), int64
        Rows of each model, those of weight 0 left out.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    MemberError
        If the estimator fails; names the part.
    ValueError
        If y has one class, or X and y differ in length.

    Notes
    -----
    An inserted or deleted row changes one part (bucket), an altered one two. Rows have
    to keep to the labels in `classes_`. Models see their rows in an order that comes
    from the values, so that shuffling rows changes nothing.
    Time beyond the estimators: O(n_samples * n_features) to fit, to predict
    O(n_members * n_samples * n_classes).

    References
    ----------
    .. [1] Levine, Feizi, "Deep Partition Aggregation: Provable Defense against General
       Poisoning Attacks", ICLR 2021.
    .. [2] Rezaei, Banihashem, Chegini, Feizi, "Run-Off Election: Improved Provable
       Defense against Data Poisoning Attacks", ICML 2023.
    .. [3] Wang, Levine, Feizi, "Improved Certified Defenses against Data Poisoning with
       (Deterministic) Finite Aggregation", ICML 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> vote = PartitionVotingClassifier(GaussianNB(), n_partitions=9, random_state=0)
    >>> vote = vote.fit(X[::2], y[::2])
    >>> radius = vote.certified_radius(X[1::2])
    >>> correct = vote.predict(X[1::2]) == y[1::2]
    >>> [round(float((correct & (radius >= r)).mean()), 2) for r in range(5)]
    [0.96, 0.87, 0.67, 0.19, 0.0]
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_partitions": [Interval(Integral, 1, None, closed="left")],
        "spread": [Interval(Integral, 1, None, closed="left")],
        "voting": [StrOptions({"runoff", "plurality"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator=None,
        *,
        n_partitions=50,
        spread=1,
        voting="runoff",
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.n_partitions = n_partitions
        self.spread = spread
        self.voting = voting
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Send each row to its part, and fit a model on each.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; reaches the models. Votes count alike.

        Returns
        -------
        self : PartitionVotingClassifier
        """
        forget_fitted(self)
        if is_frozen(self._resolve()):
            raise ValueError(
                "estimator is frozen: it was trained elsewhere, and learns from no "
                "part of the rows. Give it unfitted."
            )
        X, y, weight = self._check_rows(X, y, sample_weight)
        self.classes_, codes = layout.encode_labels(y)
        seeds, hashes = self._draw(), row_hashes(X, y)
        parts = self._parts(hashes, weight)
        if seeds is None:
            seeds = [part_seed(hashes[rows], m) for m, rows in enumerate(parts)]
        self.part_sizes_ = np.array([len(rows) for rows in parts])
        self._present = [np.unique(codes[rows]) for rows in parts]
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_part)(
                self._resolve(),
                seed,
                _safe_indexing(X, rows) if len(present) > 1 else None,
                codes[rows],
                None if weight is None else weight[rows],
                self.classes_,
                f"part {m} of {len(parts)}",
            )
            for m, (rows, present, seed) in enumerate(
                zip(parts, self._present, seeds, strict=True)
            )
        )
        return self

    def predict(self, X):
        """Predict the winners of the vote.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Out of `classes_`.
        """
        winners = self._by_blocks(X, lambda scores: self._elect(scores)[0])
        return self.classes_[winners]

    def predict_proba(self, X):
        """Return the shares of the votes.

        After a run-off the finalists share their first votes as the second round went,
        so that the winner has the largest share.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        shares : ndarray of shape (n_samples, n_classes), float64
        """
        shares = _runoff_shares if self.voting == "runoff" else _vote_shares
        return self._by_blocks(X, lambda scores: shares(*self._elect(scores)))

    def certified_radius(self, X):
        """Count the parts (buckets) of training rows that may change at will.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        radius : ndarray of shape (n_samples,), int64
            `predict` stays the same with up to this many rows inserted or deleted, or
            half as many replaced, and any number in the same parts.
        """
        runoff = _is_runoff(self.voting)

        def radius(scores):
            return _certify(scores, runoff, self.buckets_ if self._spread else None)[1]

        return self._by_blocks(X, radius)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        return merge_member_tags(tags, [("estimator", self._resolve())])

    def _resolve(self):
        return DecisionTreeClassifier() if self.estimator is None else self.estimator

    def _check_rows(self, X, y, sample_weight):
        """Return X as it was, labels and weights."""
        X = self._check_features(X, reset=True)
        y = check_labels(self, X, y)
        weight = sample_weight
        if weight is not None:
            weight = check_sample_weight(weight, X)
        return X, y, weight

    def _check_features(self, X, reset):
        """Refuse what the estimator would: a part of one label asks no estimator."""
        X = check_input_features(self, X, reset=reset)
        if not (hasattr(X, "columns") or _holds_estimators(self._resolve())):
            accepts = get_tags(self).input_tags
            check_array(
                X,
                accept_sparse=accepts.sparse,
                dtype=None if accepts.string or accepts.categorical else "numeric",
                ensure_all_finite=not accepts.allow_nan,
                estimator=self,
            )
        return X

    def _draw(self):
        """Set `buckets_`; return a seed for each model, None if its rows give it."""
        n_members = self.n_partitions * self.spread
        drawn = 0 if self.random_state is None else self.random_state
        random = check_random_state(drawn)
        shifts = random.choice(n_members, self.spread, replace=False)
        self.buckets_ = (np.arange(n_members)[:, None] + shifts) % n_members
        self._spread = self.spread > 1
        if self.random_state is None:
            return None
        return random.randint(2**31 - 1, size=n_members).tolist()

    def _parts(self, hashes, weight):
        """Return the rows of each model, ordered by their hashes."""
        # Of equal rows the lighter first, wherever they stand.
        order = np.argsort(hashes, kind="stable")
        if weight is not None:
            order = np.lexsort((weight, hashes))
            order = order[weight[order] > 0.0]
        n_members, spread = self.buckets_.shape
        buckets = (hashes[order] % np.uint64(n_members)).astype(np.int64)
        # One counting sort of (row, model) pairs, whose columns keep the rows' order.
        reached = sparse.csr_array(
            (
                np.ones(len(order) * spread, dtype=bool),
                self.buckets_[buckets].ravel(),
                np.arange(len(order) + 1) * spread,
            ),
            shape=(len(order), n_members),
        ).tocsc()
        return np.split(order[reached.indices], reached.indptr[1:-1])

    def _elect(self, scores):
        return kernels.runoff.elect(_check_scores(scores), self.voting == "runoff")

    def _by_blocks(self, X, function):
        """Apply a function of scores (n_members, n_rows, n_classes) to blocks of X."""
        check_is_fitted(self)
        X = self._check_features(X, reset=False)
        n_rows = _num_samples(X)
        size = max(1024, _SCORES // (len(self.estimators_) * len(self.classes_)))
        blocks = [
            np.arange(start, min(start + size, n_rows))
            for start in range(0, n_rows, size)
        ]
        if len(blocks) == 1:
            return function(self._scores(X))
        found = [function(self._scores(_safe_indexing(X, rows))) for rows in blocks]
        return np.concatenate(found)

    def _scores(self, X):
        """Return what each model gives each class: (n_members, n_rows, n_classes)."""
        n_classes = len(self.classes_)
        return np.stack(
            Parallel(n_jobs=self.n_jobs, prefer="threads")(
                delayed(_score_part)(model, X, present, n_classes)
                for model, present in zip(self.estimators_, self._present, strict=True)
            )
        )


def _holds_estimators(estimator):
    """Say whether estimators inside decide what it accepts, whatever its tags say."""
    return any(hasattr(p, "fit") for p in estimator.get_params(deep=True).values())


def _fit_part(estimator, seed, X, codes, weight, classes, where):
    """Fit a clone on one part; None where its rows have fewer than two labels."""
    if X is None:
        return None
    keywords = weight_arguments(estimator, weight)
    member = with_seed(estimator, seed)
    name = type(estimator).__name__
    return fit_member(name, member, X, codes, None, keywords, classes, where)[0]


def _score_part(model, X, present, n_classes):
    """Return the scores of one model; -inf for classes that it has not seen."""
    scores = np.full((_num_samples(X), n_classes), -np.inf)
    scores[:, present] = 1.0 if model is None else _respond(model, X, len(present))
    return scores


def _respond(model, X, n_classes):
    """Return probabilities or decision values; 1 for the label where there are none."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    if hasattr(model, "decision_function"):
        values = np.asarray(model.decision_function(X))
        if values.ndim == 1:
            return np.column_stack([-values, values])
        # Those of pairs of classes may be as many, and rank no classes.
        of_pairs = getattr(last_step(model), "decision_function_shape", "") == "ovo"
        if values.shape[1] == n_classes and not of_pairs:
            return values
    return (model.predict(X)[:, None] == model.classes_).astype(np.float64)


def _vote_shares(winners, rivals, counts, margins):
    return counts / counts.sum(axis=1, keepdims=True)


def _runoff_shares(winners, rivals, counts, margins):
    """Return shares of votes; finalists share theirs as the second round went."""
    rows, n_votes = np.arange(len(counts)), counts.sum(axis=1)
    finalists = counts[rows, winners] + counts[rows, rivals]
    ahead = (n_votes + margins[rows, rivals]) // 2
    # Over the square of the votes all are whole numbers: ties stay ties.
    shares = counts * n_votes[:, None]
    shares[rows, winners] = finalists * ahead
    shares[rows, rivals] = finalists * (n_votes - ahead)
    return shares / (n_votes**2)[:, None]
