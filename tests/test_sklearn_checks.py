"""scikit-learn's own checks: zero failures, zero expected failures."""

import lightgbm
import pytest
import xgboost
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
)
from sklearn.linear_model import LogisticRegression, QuantileRegressor, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
)
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from ensemblekit import (
    AdaptiveConformalRegressor,
    CascadeClassifier,
    CascadeRegressor,
    ConformalClassifier,
    ConformalPredictiveRegressor,
    ConformalRegressor,
    ConformalSelector,
    CrossFit,
    DecisionOffsetClassifier,
    EnbPIRegressor,
    ForestQuantileRegressor,
    MultiOutputConformalRegressor,
    PartitionVotingClassifier,
    PerLevelQuantileRegressor,
    ResidualQuantileRegressor,
    SelectiveClassifier,
    SelectiveVotingClassifier,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
    combine,
)

from .checks import make_combiner, on_legal_matrix

# One check of older scikit-learn draws fewer rows of a class than there are folds.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The least populated class in y:UserWarning"
)


class NoPreference:
    """Scores all labels alike, so that decision offsets stay 0.

    One of scikit-learn's checks wants the label to be the most probable class, and
    offsets exist for others; tests/combine/test_decision.py has that check alone fail.
    """

    def __call__(self, estimator, X, y, sample_weight=None):
        return 0.0

    def __repr__(self):  # in the names of tests, the same in every process
        return "NoPreference()"


COMBINERS = [make_combiner(name) for name in combine.__all__]
for combiner in COMBINERS:
    if isinstance(combiner, DecisionOffsetClassifier):
        combiner.set_params(metric=NoPreference())
REGRESSORS = [c for c in COMBINERS if is_regressor(c)]
CLASSIFIERS = [c for c in COMBINERS if is_classifier(c)]
REFUSALS = ("Probabilities are needed", "are no probabilities", "not a multiple")
LEGAL = [on_legal_matrix(type(c))(**c.get_params(deep=False)) for c in CLASSIFIERS]

TREE_C = ("tree", DecisionTreeClassifier(random_state=0))
TREE_R = ("tree", DecisionTreeRegressor(random_state=0))
LOGISTIC = ("logistic", LogisticRegression())
RIDGE = ("ridge", Ridge())
LIGHTGBM = {"n_estimators": 5, "min_child_samples": 1, "n_jobs": 1, "verbose": -1}
# XGBoost's own estimate of the starting score leaves sample weights out.
XGBOOST = {"n_estimators": 5, "n_jobs": 1, "base_score": 0.5}


@parametrize_with_checks(REGRESSORS)
def test_bare_regressors(estimator, check):
    check(estimator)


@parametrize_with_checks(LEGAL)
def test_bare_classifiers_on_legal_matrices(estimator, check):
    check(estimator)


@pytest.mark.parametrize("combiner", CLASSIFIERS, ids=str)
def test_bare_classifiers_fail_only_on_illegal_matrices(combiner):
    """Combiners of probabilities refuse the arbitrary numbers of these checks.

    The checks that fail do so with that refusal, and pass on a legal matrix.
    """
    bare = check_estimator(combiner, on_skip=None, on_fail=None)
    legal = check_estimator(
        LEGAL[CLASSIFIERS.index(combiner)], on_skip=None, on_fail=None
    )
    passed = {row["check_name"] for row in legal if row["status"] == "passed"}
    for row in bare:
        if row["status"] == "failed":
            assert row["check_name"] in passed
            assert _is_refusal(row["exception"]), row


def _is_refusal(error):
    while error is not None:
        if any(refusal in str(error) for refusal in REFUSALS):
            return True
        error = error.__cause__ or error.__context__
    return False


@parametrize_with_checks([StackingRegressor([RIDGE, TREE_R], c) for c in REGRESSORS])
def test_as_final_estimator_of_stacking_regressor(estimator, check):
    check(estimator)


