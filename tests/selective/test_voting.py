"""SelectiveVotingClassifier."""

import pickle

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from ensemblekit import (
    MemberError,
    SelectiveVotingClassifier,
    StackedClassifier,
    _votes,
    conflict_bound,
    selective_cutoffs,
)

from . import oracles_votes as oracles

TREE = ExtraTreeClassifier(min_samples_leaf=3)


def make_rows(n_classes=2, n_samples=240):
    return make_classification(
        n_samples,
        8,
        n_informative=5,
        n_classes=n_classes,
        flip_y=0.15,
        random_state=0,
    )


@pytest.fixture
def rows():
    return make_rows


def voting(estimator=TREE, **options):
    return SelectiveVotingClassifier(estimator, random_state=0, **options)


def codes_of(model, X):
    """Votes of the fitted members, which know codes."""
    found = [member.predict(X) for member in model.estimators_]
    return np.column_stack(found).astype(int)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("randomness", ["seed", "bootstrap", "loo"])
def test_equals_the_oracle(rows, n_classes, randomness):
    X, y = rows(n_classes)
    model = voting(n_estimators=9, randomness=randomness, alpha=0.1)
    model.fit(X[:120], y[:120])
    codes = codes_of(model, X[120:])
    labels, accepted, p = oracles.selective_vote(codes, n_classes, 0.1)
    vote = model.predict_selective(X[120:])
    assert_array_equal(vote.labels, labels)
    assert_array_equal(vote.accepted, accepted)
    assert_allclose(vote.p_value, p, rtol=1e-12)
    assert_array_equal(model.predict(X[120:]), labels)
    assert_array_equal(model.abstains(X[120:]), ~accepted)
    assert_allclose(model.p_value(X[120:]), p, rtol=1e-12)
    shares = (codes[:, :, None] == np.arange(n_classes)).mean(axis=1)
    assert_allclose(model.predict_proba(X[120:]), shares, rtol=1e-15)
    assert 0.02 < accepted.mean() < 0.98
    assert_array_equal(model.cutoffs_, selective_cutoffs(0.1, 9))


def test_attributes_of_the_guarantee(rows):
    for n_classes, kind in [(2, "exact"), (3, "numerical")]:
        model = voting(n_estimators=12).fit(*rows(n_classes))
        assert model.conflict_bound_ == conflict_bound(0.05, 12, n_classes)
        assert model.conflict_bound_kind_ == kind
        assert model.n_min_ == 6
    picked = [(str(i), clone(TREE)) for i in range(6)]
    model = voting(None, estimators=picked).fit(*rows())
    assert np.isnan(model.conflict_bound_)
    assert model.conflict_bound_kind_ == "none"


def test_classes_of_weight_0_do_not_change_the_bound(rows):
    X, y = rows(3)
    weight = (y != 1).astype(float)
    weighted = voting().fit(X, y, sample_weight=weight)
    without = voting().fit(X[y != 1], y[y != 1])
    assert weighted.classes_.tolist() == [0, 1, 2]
    assert weighted.conflict_bound_ == without.conflict_bound_
    assert weighted.conflict_bound_kind_ == without.conflict_bound_kind_ == "exact"
    both = np.column_stack([without.predict_proba(X), weighted.predict_proba(X)])
    assert_array_equal(both[:, [0, 1]], both[:, [2, 4]])
    assert not both[:, 3].any()
    known = make_pipeline(PCA(), FrozenEstimator(GaussianNB().fit(X, y)))
    frozen = voting(known, randomness="bootstrap").fit(X, y, sample_weight=weight)
    assert frozen.predict_proba(X)[:, 1].any()  # it knows that class from elsewhere
    assert frozen.conflict_bound_kind_ == "numerical"


