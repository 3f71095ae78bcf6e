"""ConformalClassifier: equal to the functions, exact coverage, scikit-learn's tools."""

import pickle
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ensemblekit import (
    ConformalClassifier,
    InfeasibleRankWarning,
    StackedClassifier,
    conformal_rank,
    conformal_set_scores,
    conformal_sets,
)
from ensemblekit.conformal._tuning import best_k_reg, best_penalty

METHODS = ["lac", "aps", "raps", "top_k"]
FIXED = {"regularization": 0.1, "k_reg": 1}


def make_table(n=300, n_classes=3, seed=0):
    return make_classification(
        n,
        n_features=6,
        n_informative=5,
        n_redundant=0,
        n_classes=n_classes,
        flip_y=0.1,
        random_state=seed,
    )


class Given(ClassifierMixin, BaseEstimator):
    """The columns of X are the probabilities: trained elsewhere, knows no row."""

    def __init__(self, classes=(0, 1, 2, 3)):
        self.classes = classes

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.array(self.classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return self.classes_[np.argmax(X, axis=1)]


def draw(n, seed, n_classes=4):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.7), n)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return p, y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by_class", [False, True])
def test_equals_the_functions_on_a_frozen_model(method, by_class):
    p, y = draw(500, 0)
    model = ConformalClassifier(
        Given(), method=method, class_conditional=by_class, randomized=False, **FIXED
    )
    sets = model.calibrate(p[:300], y[:300]).predict_set(p[300:], [0.1, 0.4])
    kwargs = {"method": method, "regularization": 0.1, "k_reg": 1}
    own = conformal_set_scores(p[:300], y[:300], **kwargs)
    new = conformal_set_scores(p[300:], **kwargs)
    labels = y[:300] if by_class else None
    expected = conformal_sets(new, own, [0.1, 0.4], y_calibration=labels)
    assert_array_equal(sets, expected)
    frozen = clone(model).set_params(estimator=FrozenEstimator(Given()))
    again = frozen.fit(p[:300], y[:300]).predict_set(p[300:], [0.1, 0.4])
    assert_array_equal(again, expected)
    assert model.calibration_counts_.sum() == 300


def test_fit_calibrates_on_rows_that_do_not_train():
    X, y = make_table()
    tree = DecisionTreeClassifier(random_state=0)  # knows its training rows by heart
    model = ConformalClassifier(tree, alpha=0.2, random_state=0).fit(X, y)
    right = model.estimator_.predict(X) == y
    assert model.calibration_counts_.tolist() == [[75]]
    assert 225 <= right.sum() < 290
    new_X, new_y = make_table(2000, seed=0)
    sets = model.predict_set(new_X)
    assert sets[np.arange(2000), new_y].mean() > 0.7
    halved = ConformalClassifier(tree, calibration_size=150, random_state=0).fit(X, y)
    assert halved.calibration_counts_.tolist() == [[150]]


def test_split_keeps_the_proportions_of_classes_with_own_thresholds():
    X, y = make_table()
    model = ConformalClassifier(
        GaussianNB(), class_conditional=True, random_state=0
    ).fit(X, y)
    expected = np.bincount(y) / 4
    assert (np.abs(model.calibration_counts_[0] - expected) < 1).all()


@pytest.mark.parametrize("kind", ["int", "str", "object", "float", "bool"])
def test_labels_keep_their_type(kind):
    X, codes = make_table(n_classes=2)
    names = {
        "int": np.array([7, -3]),
        "str": np.array(["yes", "no"]),
        "object": np.array(["yes", "no"], object),
        "float": np.array([1.0, 2.0]),
        "bool": np.array([True, False]),
    }[kind]
    y = names[codes]
    model = ConformalClassifier(GaussianNB(), random_state=0).fit(X, y)
    plain = GaussianNB().fit(X, y)  # some versions turn objects into strings
    assert model.predict(X).dtype == plain.predict(X).dtype
    assert_array_equal(model.classes_, np.unique(y))
    plain = ConformalClassifier(GaussianNB(), random_state=0).fit(X, codes)
    order = np.argsort(names)
    assert_array_equal(model.predict_set(X), plain.predict_set(X)[:, order])


