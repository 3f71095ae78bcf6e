"""SelectiveVotingClassifier: answers that another training would not change."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import _votes, layout
from .._members import check_members, ends_frozen, find_task, predict_member
from .._parallel import map_tasks
from .._routing import merge_member_tags
from .._sklearn import (
    HasMethods,
    Integral,
    Interval,
    NamedPartsMixin,
    Real,
    StrOptions,
    _fit_context,
    _num_samples,
    check_input_features,
    forget_fitted,
)
from ..quantile_members._base import weight_arguments
from ._sentinel import accuracy, check_abstain_label, with_abstentions
from ._trainings import (
    encode_rows,
    fit_training,
    seeded,
    split_used,
    vote_held_out,
    warn_if_seeds_change_nothing,
)
from .planning import conflict_bound, estimate_agreement, required_members
from .votes import SelectiveVote, decide_rows, selective_vote, vote_counts, vote_dtype

__all__ = ["SelectiveVotingClassifier"]


class SelectiveVotingClassifier(ClassifierMixin, NamedPartsMixin):
    """Train a pipeline several times; answer where another training would agree.

    Members are trainings that differ by chance. A row is answered with the class of
    most votes where a two-sided binomial test tells the two leading classes apart; for
    each row the chance to answer with another class than most trainings would give is
    then at most `alpha`. That is consistency, not correctness: for answers that are
    likely right as well, wrap this in a `SelectiveClassifier`, which answers where both
    do.

    `predict` always answers, so that it serves in any pipeline, search and metric;
    `abstains` says where not to trust it.

    Parameters
    ----------
    estimator : classifier, default=None
        The pipeline that is trained `n_estimators` times: preprocessing belongs in
        here, as a pipeline around this would not pass `abstains` on. None is
        ``RandomForestClassifier()``.
    estimators : list of (str, classifier), default=None
        Members picked by hand, instead of `estimator`: each is trained once on all
        rows. They are no trainings of one pipeline, so nothing is guaranteed and the
        p-value is only a score of disagreement.
    n_estimators : int, default=10
        Trainings of `estimator`. More abstain less, but not steadily: at alpha 0.05, 9
        abstain less than 10. Good are 6, 9, 12, 15, 17, 20, 23, 25, 28 and 30.
    randomness : {"seed", "bootstrap", "loo"}, default="seed"
        What differs among trainings. ``"seed"``: every ``random_state`` in `estimator`,
        also one that is set. ``"loo"``: one row, drawn at random, is left out;
        ``"bootstrap"``: as many rows are drawn with replacement, a wider family than
        both. These two also change each ``random_state`` that is None.
    alpha : float, default=0.05
        Level of the test in (0, 1).
    coverage : float, default=None
        Share of the training rows to answer, held out, in (0, 1]. Given one, the level
        is not `alpha` but the least that answers so many.
    cv : int, splitter, iterable of (train, test) or None, default=None
        Folds to hold rows out by; every training is repeated without each fold, for
        `coverage` and `abstention_rate_oob_`. None is 5 with `coverage`, and else no
        folds. An int keeps the proportions of the classes.
    abstain_label : label, default=None
        Given one, `predict` returns it where the vote abstains. None: `predict` gives
        the class of most votes. It must be no class of y.
    random_state : int, RandomState instance or None, default=None
        Of seeds and rows; an int gives the same votes each time.
    n_jobs : int, default=None
        Trainings at the same time; their own threads are capped. The result is the
        same.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    estimators_ : list of fitted classifiers
    alpha_ : float
        Level of this fit: `alpha`, or what `coverage` asks for. What `set_params`
        changes counts from the next fit on; only `abstain_label` at once.
    abstention_rate_oob_ : float
        Share of the training rows, held out, that abstain at this level, in [0, 1];
        with `cv` or `coverage` only. Probably somewhat too high for new rows, as these
        members have seen fewer rows; too low with members trained elsewhere.
    n_min_ : int
        The fewest members that can answer at this level.
    cutoffs_ : ndarray of shape (n_members + 1,), int64
        See `selective_cutoffs`.
    conflict_bound_ : float
        Largest chance that two such ensembles, trained apart, answer a row with
        different labels, both at this level; NaN with `estimators`. See
        `conflict_bound`.
    conflict_bound_kind_ : {"exact", "numerical", "none"}
        Proved (two classes), checked on a grid (more classes), or not known. Classes
        that only rows of weight 0 have get no votes, and do not count.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    Raises
    ------
    ValueError
        If there are too few members to answer at this alpha (says how many are
        needed), no level below 1 has the `coverage`, both `estimator` and `estimators`
        are given, a member is no classifier, y has one class, or `abstain_label` is a
        class.
    MemberError
        If a member fails; names it.

    Warns
    -----
    UserWarning
        If all trainings with other seeds give the same answers, and scores, on up to a
        thousand rows between the training rows, which deep trees know by heart: each
        number lies between those of two rows, another two for each column. Members
        that cannot answer such rows are taken to differ.

    Notes
    -----
    Time: `n_estimators` fits, and as many for each fold of `cv`; prediction adds
    O(n_samples * n_members) to that of the members. `score` is the accuracy of
    `predict`, as that of `SelectiveClassifier`; alpha changes it only where
    `abstain_label` is given, which counts as an error.

    References
    ----------
    .. [1] Black, Leino, Fredrikson, "Selective Ensembles for Consistent Predictions",
       ICLR 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.tree import ExtraTreeClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> tree = ExtraTreeClassifier(min_samples_leaf=5)
    >>> voting = SelectiveVotingClassifier(tree, n_estimators=12, random_state=0)
    >>> labels, accepted, _ = voting.fit(X[::2], y[::2]).predict_selective(X[1::2])
    >>> right = labels == y[1::2]
    >>> [float(part.mean().round(2)) for part in (accepted, right, right[accepted])]
    [0.85, 0.93, 0.98]
    >>> voting.n_min_, round(voting.conflict_bound_, 6)
    (6, 0.000744)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "estimators": [list, None],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "randomness": [StrOptions({"seed", "bootstrap", "loo"})],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "coverage": [Interval(Real, 0, 1, closed="right"), None],
        "cv": ["cv_object"],
        "abstain_label": "no_validation",
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator=None,
        *,
        estimators=None,
        n_estimators=10,
        randomness="seed",
        alpha=0.05,
        coverage=None,
        cv=None,
        abstain_label=None,
        random_state=None,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.estimators = estimators
        self.n_estimators = n_estimators
        self.randomness = randomness
        self.alpha = alpha
        self.coverage = coverage
        self.cv = cv
        self.abstain_label = abstain_label
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Train all members.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative; of the members' training. Rows of weight 0 are left out;
            others are drawn alike by ``"loo"`` and ``"bootstrap"``.

        Returns
        -------
        self : SelectiveVotingClassifier
        """
        forget_fitted(self)
        members = self._members()
        if self.coverage is None:
            self._set_level(self.alpha, len(members))
        X, codes, weight, used = encode_rows(self, X, y, sample_weight)
        check_abstain_label(self.abstain_label, self.classes_)
        rng = check_random_state(self.random_state)
        tasks = self._tasks(members, X, codes, weight, rng)
        fitted = map_tasks(fit_training, tasks, self.n_jobs)
        self.estimators_ = [model for model, _ in fitted]
        self._present = [present for _, present in fitted]
        self._names = [name for name, _ in members]
        if self.estimators is None and self.randomness == "seed":
            warn_if_seeds_change_nothing(self.estimators_, X)
        if not (self.cv is None and self.coverage is None):
            cv = 5 if self.cv is None else self.cv
            splits = split_used(cv, X, codes, used)
            self._hold_out(members, X, codes, weight, rng, splits)
        frozen = ends_frozen(members[0][1])  # such may know more than it is shown
        answers = self.classes_ if frozen else np.unique(codes)
        self._bound_conflicts(len(members), len(answers))
        return self

    def predict(self, X):
        """Return the class of most votes, or `abstain_label` where one is given.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Equal votes go to the first in `classes_`. Of the type of `classes_`; with
            `abstain_label`, of one that holds both.
        """
        labels, _, _, accepted = self._decide(X)
        check_abstain_label(self.abstain_label, self.classes_)
        return with_abstentions(self.classes_[labels], accepted, self.abstain_label)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of `predict`; an `abstain_label` counts as an error.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
            In [0, 1]. `rejection_cost_scorer` and `selective_accuracy_scorer` see
            abstentions.
        """
        codes, _, _, accepted = self._decide(X)
        labels = self.classes_[codes]
        return accuracy(labels, accepted, self.abstain_label, y, sample_weight)

    def predict_proba(self, X):
        """Return the share of the votes that each class has.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        shares : ndarray of shape (n_samples, n_classes), float64
        """
        return self._counts(X) / len(self.estimators_)

    def abstains(self, X):
        """Say for which rows no answer is given.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        abstains : ndarray of shape (n_samples,), bool
        """
        return ~self._decide(X)[3]

    def predict_selective(self, X, *, correction=None):
        """Return labels, which of them are answers, and the p-values.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        correction : {"holm", "benjamini-hochberg"} or None, default=None
            See `selective_vote`; answers then depend on the other rows of X.

        Returns
        -------
        vote : SelectiveVote
            ``labels`` are classes also where ``accepted`` is False.
        """
        codes, n_classes = self._votes(X), len(self.classes_)
        vote = selective_vote(
            codes, self.alpha_, n_classes=n_classes, correction=correction
        )
        return SelectiveVote(self.classes_[vote.labels], vote.accepted, vote.p_value)

    def p_value(self, X):
        """Test for each row that its two leading classes are equally likely.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)

        Returns
        -------
        p_value : ndarray of shape (n_samples,), float64
        """
        _, best, second, _ = self._decide(X)
        return _votes.p_values(best, second)

    def required_members(self, X, abstention=0.05, *, max_members=2000):
        """Estimate how many members would keep abstention at a target.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows that the members were not trained on.
        abstention : float, default=0.05
            Largest share of rows without an answer, in [0, 1).
        max_members : int, default=2000
            Largest number that is tried.

        Returns
        -------
        numbers : RequiredMembers
            See `required_members`, with the agreement that `estimate_agreement` finds.

        Raises
        ------
        ValueError
            If no number up to `max_members` is enough.
        """
        agreement = estimate_agreement(self._counts(X))
        return required_members(
            self.alpha_, agreement, abstention, max_members=max_members
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimators_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = self.estimators or [("estimator", self._resolve_estimator())]
        return merge_member_tags(tags, members)

    def _members(self):
        """Return the (name, classifier) pairs that are trained."""
        if self.estimators is None:
            pairs = check_members([("estimator", self._resolve_estimator())])
            pairs = [(f"{i}", pairs[0][1]) for i in range(self.n_estimators)]
        elif self.estimator is None:
            pairs = check_members(self.estimators)
        else:
            raise ValueError(
                "estimator and estimators are both given; expected one pipeline, or "
                "members picked by hand."
            )
        if find_task(pairs) != "classification":
            raise ValueError("The members are regressors; votes need classifiers.")
        return pairs

    def _resolve_estimator(self):
        return RandomForestClassifier() if self.estimator is None else self.estimator

    def _set_level(self, alpha, n_members):
        """Set the level and its table; refuse so few members that none is answered."""
        self.alpha_ = alpha
        self.n_min_ = _votes.least_members(alpha)
        if n_members < self.n_min_:
            name = (
                "n_estimators" if self.estimators is None else "The number of members"
            )
            raise ValueError(
                f"{name} is {n_members}, but no vote of fewer than {self.n_min_} is "
                f"accepted at alpha={alpha}, be it unanimous. Expected at least "
                f"{self.n_min_}, or a larger alpha."
            )
        self.cutoffs_ = _votes.cutoffs(alpha, n_members)

    def _hold_out(self, members, X, codes, weight, rng, splits):
        """Repeat all trainings without each fold, and let these judge the level."""
        counts = self._held_out_counts(members, X, codes, weight, rng, splits)
        if self.coverage is not None:
            any_table = _votes.cutoffs(0.5, len(members))
            _, best, second, _ = _votes.decide(counts, any_table)
            alpha = _votes.attainable_level(best, second, self.coverage)
            if alpha is None:
                raise ValueError(
                    f"No level below 1 answers coverage={self.coverage} of the rows "
                    "held out: in too many the two leading classes are one vote apart "
                    "at most. Give more members, or less coverage."
                )
            self._set_level(alpha, len(members))
        accepted = _votes.decide(counts, self.cutoffs_)[3]
        self.abstention_rate_oob_ = float(1.0 - accepted.mean())

    def _held_out_counts(self, members, X, codes, weight, rng, splits):
        tasks = [
            (*task, train, test)
            for train, test in splits
            for task in self._tasks(members, X, codes, weight, rng)
        ]
        found = map_tasks(vote_held_out, tasks, self.n_jobs)
        votes = np.empty((len(codes), len(members)), dtype=found[0].dtype)
        for i, block in enumerate(found):
            fold, member = divmod(i, len(members))
            votes[splits[fold][1], member] = block
        return vote_counts(votes, len(self.classes_))

    def _tasks(self, members, X, codes, weight, rng):
        """Return the arguments of each member's training."""
        seeds = rng.randint(np.iinfo(np.int32).max, size=len(members))
        randomness = self.randomness if self.estimators is None else "seed"
        every = self.estimators is None and randomness == "seed"
        return [
            (
                name,
                seeded(member, seed, every=every),
                X,
                codes,
                self.classes_,
                weight_arguments(member, weight),
                randomness,
                seed,
            )
            for (name, member), seed in zip(members, seeds, strict=True)
        ]

    def _bound_conflicts(self, n_members, n_classes):
        """Set the bound for votes that go to `n_classes` classes at most."""
        self.conflict_bound_, self.conflict_bound_kind_ = np.nan, "none"
        if self.estimators is None:
            self.conflict_bound_ = conflict_bound(self.alpha_, n_members, n_classes)
            self.conflict_bound_kind_ = "exact" if n_classes == 2 else "numerical"

    def _votes(self, X):
        """Return the members' codes: (n_samples, n_members), a member contiguous."""
        check_is_fitted(self)
        X = check_input_features(self, X, reset=False)
        shape = len(self.estimators_), _num_samples(X)
        votes = np.empty(shape, dtype=vote_dtype(len(self.classes_)))
        members = zip(self._names, self.estimators_, self._present, strict=True)
        for i, (name, model, present) in enumerate(members):
            found = predict_member(
                name, model, X, "predict", present, self.classes_, "the rows given"
            )
            votes[i] = found[:, 0]
        return votes.T

    def _member_probabilities(self, X):
        """Return what each member says of each class: (n_members, n_rows, n_classes).

        `SelectiveClassifier` asks for it.
        """
        members = zip(self._names, self.estimators_, self._present, strict=True)
        return np.stack(
            [
                layout.class_probabilities(
                    predict_member(
                        name,
                        model,
                        X,
                        "predict_proba",
                        present,
                        self.classes_,
                        "the rows given",
                    )
                )
                for name, model, present in members
            ]
        )

    def _counts(self, X):
        return vote_counts(self._votes(X), len(self.classes_))

    def _decide(self, X):
        """Return label, best, second and accepted of each row."""
        return decide_rows(self._votes(X), None, len(self.classes_), self.alpha_)