def test_trainings_differ_as_asked(rows):
    X, y = rows()
    fixed = DecisionTreeClassifier(max_features=2, random_state=7)
    seeds = [m.random_state for m in voting(fixed).fit(X, y).estimators_]
    assert len(set(seeds)) == 10  # a seed that is set gives way
    for randomness in ("bootstrap", "loo"):
        model = voting(fixed, randomness=randomness).fit(X, y)
        assert {m.random_state for m in model.estimators_} == {7}
        seen = [m.tree_.n_node_samples[0] for m in model.estimators_]
        if randomness == "loo":
            assert set(seen) == {239}
        probabilities = [m.predict_proba(X) for m in model.estimators_]
        assert not all((p == probabilities[0]).all() for p in probabilities)
        free = voting(TREE, randomness=randomness).fit(X, y)
        assert len({m.random_state for m in free.estimators_}) == 10
    assert fixed.random_state == 7


def test_leave_one_out_drops_one_row_each(rows):
    X, y = rows(n_samples=30)
    nearest = KNeighborsClassifier(1)
    model = voting(nearest, n_estimators=8, randomness="loo").fit(X, y)
    assert [m.n_samples_fit_ for m in model.estimators_] == [29] * 8
    left_out = [
        next(i for i in range(30) if not (m._fit_X == X[i]).all(axis=1).any())
        for m in model.estimators_
    ]
    assert len(set(left_out)) > 1


def test_few_rows_of_a_class():
    X = np.arange(12.0)[:, None]
    y = np.array([0] * 11 + [1])
    for randomness in ("loo", "bootstrap"):
        model = voting(GaussianNB(), randomness=randomness, n_estimators=20)
        model.fit(X, y)
        assert all(len(m.classes_) == 2 for m in model.estimators_)
    with pytest.raises(ValueError, match="n_samples=2 that leaves one class"):
        voting(GaussianNB(), randomness="loo").fit(X[-2:], y[-2:])
    three = voting(GaussianNB(), randomness="loo", n_estimators=30)
    labels = np.array(["a"] * 6 + ["b"] * 5 + ["c"])
    three.fit(X, labels)  # some members have never seen "c"
    assert {len(m.classes_) for m in three.estimators_} == {2, 3}
    votes = three.predict_proba(X)[-1]
    assert 0 < votes[1] < votes[2]
    assert three.predict(X)[-1] == "c"


@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.01])
def test_refuses_numbers_that_never_answer(rows, alpha):
    X, y = rows()
    n_min = {0.1: 5, 0.05: 6, 0.01: 8}[alpha]
    with pytest.raises(ValueError, match=f"is {n_min - 1}, but .* at least {n_min}"):
        voting(n_estimators=n_min - 1, alpha=alpha).fit(X, y)
    model = voting(n_estimators=n_min, alpha=alpha).fit(X, y)
    assert not model.abstains(X).all()
    with pytest.raises(ValueError, match="The number of members is 1"):
        voting(None, estimators=[("one", TREE)]).fit(X, y)


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        HistGradientBoostingClassifier(max_iter=2),  # keeps the seeds it has drawn
        lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        RidgeClassifier(),
        DummyClassifier(),
    ],
)
def test_warns_where_seeds_change_nothing(rows, estimator):
    X, y = rows()
    with pytest.warns(UserWarning, match="learns the same with every seed") as seen:
        model = voting(estimator).fit(X, y)
    assert seen[0].filename == __file__
    assert not model.abstains(X).any()
    voting(estimator, randomness="bootstrap").fit(X, y)


def test_frames_and_sparse_rows_tell_whether_seeds_matter(rows):
    X, y = rows()
    for known in (pd.DataFrame(X), csr_matrix(X), X.tolist(), X.astype(np.float32)):
        with pytest.warns(UserWarning, match="learns the same with every seed"):
            voting(LogisticRegression()).fit(known, y)
        voting(ExtraTreeClassifier()).fit(known, y)


def test_a_seed_that_moves_only_probabilities_does_not_count(rows):
    X, y = rows()
    machine = Shaken()  # as SVC(probability=True) is, answering by another score
    with pytest.warns(UserWarning, match="learns the same with every seed"):
        voting(machine).fit(X, y)