def test_default_is_a_stack():
    X, y = make_table(120)
    model = ConformalClassifier(random_state=0)
    assert isinstance(model._wrapped(), StackedClassifier)
    members = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=3))]
    stack = ConformalClassifier(StackedClassifier(members), random_state=0).fit(X, y)
    assert stack.predict_set(X).shape == (120, 3)


def test_randomised_sets_are_reproducible_and_nested():
    X, y = make_table()
    model = ConformalClassifier(GaussianNB(), method="aps", random_state=3).fit(X, y)
    sets = model.predict_set(X, [0.3, 0.05, 0.6])
    assert (sets[..., 2] <= sets[..., 0]).all()
    assert (sets[..., 0] <= sets[..., 1]).all()
    assert_array_equal(model.predict_set(X, 0.05), sets[..., 1])
    assert_array_equal(clone(model).fit(X, y).predict_set(X, 0.05), sets[..., 1])
    free = clone(model).set_params(random_state=None).fit(X, y)
    assert (free.predict_set(X, 0.3) != free.predict_set(X, 0.3)).any()


def test_sets_and_calibration_have_random_numbers_of_their_own():
    """One row calibrates: coverage is 1 / 2; of shared numbers it would be 3 / 4."""
    p, covered = np.full((1, 2), 0.5), 0
    rng = np.random.default_rng(0)
    for seed in range(400):
        own, new = rng.integers(0, 2, 2)
        model = ConformalClassifier(Given((0, 1)), method="aps", random_state=seed)
        covered += model.calibrate(p, [own]).predict_set(p, 0.5)[0, new]
    low, high = stats.binom.interval(1 - 1e-6, 400, 0.5)
    assert low <= covered <= high


def test_empty_sets_get_the_most_probable_class_if_asked():
    p, y = draw(400, 1)
    model = ConformalClassifier(Given(), alpha=0.7).calibrate(p[:200], y[:200])
    sets = model.predict_set(p[200:])
    empty = ~sets.any(axis=1)
    assert empty.sum() > 20
    filled = clone(model).set_params(allow_empty=False).calibrate(p[:200], y[:200])
    expected = sets.copy()
    expected[empty, p[200:][empty].argmax(axis=1)] = True
    assert_array_equal(filled.predict_set(p[200:]), expected)


def test_groups_equal_a_split_for_each_group():
    p, y = draw(900, 2)
    groups = np.array(["a", "b", "c"])[np.arange(900) % 3]
    model = ConformalClassifier(Given(), alpha=0.2)
    model.calibrate(p[:600], y[:600], groups=groups[:600])
    assert model.groups_.tolist() == ["a", "b", "c"]
    sets = model.predict_set(p[600:], groups=groups[600:])
    for group in "abc":
        own, new = groups[:600] == group, groups[600:] == group
        alone = clone(model).calibrate(p[:600][own], y[:600][own])
        assert_array_equal(sets[new], alone.predict_set(p[600:][new]))


def test_groups_and_classes_have_a_threshold_for_each_pair():
    p, y = draw(1200, 2, n_classes=2)
    groups = np.arange(1200) % 3
    model = ConformalClassifier(
        Given((0, 1)), class_conditional=True, random_state=0
    ).calibrate(p[:800], y[:800], groups=groups[:800])
    assert model.calibration_counts_.shape == (3, 2)
    sets = model.predict_set(p[800:], groups=groups[800:])
    own, new = groups[:800] == 1, groups[800:] == 1
    alone = clone(model).calibrate(p[:800][own], y[:800][own])
    assert_array_equal(sets[new], alone.predict_set(p[800:][new]))