# scikit-learn casts the infinite labels of one check before it refuses them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [StackingClassifier([LOGISTIC, TREE_C], c) for c in CLASSIFIERS]
)
def test_as_final_estimator_of_stacking_classifier(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        StackedRegressor([RIDGE, TREE_R]),
        StackedRegressor([TREE_R, ("lgbm", lightgbm.LGBMRegressor(**LIGHTGBM))]),
        StackedRegressor([TREE_R, ("xgb", xgboost.XGBRegressor(**XGBOOST))]),
        StackedRegressor([RIDGE, TREE_R], Ridge(), refit="none"),
        StackedRegressor([RIDGE, TREE_R], TREE_R[1], passthrough=True, refit="all"),
        StackedClassifier([LOGISTIC, TREE_C]),
        StackedClassifier([TREE_C, ("lgbm", lightgbm.LGBMClassifier(**LIGHTGBM))]),
        StackedClassifier([TREE_C, ("xgb", xgboost.XGBClassifier(**XGBOOST))]),
        StackedClassifier([LOGISTIC, TREE_C], LogisticRegression(), refit="none"),
        StackedClassifier([LOGISTIC, TREE_C], LogisticRegression(), refit="all"),
        CrossFit([TREE_R]),
        CrossFit([TREE_C], refit="none"),
        CrossFit([TREE_C], refit="all"),
    ]
)
def test_stacked_and_cross_fit(estimator, check):
    check(estimator)


# Boosting libraries are not among these: to LightGBM and XGBoost a weight of two at a
# quantile is not the same as two rows.
TREES = ForestQuantileRegressor(ExtraTreesRegressor(5, random_state=0))
WHOLE = RandomForestRegressor(5, bootstrap=False, random_state=0)
LINEAR = PerLevelQuantileRegressor(QuantileRegressor(alpha=0.01), [0.2, 0.8])
BOOSTING = GradientBoostingRegressor(n_estimators=50, random_state=0)


@parametrize_with_checks(
    [
        TREES,
        ForestQuantileRegressor(WHOLE),
        LINEAR,
        PerLevelQuantileRegressor(BOOSTING, [0.5]),
        ResidualQuantileRegressor(Ridge()),
        ResidualQuantileRegressor(Ridge(), scale=TREE_R[1]),
        StackedQuantileRegressor([("trees", TREES), ("whole", TREES)]),
        StackedQuantileRegressor(
            [("linear", LINEAR)], quantile_levels=[0.2, 0.8], refit="none"
        ),
    ]
)
def test_quantiles(estimator, check):
    check(estimator)


# Trees of all features differ by their seeds where splits tie; some data have no ties.
@pytest.mark.filterwarnings("ignore:.*learns the same with every seed:UserWarning")
@parametrize_with_checks(
    [
        SelectiveVotingClassifier(ExtraTreeClassifier()),
        SelectiveVotingClassifier(LogisticRegression(), n_estimators=6),
        SelectiveVotingClassifier(estimators=[(str(i), TREE_C[1]) for i in range(6)]),
    ]
)
def test_selective_voting(estimator, check):
    check(estimator)


@pytest.mark.parametrize("randomness", ["loo", "bootstrap"])
def test_selective_voting_on_drawn_rows(randomness):
    """Other rows are drawn of copies than of weights; all else holds."""
    voting = SelectiveVotingClassifier(GaussianNB(), randomness=randomness)
    results = check_estimator(voting, on_skip=None, on_fail=None)
    failed = {row["check_name"] for row in results if row["status"] == "failed"}
    assert len(results) > 40
    assert failed <= {"check_sample_weight_equivalence_on_dense_data"}