def test_a_seed_that_moves_only_the_threshold_counts(rows):
    X, y = rows()
    cut = TunedThresholdClassifierCV(LogisticRegression(), cv=0.3)
    model = voting(cut, n_estimators=6).fit(X, y)
    assert len({m.best_threshold_ for m in model.estimators_}) > 1


class Shaken(LogisticRegression):
    """Its probabilities depend on the seed, and its answers do not."""

    def predict_proba(self, X):
        return super().predict_proba(X) ** (1 + self.random_state)


def test_members_that_answer_no_other_rows_do_not_warn(rows):
    X, y = rows()
    model = voting(OfKnownRows()).fit(X, y)
    assert model.predict_proba(X).shape == (240, 2)


class OfKnownRows(LogisticRegression):
    """Refuses rows that it was not fitted on."""

    def fit(self, X, y):
        self.known_ = {row.tobytes() for row in X}
        return super().fit(X, y)

    def predict(self, X):
        assert self.known_.issuperset(row.tobytes() for row in X)
        return super().predict(X)


def test_models_that_cannot_be_copied_do_not_warn(rows):
    same = FunctionTransformer(lambda X: X)
    model = voting(make_pipeline(same, TREE)).fit(*rows())
    assert model.predict_proba(rows()[0]).shape == (240, 2)


def test_deep_trees_of_equal_training_votes_do_not_warn(rows):
    X, y = rows()
    model = voting(ExtraTreeClassifier()).fit(X, y)
    assert not model.abstains(X).any()  # all rows are learned by heart
    assert not pickle.loads(pickle.dumps(model)).abstains(X).any()
    voting(make_pipeline(StandardScaler(), ExtraTreesClassifier(3))).fit(X, y)
    voting(ExtraTreeClassifier()).fit(X[:, :1], y)  # thresholds between known values
    voting(ExtraTreeClassifier()).fit((X > 0).astype(int), y)
    search = GridSearchCV(ExtraTreeClassifier(), {"criterion": ["gini", "entropy"]})
    voting(search, n_estimators=6).fit(X, y)


def test_predict_always_answers_in_the_type_of_the_labels(rows):
    X, y = rows(3)
    names = np.array(["low", "middle", "top"])
    expected = voting().fit(X, y).predict(X)
    for labels in (
        names[y],
        names.astype(object)[y],
        (y + 7).astype(np.int16),
        y + 1.0,
    ):
        model = voting().fit(X, labels)
        found = model.predict(X)
        assert type(found) is np.ndarray
        assert found.dtype == labels.dtype
        assert_array_equal(found, model.classes_[expected])
        assert model.predict_selective(X).labels.dtype == labels.dtype
        assert model.abstains(X).any()


@pytest.mark.parametrize(
    ("labels", "sentinel", "dtype"),
    [
        (np.array(["no", "yes"]), "unknown", "<U7"),
        (np.array(["no", "yes"], dtype=object), "unknown", object),
        (np.array([0, 1]), -1, np.int64),
        (np.array([0, 1], dtype=np.int8), -1, np.int8),
        (np.array([0, 1], dtype=np.int8), 1000, np.int16),
        (np.array([0, 1], dtype=np.uint8), -1, np.int16),
        (np.array([0, 1], dtype=np.uint64), -1, object),
        (np.array([0, 1]), "unknown", object),
        (np.array([0, 1]), 0.5, object),
        (np.array([0.0, 1.0]), np.nan, np.float64),
        (np.array([0.0, 1.0], dtype=np.float32), -1.5, np.float32),
        (np.array([False, True]), "unknown", object),
    ],
)
def test_sentinel(rows, labels, sentinel, dtype):
    X, y = rows()
    model = voting(abstain_label=sentinel).fit(X, labels[y])
    found, (plain, accepted, _) = model.predict(X), model.predict_selective(X)
    assert found.dtype == dtype
    assert_array_equal(found[accepted], plain[accepted])
    assert all(v == sentinel or v != v for v in found[~accepted].tolist())
    assert 0 < accepted.sum() < len(X)
    assert_array_equal(model.classes_, np.unique(labels))
    assert is_classifier(model)


