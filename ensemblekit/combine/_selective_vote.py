"""SelectiveVoteClassifier: the members' votes, and where they decide nothing."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from .. import _votes, layout
from .._sklearn import Interval, Real, _fit_context
from ._base import ClassificationCombinerMixin, validate_classification

__all__ = ["SelectiveVoteClassifier"]


class SelectiveVoteClassifier(
    ClassificationCombinerMixin, ClassifierMixin, BaseEstimator
):
    """Let the members vote, and abstain where the two leading classes are too close.

    Each member votes for its most probable class. `predict` always gives the class of
    most votes; `abstains` says where a two-sided binomial test does not tell it from
    the next. Nothing is learned from y.

    Where the members are independent trainings of one pipeline, the chance to answer
    with another class than most trainings would give is at most `alpha` for each row:
    see `SelectiveVotingClassifier`, which trains them. Of members of several kinds,
    such as those of a stack, the p-value is a score of disagreement, and no guarantee.

    Duplicating all members leaves the prediction unchanged, but not the test, which
    counts each vote; duplicating one member gives it two votes.

    Parameters
    ----------
    alpha : float, default=0.05
        Level of the test in (0, 1). At 0.05 at least 6 members are needed to answer.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    alpha_ : float
        Level of this fit; what `set_params` changes counts from the next one on.
    n_min_ : int
        The fewest members that can answer at this alpha.
    cutoffs_ : ndarray of shape (n_members + 1,), int64
        See `selective_cutoffs`.
    n_features_in_ : int
        Number of columns of P.

    Raises
    ------
    ValueError
        If P holds no probabilities, or y has one class.

    Warns
    -----
    UserWarning
        If there are too few members to answer at this alpha: all rows abstain.

    Notes
    -----
    `predict_proba` gives shares of votes, not means of probabilities, so that it agrees
    with `predict`. Cost: O(n m K).

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> P = [[0.1, 0.2, 0.3, 0.2, 0.1, 0.4], [0.9, 0.8, 0.6, 0.7, 0.9, 0.4]]
    >>> combiner = SelectiveVoteClassifier().fit(P, ["no", "yes"])
    >>> combiner.predict(P), combiner.abstains(P)
    (array(['no', 'yes'], dtype='<U3'), array([False,  True]))
    """

    _parameter_constraints: dict = {"alpha": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, *, alpha=0.05):
        self.alpha = alpha

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, P, y, sample_weight=None):
        """Check P and y, and build the table of the test.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
            Probabilities; 0 and 1 where members give labels.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Nothing depends on them.

        Returns
        -------
        self : SelectiveVoteClassifier
        """
        P, _, _ = validate_classification(self, P, y, sample_weight)
        n_outputs = layout.n_outputs_for(len(self.classes_))
        n_members = layout.count_members(P, n_outputs)
        self.alpha_ = self.alpha
        self.n_min_ = _votes.least_members(self.alpha)
        self.cutoffs_ = _votes.cutoffs(self.alpha, n_members)
        if n_members < self.n_min_:
            _warn_of_too_few(n_members, self.n_min_, self.alpha)
        return self

    def abstains(self, P):
        """Say for which rows no answer is given.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)

        Returns
        -------
        abstains : ndarray of shape (n_samples,), bool
        """
        _, _, _, accepted = self._decide(P)
        return ~accepted

    def predict_selective(self, P, *, correction=None):
        """Return labels, which of them are answers, and the p-values.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)
        correction : {"holm", "benjamini-hochberg"} or None, default=None
            See `selective_vote`; answers then depend on the other rows of P.

        Returns
        -------
        vote : SelectiveVote
            ``labels`` are classes also where ``accepted`` is False.
        """
        _votes.check_correction(correction)
        vote = _votes.selected(self._decide(P), self.alpha_, correction)
        return vote._replace(labels=self.classes_[vote.labels])

    def p_value(self, P):
        """Test for each row that its two leading classes are equally likely.

        Parameters
        ----------
        P : array-like of shape (n_samples, n_members * n_outputs)

        Returns
        -------
        p_value : ndarray of shape (n_samples,), float64
        """
        _, best, second, _ = self._decide(P)
        return _votes.p_values(best, second)

    def _decide(self, P):
        shares = self.predict_proba(P)
        counts = np.rint(shares * (len(self.cutoffs_) - 1)).astype(np.int32)
        return _votes.decide(counts, self.cutoffs_)

    def _combine(self, P):
        """Return the share of the votes that each class has."""
        return self._count(P) / (len(self.cutoffs_) - 1)

    def _count(self, P):
        n_classes = len(self.classes_)
        codes = layout.vote_codes(layout.to_cube(P, layout.n_outputs_for(n_classes)))
        return _votes.count(codes.T, n_classes)[0]  # in range, as an argmax is


def _warn_of_too_few(n_members, n_min, alpha):
    noun = "member" if n_members == 1 else "members"
    warnings.warn(
        f"No vote of {n_members} {noun} is accepted at alpha={alpha}, be it "
        f"unanimous: all rows abstain. Give at least {n_min} members, or a larger "
        "alpha.",
        UserWarning,
        stacklevel=4,
    )