def test_unseen_groups_get_all_classes():
    p, y = draw(100, 0)
    model = ConformalClassifier(Given()).calibrate(p, y, groups=np.arange(100) % 2)
    with pytest.warns(InfeasibleRankWarning, match="0 calibration rows"):
        sets = model.predict_set(p[:3], groups=[0, 9, 1])
    assert sets[1].all()
    assert not sets[[0, 2]].all()
    with pytest.raises(ValueError, match="Calibration was with groups"):
        model.predict_set(p)
    with pytest.raises(ValueError, match=r"groups has shape \(2,\)"):
        model.predict_set(p, groups=[0, 1])
    with pytest.raises(ValueError, match="Calibration was without groups"):
        model.calibrate(p, y).predict_set(p, groups=np.zeros(100))


def test_classes_without_calibration_rows_are_always_in():
    p, y = draw(200, 0)
    model = ConformalClassifier(Given(), class_conditional=True)
    model.calibrate(p[y != 2], y[y != 2])
    with pytest.warns(InfeasibleRankWarning, match="0 calibration rows of a class"):
        sets = model.predict_set(p)
    assert sets[:, 2].all()
    assert not sets[:, [0, 1, 3]].all(axis=0).any()


def test_a_class_that_does_not_train_has_probability_zero():
    X, y = make_table(60)
    y[y == 2] = 1
    y[5] = 2
    for seed in range(20):
        model = ConformalClassifier(GaussianNB(), random_state=seed).fit(X, y)
        assert model.predict_proba(X).shape == (60, 3)
        assert model.predict_set(X).shape == (60, 3)
        if len(model.estimator_.classes_) == 2:
            assert_array_equal(model.predict_proba(X)[:, 2], 0.0)
            return
    raise AssertionError("the rare class trained in all of 20 splits")


@pytest.mark.parametrize("by_class", [False, True])
def test_coverage_of_a_fit_is_exact(by_class):
    """One new row for each fit, which splits; scores are continuous: binomial."""
    n_draws, covered = 600, 0
    for seed in range(n_draws):
        p, y = draw(77, seed, n_classes=2)
        model = ConformalClassifier(
            Given((0, 1)),
            method="aps",
            alpha=0.25,
            calibration_size=19,
            class_conditional=by_class,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InfeasibleRankWarning)
            model.fit(p[:-1], y[:-1])
            covered += model.predict_set(p[-1:])[0, y[-1]]
    low, high = stats.binom.interval(1 - 1e-6, n_draws, conformal_rank(19, 0.25) / 20)
    assert low <= covered
    if not by_class:  # whole ranks of fewer rows cover more
        assert covered <= high


def test_raps_tunes_on_rows_that_do_not_calibrate():
    X, y = make_table(400, 5)
    model = ConformalClassifier(GaussianNB(), method="raps", random_state=0).fit(X, y)
    assert model.regularization_ in (0.001, 0.01, 0.1, 0.2, 0.5)
    assert 1 <= model.k_reg_ <= 5
    assert model.calibration_counts_.sum() == 100
    before = model.k_reg_, model.regularization_
    assert before == (clone(model).fit(X, y).k_reg_, model.regularization_)
    given = clone(model).set_params(regularization=0.3, k_reg=2).fit(X, y)
    assert (given.k_reg_, given.regularization_) == (2, 0.3)
    half = clone(model).set_params(regularization=0.3).fit(X, y)
    assert half.regularization_ == 0.3
    p, labels = draw(500, 0)
    prefit = ConformalClassifier(Given(), method="raps", random_state=0)
    prefit.calibrate(p, labels)
    assert prefit.calibration_counts_.sum() == 400
    # Calibrating again keeps what was tuned, and all rows calibrate.
    tuned = prefit.regularization_
    prefit.calibrate(p[:100], labels[:100])
    assert prefit.regularization_ == tuned
    assert prefit.calibration_counts_.sum() == 100