def test_sentinels_that_are_refused(rows):
    X, y = rows()
    with pytest.raises(ValueError, match="abstain_label is 1, which is a class"):
        voting(abstain_label=1).fit(X, y)
    with pytest.raises(ValueError, match="abstain_label is NaN"):
        voting(abstain_label=np.nan).fit(X, y)
    with pytest.raises(ValueError, match="expected one label"):
        voting(abstain_label=["no"]).fit(X, y)


def test_answered_rows_are_more_often_right(rows):
    X, y = rows(n_samples=800)
    model = voting(n_estimators=20).fit(X[:400], y[:400])
    labels, accepted, _ = model.predict_selective(X[400:])
    right = labels == y[400:]
    assert right[accepted].mean() > right[~accepted].mean() + 0.1


def test_two_ensembles_do_not_contradict(rows):
    X, y = rows(n_samples=800)
    tree = ExtraTreeClassifier(min_samples_leaf=5)
    votes = [
        SelectiveVotingClassifier(tree, n_estimators=20, random_state=seed)
        .fit(X[:400], y[:400])
        .predict_selective(X[400:])
        for seed in range(6)
    ]
    plain = conflicts = 0
    for i, first in enumerate(votes):
        for second in votes[:i]:
            apart = first.labels != second.labels
            plain += apart.sum()
            conflicts += (apart & first.accepted & second.accepted).sum()
    assert plain > 500
    assert conflicts <= 10  # 15 pairs of 400 rows; at most 5 are expected


@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg"])
def test_corrections_belong_to_predict_selective_alone(rows, correction):
    X, y = rows()
    model = voting(n_estimators=20).fit(X[:120], y[:120])
    vote = model.predict_selective(X[120:], correction=correction)
    twin = {"holm": oracles.holm, "benjamini-hochberg": oracles.benjamini_hochberg}
    assert_array_equal(vote.accepted, twin[correction](vote.p_value, 0.05))
    assert (vote.accepted < ~model.abstains(X[120:])).any()
    row_by_row = np.concatenate([model.abstains(row[None]) for row in X[120:]])
    assert_array_equal(row_by_row, model.abstains(X[120:]))