@parametrize_with_checks(
    [
        ConformalRegressor(Ridge()),
        ConformalRegressor(Ridge(), normalizer=TREE_R[1]),
        ConformalRegressor(StackedRegressor([RIDGE, TREE_R], Ridge())),
        ConformalRegressor(TREES, normalizer="spread"),
        ConformalRegressor(Ridge(), method="cv+"),
        ConformalRegressor(Ridge(), method="jackknife+ab"),
        ConformalRegressor(TREES, method="cqr"),
        ConformalRegressor(LINEAR, method="cqr-asymmetric"),
        ConformalRegressor(TREES, method="cqr-m"),
        ConformalRegressor(TREES, method="cqr-r"),
    ]
)
def test_conformal_regressors(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        ConformalPredictiveRegressor(Ridge(), random_state=0),
        ConformalPredictiveRegressor(
            # A deep tree learns sizes by heart: the skill is then 0.3 to 0.5 by draw.
            Ridge(),
            normalizer=DecisionTreeRegressor(max_depth=2, random_state=0),
            random_state=0,
        ),
        AdaptiveConformalRegressor(Ridge()),
        AdaptiveConformalRegressor(Ridge(), gamma="auto", window=20, refit=True),
        EnbPIRegressor(Ridge(), random_state=0),
        EnbPIRegressor(TREE_R[1], n_resamples=40, narrowest=True, random_state=0),
    ]
)
def test_predictive_systems_and_series(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        ConformalClassifier(LogisticRegression()),
        ConformalClassifier(LogisticRegression(), method="raps", random_state=0),
        ConformalClassifier(TREE_C[1], method="aps", class_conditional=True),
        # Of ten rows a quarter may leave a class no two rows for the stack's folds.
        ConformalClassifier(
            StackedClassifier([LOGISTIC, TREE_C], cv=2), calibration_size=0.1
        ),
        ConformalClassifier(StackedClassifier([LOGISTIC, TREE_C]), cv="stored"),
        MultiOutputConformalRegressor(Ridge()),
        MultiOutputConformalRegressor(Ridge(), region="bonferroni"),
        MultiOutputConformalRegressor(Ridge(), region="ellipsoid"),
        MultiOutputConformalRegressor(WHOLE, region="distributional"),
    ]
)
def test_conformal_sets_and_regions(estimator, check):
    check(estimator)


# Between 0 and 1, the labels of most checks; in the others all rows are above.
@pytest.mark.filterwarnings("ignore:All .* training rows of the classifier:UserWarning")
@parametrize_with_checks(
    [
        ConformalSelector(Ridge()),
        ConformalSelector(LogisticRegression(), threshold=0.5, random_state=0),
        ConformalSelector(estimators=[RIDGE, TREE_R], pruning="heterogeneous"),
    ]
)
def test_conformal_selection(estimator, check):
    check(estimator)


# Fifteen rows, and some of these checks have fewer to calibrate on.
@pytest.mark.filterwarnings("ignore:No threshold keeps the risk:UserWarning")
@pytest.mark.filterwarnings("ignore:No calibration row has a conf:UserWarning")
@pytest.mark.filterwarnings("ignore:Labels .* in none of the training:UserWarning")
@parametrize_with_checks(
    [
        SelectiveClassifier(LogisticRegression(), random_state=0),
        SelectiveClassifier(
            TREE_C[1], method="threshold", confidence="margin", random_state=0
        ),
        SelectiveClassifier(LogisticRegression(), method="chow", random_state=0),
        SelectiveClassifier(
            LogisticRegression(), method="sgr", confidence="entropy", random_state=0
        ),
        SelectiveClassifier(
            StackedClassifier([LOGISTIC, TREE_C], cv=2, guard=None),
            method="ltt",
            random_state=0,
        ),
    ]
)
def test_selective_classifier(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        PartitionVotingClassifier(),
        PartitionVotingClassifier(LOGISTIC[1], n_partitions=5, random_state=0),
        PartitionVotingClassifier(
            TREE_C[1], n_partitions=3, spread=2, voting="plurality", random_state=0
        ),
    ]
)
def test_partition_votes(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        CascadeClassifier([LOGISTIC, TREE_C]),
        CascadeClassifier([LOGISTIC, TREE_C], tolerance=0.1, coverage=0.8),
        CascadeClassifier([LOGISTIC, TREE_C], calibrate=True, window=0.5),
        CascadeRegressor([RIDGE, TREE_R]),
        CascadeRegressor([RIDGE, TREE_R], calibrate=True, max_cost=1.5),
        CascadeRegressor([RIDGE, TREE_R], window=0.5, gate=Ridge()),
    ]
)
def test_cascades(estimator, check):
    check(estimator)