def test_tuning_equals_its_rule():
    p, y = draw(99, 4, n_classes=6)
    ranks = [1 + sum(row > row[c]) for row, c in zip(p, y, strict=True)]
    k_reg = sorted(ranks)[conformal_rank(99, 0.1) - 1]
    assert best_k_reg(p, y, Fraction(1, 10)) == k_reg
    sizes = []
    grid = [0.001, 0.01, 0.1, 0.2, 0.5]
    for penalty in grid:
        kwargs = {"method": "raps", "regularization": penalty, "k_reg": k_reg}
        scores = conformal_set_scores(p, **kwargs)
        own = conformal_set_scores(p, y, **kwargs)
        sizes.append(conformal_sets(scores, own, 0.1).sum())
    assert best_penalty(p, y, Fraction(1, 10), k_reg) == grid[np.argmin(sizes)]
    assert best_k_reg(p[:3], y[:3], Fraction(1, 10)) == 6


def test_weights_and_other_metadata_reach_the_training_rows():
    X, y = make_table()
    weight = np.random.default_rng(0).integers(1, 4, 300).astype(float)

    class Recorder(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            self.weight_, self.rows_ = sample_weight, X
            return super().fit(X, y, sample_weight)

    model = ConformalClassifier(Recorder(), random_state=0)
    inner = model.fit(X, y, sample_weight=weight).estimator_
    table = {row.tobytes(): w for row, w in zip(X, weight, strict=True)}
    assert len(inner.weight_) == 225
    assert inner.weight_.tolist() == [table[row.tobytes()] for row in inner.rows_]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    ConformalClassifier(pipeline).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        ConformalClassifier(KNeighborsClassifier()).fit(X, y, sample_weight=weight)


def test_metadata_routing():
    X, y = make_table()
    weight = np.linspace(0.5, 1.5, 300)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = GaussianNB().set_fit_request(sample_weight=True)
        model = ConformalClassifier(inner, random_state=0)
        model.set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        routed = make_pipeline(scaler, model).fit(X, y, sample_weight=weight)
        sets = routed[-1].predict_set(StandardScaler().fit_transform(X))
    plain = ConformalClassifier(GaussianNB(), random_state=0)
    plain.fit(StandardScaler().fit_transform(X), y, sample_weight=weight)
    assert_array_equal(sets, plain.predict_set(StandardScaler().fit_transform(X)))


def test_pipeline_grid_and_pickle():
    X, y = make_table()
    pipeline = make_pipeline(StandardScaler(), ConformalClassifier(GaussianNB()))
    grid = {
        "conformalclassifier__method": METHODS,
        "conformalclassifier__estimator__var_smoothing": [1e-9, 1e-3],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.6
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=2)).all()
    model = ConformalClassifier(GaussianNB(), method="aps", random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_set(X), model.predict_set(X))


def test_frames_and_groups_in_fit():
    X, y = make_table()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = ConformalClassifier(GaussianNB(), random_state=0)
    groups = pd.Series(np.where(X[:, 0] > 0, "up", "down"))
    sets = model.fit(frame, y, groups=groups).predict_set(frame, groups=groups)
    assert model.feature_names_in_.tolist() == list("abcdef")
    assert model.calibration_counts_.shape == (2, 1)
    array = clone(model).fit(X, y, groups=groups).predict_set(X, groups=groups)
    assert_array_equal(sets, array)