def test_required_members(rows):
    X, y = rows(n_samples=1600)
    forest = ExtraTreesClassifier(3, min_samples_leaf=5)
    few = voting(forest, n_estimators=10).fit(X[:400], y[:400])
    needed = few.required_members(X[400:], 0.25)
    assert needed.n_min == 6
    assert 10 < needed.n_first < 30
    shares = []
    for n_members in (needed.n_first, needed.n_first // 2):
        more = clone(few).set_params(n_estimators=n_members, random_state=1)
        shares.append(more.fit(X[:400], y[:400]).abstains(X[400:]).mean())
    assert 0.1 < shares[0] < 0.28  # the estimate is rather too careful
    assert shares[1] > 0.28
    with pytest.raises(ValueError, match="members would abstain"):
        few.required_members(X[400:], 0.0, max_members=50)


def test_hand_picked_members(rows):
    X, y = rows()
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    members = [(f"t{i}", clone(TREE)) for i in range(5)]
    members += [("bayes", frozen), ("near", KNeighborsClassifier()), ("off", "drop")]
    model = voting(None, estimators=members).fit(X, y)
    assert len(model.estimators_) == 7
    assert model.estimators_[5] is not None
    _, accepted, _ = oracles.selective_vote(codes_of(model, X), 2, 0.05)
    assert_array_equal(model.abstains(X), ~accepted)
    assert len({m.random_state for m in model.estimators_[:5]}) == 5
    assert clone(model).set_params(near__n_neighbors=3).get_params()["near__p"] == 2


def test_refusals(rows):
    X, y = rows()
    with pytest.raises(ValueError, match="both given"):
        voting(TREE, estimators=[("a", TREE)]).fit(X, y)
    with pytest.raises(ValueError, match="members are regressors"):
        voting(Ridge()).fit(X, y)
    with pytest.raises(ValueError, match="randomness"):
        voting(randomness="dropout").fit(X, y)
    with pytest.raises(MemberError, match="Member '0' failed in fit on all rows"):
        voting(ExtraTreeClassifier(max_depth=-1)).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        voting(KNeighborsClassifier(), randomness="loo").fit(X, y, np.ones(len(y)))


def test_same_for_any_number_of_jobs_and_again(rows):
    X, y = rows()
    for randomness in ("seed", "bootstrap"):
        one = voting(randomness=randomness).fit(X, y)
        two = voting(randomness=randomness, n_jobs=2).fit(X, y)
        assert_array_equal(one.predict_proba(X), two.predict_proba(X))
        again = one.predict_proba(X)
        assert_array_equal(one.fit(X, y).predict_proba(X), again)
        loaded = pickle.loads(pickle.dumps(one))
        assert_array_equal(loaded.predict_proba(X), again)
    other = clone(one).set_params(random_state=1).fit(X, y).predict_proba(X)
    assert (other != again).any()


def test_second_fit_forgets_the_first(rows):
    X, y = rows()
    model = voting().fit(pd.DataFrame(X).add_prefix("x"), y)
    fresh = voting(n_estimators=7).fit(X[:, :4], y)
    model.set_params(n_estimators=7).fit(X[:, :4], y)
    assert vars(model).keys() == vars(fresh).keys()
    assert_array_equal(model.predict_proba(X[:, :4]), fresh.predict_proba(X[:, :4]))


def test_weights_reach_the_members(rows):
    X, y = rows()
    weight = np.where(y == 1, 1.0, 1e-9)
    logistic = LogisticRegression()
    for estimator in (logistic, make_pipeline(StandardScaler(), logistic)):
        for randomness in ("loo", "bootstrap"):
            model = voting(estimator, randomness=randomness)
            assert model.fit(X, y, sample_weight=weight).predict(X).all()
            assert not model.fit(X, y).predict(X).all()
    with sklearn.config_context(enable_metadata_routing=True):
        logistic.set_fit_request(sample_weight=True)
        model = voting(logistic, randomness="bootstrap")
        assert model.fit(X, y, sample_weight=weight).predict(X).all()


@pytest.mark.parametrize("randomness", ["seed", "loo", "bootstrap"])
def test_rows_of_weight_zero_are_as_if_removed(rows, randomness):
    X, y = rows()
    weight = (np.arange(len(y)) % 3).astype(float)
    kept = weight > 0
    model = voting(randomness=randomness).fit(X, y, sample_weight=weight)
    removed = voting(randomness=randomness).fit(X[kept], y[kept], weight[kept])
    assert_array_equal(model.predict_proba(X), removed.predict_proba(X))
    with pytest.raises(ValueError, match="zero in all rows but those of class 1"):
        model.fit(X, y, sample_weight=(y == 1).astype(float))


def test_frames_sparse_matrices_and_pipelines(rows):
    X, y = rows()
    expected = voting().fit(X, y).predict(X)
    frame = pd.DataFrame(X).add_prefix("x")
    model = voting().fit(frame, pd.Series(y))
    assert_array_equal(model.predict(frame), expected)
    assert list(model.feature_names_in_) == list(frame.columns)
    assert_array_equal(voting().fit(csr_matrix(X), y).predict(csr_matrix(X)), expected)
    scores = cross_val_score(make_pipeline(StandardScaler(), voting()), X, y, cv=3)
    assert scores.min() > 0.5
    assert model.__sklearn_tags__().input_tags.sparse


def test_grid_search(rows):
    X, y = rows()
    grid = {"estimator__min_samples_leaf": [1, 5], "alpha": [0.05, 0.2]}
    search = GridSearchCV(voting(abstain_label=-1), grid, cv=3).fit(X, y)
    means = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert (means[1] > means[0]).all()  # an abstention counts as an error
    plain = GridSearchCV(voting(), {"alpha": [0.05, 0.2]}, cv=3).fit(X, y)
    assert np.ptp(plain.cv_results_["mean_test_score"]) == 0.0


def test_as_member_of_a_stack():
    X, y = load_iris(return_X_y=True)
    stack = StackedClassifier([("vote", voting()), ("bayes", GaussianNB())], cv=3)
    assert stack.fit(X, y).score(X, y) > 0.9


def test_default_estimator(rows):
    X, y = rows(n_samples=60)
    model = SelectiveVotingClassifier(n_estimators=6, random_state=0).fit(X, y)
    assert type(model.estimators_[0]).__name__ == "RandomForestClassifier"
    assert model.predict_proba(X).shape == (60, 2)


@pytest.mark.parametrize(
    ("kind", "label"), [(int, "unknown"), (float, np.nan), (bool, -1), (str, "unknown")]
)
def test_score_counts_abstentions_of_any_type_as_errors(kind, label):
    X, codes = make_classification(120, flip_y=0.3, random_state=0)
    y = codes.astype(kind)
    voting = SelectiveVotingClassifier(
        DecisionTreeClassifier(), n_estimators=8, randomness="bootstrap", random_state=0
    )
    plain = voting.fit(X[:80], y[:80])
    right = plain.predict(X[80:]) == y[80:]
    assert plain.score(X[80:], y[80:]) == np.mean(right)
    marked = clone(voting).set_params(abstain_label=label).fit(X[:80], y[:80])
    abstains = marked.abstains(X[80:])
    assert abstains.any()
    assert marked.score(X[80:], y[80:]) == np.mean(right & ~abstains)


def held_out_votes(X, y, cv, n_members, seeds):
    """Each member trained without each fold, in loops."""
    votes = np.empty((len(y), n_members), int)
    for fold, (train, test) in enumerate(cv.split(X, y)):
        for member in range(n_members):
            seed = seeds[fold + 1, member]
            model = clone(TREE).set_params(random_state=seed).fit(X[train], y[train])
            votes[test, member] = model.predict(X[test])
    return votes


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("coverage", [None, 0.3, 0.6])
def test_levels_and_abstentions_of_rows_held_out(rows, n_classes, coverage):
    X, y = rows(n_classes)
    model = voting(n_estimators=9, cv=3, coverage=coverage, alpha=0.1).fit(X, y)
    rng = np.random.RandomState(0)
    seeds = np.array([rng.randint(2**31 - 1, size=9) for _ in range(4)])
    votes = held_out_votes(X, y, StratifiedKFold(3), 9, seeds)
    _, _, p = oracles.selective_vote(votes, n_classes, 0.1)
    level = 0.1
    if coverage is not None:
        level = np.sort(p)[int(np.ceil(coverage * len(y))) - 1]
        assert np.mean(p <= level * (1 - 1e-9)) < coverage <= np.mean(p <= level)
    assert model.alpha_ == pytest.approx(level, rel=1e-12)
    answered = oracles.selective_vote(votes, n_classes, model.alpha_)[1]
    assert model.abstention_rate_oob_ == pytest.approx(1 - answered.mean())
    assert 0.0 < model.abstention_rate_oob_ < 1.0
    if coverage is not None:
        assert answered.mean() >= coverage
    assert_array_equal(model.cutoffs_, selective_cutoffs(model.alpha_, 9))
    vote = model.predict_selective(X)
    assert_array_equal(vote.accepted, vote.p_value <= model.alpha_ * (1 + 1e-9))
    assert_array_equal(model.abstains(X), ~vote.accepted)
    # The members that predict are those of a fit without folds.
    plain = voting(n_estimators=9).fit(X, y)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert not hasattr(plain, "abstention_rate_oob_")


@pytest.mark.parametrize("randomness", ["bootstrap", "loo"])
def test_rows_held_out_with_weights_frames_and_jobs(rows, randomness):
    X, y = rows()
    weight = (np.arange(len(y)) % 3).astype(float)
    kept = weight > 0
    model = voting(randomness=randomness, coverage=0.8, n_jobs=2)
    frame = pd.DataFrame(X).add_prefix("x")
    weighted = model.fit(frame, y, sample_weight=weight)
    alpha, rate = weighted.alpha_, weighted.abstention_rate_oob_
    other = voting(randomness=randomness, coverage=0.8, cv=5)
    other.fit(X[kept], np.array(["no", "yes"])[y[kept]], sample_weight=weight[kept])
    assert (other.alpha_, other.abstention_rate_oob_) == (alpha, rate)
    assert 0 < rate <= 0.2


def test_coverage_that_is_out_of_reach():
    X = np.zeros((40, 1))
    y = np.arange(40) % 2
    picked = [("a", DummyClassifier(strategy="constant", constant=0)),
              ("b", DummyClassifier(strategy="constant", constant=1))]  # fmt: skip
    with pytest.raises(ValueError, match=r"No level below 1 answers coverage=0\.5"):
        voting(None, estimators=picked, coverage=0.5).fit(X, y)
    one = np.where(np.arange(40) == 7, "b", "a")
    with (
        pytest.warns(UserWarning, match="least populated class"),
        pytest.raises(ValueError, match="leaves rows of one class to train on"),
    ):
        voting(cv=2, randomness="bootstrap").fit(X, one)
    with pytest.raises(ValueError, match="'coverage' parameter"):
        voting(coverage=0.0).fit(X, y)


def test_attainable_levels_by_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n_members, n_rows = int(rng.integers(1, 15)), int(rng.integers(1, 30))
        votes = rng.integers(0, 3, (n_rows, n_members))
        counts = np.sort((votes[:, :, None] == np.arange(3)).sum(axis=1), axis=1)
        coverage = float(rng.integers(1, 11) / 10)
        found = _votes.attainable_level(counts[:, 2], counts[:, 1], coverage)
        p = oracles.selective_vote(votes, 3, 0.05)[2]
        levels = [v for v in p if v < 1 - 1e-9 and np.mean(p <= v + 1e-9) >= coverage]
        if not levels:
            assert found is None
            continue
        assert found == pytest.approx(min(levels), rel=1e-12)
        accepted = oracles.selective_vote(votes, 3, found * (1 + 1e-9))[1]
        cut = selective_cutoffs(found, n_members)
        both = counts[:, 2] + counts[:, 1]
        assert_array_equal(counts[:, 2] >= cut[both], accepted)
        assert accepted.mean() >= coverage


def test_what_is_set_after_fit_counts_from_the_next_fit_on(rows):
    X, y = rows()
    model = voting(n_estimators=12).fit(X, y)
    before = model.predict_selective(X, correction="holm"), model.abstains(X)
    bound, needed = model.conflict_bound_, model.required_members(X, 0.4)
    model.set_params(alpha=0.6)
    after = model.predict_selective(X, correction="holm"), model.abstains(X)
    assert_array_equal(before[0].accepted, after[0].accepted)
    assert_array_equal(before[1], after[1])
    assert model.conflict_bound_ == bound == conflict_bound(model.alpha_, 12)
    assert model.required_members(X, 0.4) == needed
    with pytest.raises(ValueError, match="abstain_label is 1, which is a class"):
        model.set_params(abstain_label=1).predict(X)


def test_splits_that_are_given_number_all_rows(rows):
    X, y = rows()
    weight = (np.arange(len(y)) % 3).astype(float)
    kept = weight > 0
    halves = [np.arange(240) < 120, np.arange(240) >= 120, np.zeros(240, bool)]
    masks = [(~half, half) for half in halves]
    model = voting(cv=masks).fit(X, y, sample_weight=weight)
    own = [(~half[kept], half[kept]) for half in halves[:2]]
    other = voting(cv=own).fit(X[kept], y[kept], sample_weight=weight[kept])
    assert model.abstention_rate_oob_ == other.abstention_rate_oob_ > 0
    with pytest.raises(ValueError, match="holds out each row exactly once"):
        voting(cv=masks[:1]).fit(X, y)
