"""The rules of AutoGluon's EnsembleSelection: stored paths, the oracle, the peer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import EnsembleSelectionClassifier, EnsembleSelectionRegressor
from ensemblekit.combine._scores_base import class_scores, value_scores
from ensemblekit.selection import autogluon

from . import oracles_autogluon as oracles
from .oracles_autogluon import LOSSES, N_LIBRARIES, N_ROUNDS


def combiner_for(loss, **parameters):
    regression = loss == "squared_error"
    kind = EnsembleSelectionRegressor if regression else EnsembleSelectionClassifier
    parameters = {"rules": "autogluon", "n_rounds": N_ROUNDS} | parameters
    return kind(loss=loss, **parameters)


def fitted(members, y, loss, **parameters):
    return combiner_for(loss, **parameters).fit(np.column_stack(members), y)


# Paths.
@pytest.mark.parametrize("loss", LOSSES)
def test_all_stored_paths_are_reproduced(loss):
    picks, paths, _ = oracles.load(loss)
    assert len(picks) == N_LIBRARIES
    for seed in range(N_LIBRARIES):
        members, y, _ = oracles.make_library(loss, seed)
        found = fitted(members, y, loss)
        n = (picks[seed] >= 0).sum()
        assert_array_equal(found.picks_, picks[seed, :n], err_msg=f"seed {seed}")
        assert_allclose(found.loss_path_, paths[seed, :n], rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_stored_paths_are_those_of_the_oracle(loss):
    picks, paths, draws = oracles.load(loss)
    for seed in range(3, N_LIBRARIES, 41):
        own, path, draw = oracles.select(*oracles.make_library(loss, seed), N_ROUNDS)
        assert_array_equal(picks[seed], own + [-1] * (N_ROUNDS - len(own)))
        assert_allclose(paths[seed, : len(own)], path, rtol=0, atol=1e-12)
        assert np.isnan(paths[seed, len(own) :]).all()
        assert draws[seed] == draw


@pytest.mark.parametrize("loss", LOSSES)
def test_ties_by_log_loss(loss):
    differ = 0
    for seed in range(0, N_LIBRARIES, 4):
        library = oracles.make_library(loss, seed)
        picks, path, _ = oracles.select(*library, N_ROUNDS, "second_metric")
        found = fitted(*library, rules="autogluon_second_metric")
        assert_array_equal(found.picks_, picks, err_msg=f"seed {seed}")
        assert_allclose(found.loss_path_, path, rtol=0, atol=1e-12)
        differ += fitted(*library).picks_.tolist() != picks
    assert (differ > 10) == (loss in ("auc", "zero_one"))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_random_stream_is_left_as_the_peer_leaves_it(loss):
    _, _, draws = oracles.load(loss)
    untouched = np.random.RandomState(0).randint(1 << 30)
    assert (draws != untouched).any()
    for seed in range(0, N_LIBRARIES, 3):
        members, y, _ = oracles.make_library(loss, seed)
        scores = scores_of(members, y, loss)
        random = autogluon.select(members, y, loss, scores, N_ROUNDS)[2]
        assert random.randint(1 << 30) == draws[seed], seed


def scores_of(members, y, loss):
    combiner, P = combiner_for(loss), np.column_stack(members)
    if loss == "squared_error":
        return value_scores(combiner, P, y, np.ones(len(y)))
    combiner.classes_ = np.unique(y)
    return class_scores(combiner, P, y.astype(np.int64), np.ones(len(y)))


@pytest.mark.parametrize("decimals", [None, 2])
def test_auc_at_many_rows(decimals):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50_000)
    logits = rng.normal(size=(50_000, 5)) + y[:, None] * rng.uniform(0.3, 1.0, 5)
    P = 1.0 / (1.0 + np.exp(-logits))
    P = P if decimals is None else P.round(decimals)
    found = fitted(list(P.T), y, "auc", n_rounds=6)
    picks, path, _ = oracles.select(list(P.T), y, "auc", 6)
    assert_array_equal(found.picks_, picks)
    assert_allclose(found.loss_path_, path, rtol=0, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_the_shares_of_the_picks(loss):
    members, y, _ = oracles.make_library(loss, 8)
    found = fitted(members, y, loss)
    counts = np.bincount(found.picks_, minlength=len(members))
    assert_allclose(found.weights_, counts / counts.sum(), rtol=1e-15)


def test_labels_may_be_strings():
    members, y, _ = oracles.make_library("zero_one", 8)
    names = np.array(["a", "b", "c", "d", "e"])
    found, named = fitted(members, y, "zero_one"), fitted(members, names[y], "zero_one")
    assert_array_equal(found.picks_, named.picks_)


# Refusals.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("init", "sorted"),
        ("replacement", False),
        ("max_members", 2),
        ("cost", np.ones(4)),
        ("min_gain", 0.1),
        ("patience", 3),
        ("time_limit", 10.0),
        ("callback", print),
        ("bagging", "rows"),
        ("shrinkage", "cv"),
        ("nested_cv", 3),
        ("warm_start", True),
    ],
)
def test_refuses_what_the_peer_does_not_know(regression_predictions, name, value):
    P, y, _ = regression_predictions(n_members=4)
    with pytest.raises(ValueError, match=f"rules='autogluon' knows no {name}"):
        combiner_for("squared_error", **{name: value}).fit(P, y)


def test_refuses_other_losses(regression_predictions, class_predictions):
    P, y, _ = regression_predictions(n_members=4)
    with pytest.raises(ValueError, match=r"got loss='huber'. Use rules='exact'"):
        EnsembleSelectionRegressor(loss="huber", rules="autogluon").fit(P, y)
    P, y, _ = class_predictions(n_members=4)
    with pytest.raises(ValueError, match=r"got loss='brier'. Use rules='exact'"):
        combiner_for("brier").fit(P, y)


def test_refuses_weights(class_predictions):
    P, y, weight = class_predictions(n_members=4)
    with pytest.raises(ValueError, match="AutoGluon's rules drop sample_weight"):
        combiner_for("log_loss").fit(P, y, sample_weight=weight)
    equal = combiner_for("log_loss").fit(P, y, sample_weight=np.full(len(y), 3.0))
    assert_array_equal(equal.picks_, combiner_for("log_loss").fit(P, y).picks_)


def test_refuses_several_targets(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    with pytest.raises(ValueError, match="one target; y has 2"):
        combiner_for("squared_error").fit(P, np.column_stack([y, y]))


def test_explain_says_why_it_cannot(regression_predictions):
    P, y, _ = regression_predictions(n_members=4)
    combiner = EnsembleSelectionRegressor().fit(P, y)
    combiner.set_params(rules="autogluon").fit(P, y)
    with pytest.raises(ValueError, match="leaves nothing to explain"):
        combiner.explain()


# The peer itself, where it is installed.
METRICS = {
    "log_loss": "log_loss",
    "auc": "roc_auc",
    "zero_one": "accuracy",
    "squared_error": "root_mean_squared_error",
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("rules", "tie_breaker"),
    [("autogluon", "random"), ("autogluon_second_metric", "second_metric")],
)
def test_against_the_peer_itself(loss, rules, tie_breaker):
    metrics = pytest.importorskip("autogluon.core.metrics")
    peer = pytest.importorskip(
        "autogluon.core.models.greedy_ensemble.ensemble_selection"
    )
    for seed in range(80):
        members, y, _ = oracles.make_library(loss, seed)
        classes = "binary" if members[0].ndim == 1 else "multiclass"
        theirs = peer.EnsembleSelection(
            ensemble_size=N_ROUNDS,
            problem_type="regression" if loss == "squared_error" else classes,
            metric=getattr(metrics, METRICS[loss]),
            tie_breaker=tie_breaker,
        )
        theirs.fit(predictions=members, labels=y)
        ours = fitted(members, y, loss, rules=rules)
        assert_array_equal(ours.picks_, theirs.indices_, err_msg=f"seed {seed}")
        assert_allclose(ours.loss_path_, theirs.trajectory_, rtol=0, atol=1e-12)
        assert_allclose(ours.weights_, theirs.weights_, rtol=0, atol=1e-15)