def test_refusals():
    X, y = make_table(60)
    p, labels = draw(60, 0)
    with pytest.raises(ValueError, match=r"alpha is 1\.5; expected"):
        ConformalClassifier(GaussianNB(), alpha=1.5).fit(X, y)
    with pytest.raises(ValueError, match="leaves 0 rows to train on"):
        ConformalClassifier(GaussianNB(), calibration_size=60).fit(X, y)
    with pytest.raises(ValueError, match=r"labels \[9\] that the classifier does not"):
        ConformalClassifier(Given()).calibrate(p, np.full(60, 9))
    with pytest.raises(NotFittedError):
        ConformalClassifier(GaussianNB()).calibrate(X, y)
    with pytest.raises(NotFittedError):
        ConformalClassifier(GaussianNB()).predict_set(X)
    with pytest.raises(ValueError, match="hold NaN or values outside"):
        ConformalClassifier(Given()).calibrate(np.full((60, 4), np.nan), labels)
    with pytest.raises(ValueError, match=r"shape \(60, 3\)"):
        ConformalClassifier(Given()).calibrate(p[:, :3], labels)
    with pytest.raises(ValueError, match="requires y to be passed"):
        ConformalClassifier(Given()).calibrate(p, None)


def test_parameters_set_after_calibration_wait_for_the_next():
    p, y = draw(400, 0)
    model = ConformalClassifier(Given(), method="aps", random_state=0)
    sets = model.calibrate(p, y).predict_set(p)
    model.set_params(method="lac", randomized=False, class_conditional=True)
    assert_array_equal(model.predict_set(p), sets)
    plain = ConformalClassifier(Given(), class_conditional=True).calibrate(p, y)
    assert_array_equal(model.calibrate(p, y).predict_set(p), plain.predict_set(p))
    with pytest.raises(ValueError, match="has not been tuned in fit"):
        model.set_params(method="raps").calibrate(p, y)
    assert model.set_params(**FIXED).calibrate(p, y).regularization_ == 0.1


def test_given_splits_and_rows_of_no_weight():
    X, y = make_table(200)
    rows, weight = np.arange(200), np.ones(200)
    model = ConformalClassifier(GaussianNB(), cv=[(rows[:150], rows[150:])])
    model.fit(X, y)
    prefit = ConformalClassifier(GaussianNB().fit(X[:150], y[:150]))
    expected = prefit.calibrate(X[150:], y[150:]).predict_set(X)
    assert_array_equal(model.predict_set(X), expected)
    weight[[3, 170]] = 0.0
    assert clone(model).fit(X, y, weight).calibration_counts_.sum() == 49
    frozen = ConformalClassifier(FrozenEstimator(GaussianNB().fit(X, y)))
    assert frozen.fit(X, y, weight).calibration_counts_.sum() == 198
    with pytest.raises(ValueError, match="calibrates on rows that it trains on"):
        clone(model).set_params(cv=[(rows, rows[:50])]).fit(X, y)
    with pytest.raises(ValueError, match="No row is left to calibrate"):
        clone(model).fit(X, y, sample_weight=rows < 150)


MEMBERS = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_stored_equals_the_combiner_without_each_fold(n_classes):
    X, codes = make_table(240, n_classes)
    y = np.array(["b", "a", "c"])[codes]
    weight = np.random.default_rng(0).integers(0, 3, 240) * 1.0
    for kwargs in ({}, {"sample_weight": weight}):
        stack = StackedClassifier(MEMBERS, random_state=0)
        model = ConformalClassifier(stack, cv="stored").fit(X, y, **kwargs)
        fitted = clone(stack).fit(X, y, **kwargs)
        assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))
        labels, library = np.searchsorted(fitted.classes_, y), fitted.library_
        held_out = np.empty((240, n_classes))
        for fold in range(5):
            test = library.folds == fold
            own = {"sample_weight": weight[~test]} if kwargs else {}
            combiner = clone(fitted.combiner_).fit(
                library.P[~test], labels[~test], **own
            )
            held_out[test] = combiner.predict_proba(library.P[test])
        kept = weight > 0 if kwargs else np.ones(240, bool)
        own = conformal_set_scores(held_out[kept], labels[kept])
        new = conformal_set_scores(fitted.predict_proba(X))
        assert_array_equal(model.predict_set(X), conformal_sets(new, own, 0.1))


def test_stored_fits_no_member_again():
    fits = []

    class Counting(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            fits.append(len(y))
            return super().fit(X, y, sample_weight)

    X, y = make_table(200)
    stack = StackedClassifier([("a", Counting()), ("b", Counting(var_smoothing=0.1))])
    clone(stack).fit(X, y)
    alone = len(fits)
    fits.clear()
    ConformalClassifier(stack, cv="stored", method="raps").fit(X, y)
    assert len(fits) == alone


def test_stored_coverage_is_near_the_nominal():
    """Not exact: fold models saw fewer rows. Wide bounds: 0.05 on either side."""
    n_draws, covered = 150, 0
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 101)
        X = y[:, None] + 1.5 * rng.normal(size=(101, 2))
        stack = StackedClassifier(MEMBERS[:1], cv=4)
        model = ConformalClassifier(stack, cv="stored", method="aps", random_state=0)
        model.fit(X[:-1], y[:-1])
        covered += model.predict_set(X[-1:], 0.2)[0, y[-1]]
    low, high = stats.binom.ppf([5e-5, 1 - 5e-5], n_draws, [0.75, 0.85])
    assert low <= covered <= high


def test_stored_refusals():
    X, y = make_table(100)
    with pytest.raises(ValueError, match="of a StackedClassifier; estimator is Gauss"):
        ConformalClassifier(GaussianNB(), cv="stored").fit(X, y)
    stack = StackedClassifier(MEMBERS, LogisticRegression(max_iter=500))
    stack.set_params(passthrough=True)
    with pytest.raises(ValueError, match="passthrough=False"):
        ConformalClassifier(stack, cv="stored").fit(X, y)
    with pytest.raises(ValueError, match="'cv' parameter of ConformalClassifier"):
        ConformalClassifier(stack, cv="kept").fit(X, y)


def test_a_seed_reaches_the_classifier():
    X, y = make_table(200)
    tree = DecisionTreeClassifier(splitter="random")
    model = ConformalClassifier(tree, method="aps", random_state=1)
    sets = model.fit(X, y).predict_set(X)
    assert_array_equal(clone(model).fit(X, y).predict_set(X), sets)


def test_one_class():
    X = np.arange(20.0)[:, None]
    model = ConformalClassifier(GaussianNB(), alpha=0.2).fit(X, np.ones(20))
    assert model.predict_set(X).all()


def mapie_sets(score, X, y, new, alphas, **options):
    classification = pytest.importorskip("mapie.classification", reason="no MAPIE")
    model = classification.SplitConformalClassifier(
        Given().fit(X, y),
        confidence_level=[1 - a for a in alphas],
        conformity_score=score,
        prefit=True,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.conformalize(X, y)
        return model.predict_set(new, conformity_score_params=options)[1]


def test_agrees_with_mapie_on_lac():
    p, y = draw(1500, 5)
    alphas = [0.05, 0.1, 0.3]
    theirs = mapie_sets("lac", p[:700], y[:700], p[700:], alphas)
    model = ConformalClassifier(Given()).calibrate(p[:700], y[:700])
    assert_array_equal(model.predict_set(p[700:], alphas), theirs)


def test_agrees_with_mapie_on_aps():
    """The same random numbers for both: those of RandomState(0)."""
    p, y = draw(1500, 6)
    alphas = [0.05, 0.1, 0.3]
    theirs = mapie_sets(
        "aps", p[:700], y[:700], p[700:], alphas, include_last_label="randomized"
    )
    u = np.random.RandomState(0).uniform
    own_u = u(size=700)
    own = conformal_set_scores(p[:700], y[:700], method="aps", uniforms=1 - own_u)
    new_u = np.random.RandomState(0).uniform(size=800)
    new = conformal_set_scores(p[700:], method="aps", uniforms=1 - new_u)
    assert_array_equal(conformal_sets(new, own, alphas), theirs)
