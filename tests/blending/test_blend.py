"""Nested scores, differences, errors and the verdict of a blend."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

from ensemblekit import EnsembleReport, PredictionLibrary, cross_fitted_predictions
from ensemblekit.blending import blend
from ensemblekit.blending._nested import standard_error
from ensemblekit.blending._verdict import write_verdict
from ensemblekit.leaderboard import score_folds

from .libraries import NAMES, classification, regression

FEW = ["convex, ridge", "greedy", "linear stack"]


def folds_of(library, n_folds=4):
    return np.arange(library.n_samples) % n_folds


@pytest.mark.parametrize("make", [regression, classification])
def test_nested_predictions_are_cross_fitted_ones(make):
    library = make()
    library.folds = folds_of(library)
    result = blend(library, methods=FEW)
    for name in [*FEW, "mean", "best member"]:
        again = cross_fitted_predictions(result.models[name], library)
        assert_array_equal(result.predict_oof(name), again)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_and_errors_against_the_definition(weighted):
    library = regression()
    library.folds = folds_of(library)
    if weighted:
        weight = np.random.default_rng(1).integers(0, 3, library.n_samples)
        library.sample_weight = weight.astype(float)
    result = blend(library, metric="mse", methods=FEW)
    mean = result.predict_oof("mean")
    w = np.ones(library.n_samples) if not weighted else library.sample_weight

    def mse(prediction, rows):
        return np.average((library.y - prediction)[rows] ** 2, weights=w[rows])

    without = [library.folds != k for k in range(4)]
    for row in result.rows:
        own = result.predict_oof(row["name"])
        every = np.ones(library.n_samples, bool)
        assert row["score"] == pytest.approx(mse(own, every))
        scores = np.array([mse(own, rows) for rows in without])
        assert row["score_se"] == pytest.approx(standard_error(scores))
        base = np.array([mse(mean, rows) for rows in without])
        gain = mse(mean, every) - mse(own, every)
        assert row["gain_over_mean"] == pytest.approx(gain, abs=1e-15)
        assert_allclose(
            row["gain_over_mean_se"], standard_error(base - scores), atol=1e-15
        )
        naive = mse(result.predict(library.P, row["name"]), every)
        assert row["naive"] == pytest.approx(naive)
        assert row["optimism"] == pytest.approx(row["score"] - naive, abs=1e-14)


def test_error_of_a_mean_is_that_of_its_folds():
    library = regression()
    library.folds = folds_of(library)
    result = blend(library, metric="mse", methods=["convex"])
    scores = score_folds(
        "squared_error", library.y, result.predict_oof("mean"), library.folds
    )
    row = next(row for row in result.rows if row["name"] == "mean")
    assert row["score_se"] == pytest.approx(scores["loss_se"])


def test_folds_of_the_library_are_used_and_drawn_otherwise():
    library = regression()
    drawn = blend(library, methods=["convex"], random_state=3)
    assert drawn.fold_source == "drawn"
    assert np.bincount(drawn.folds).tolist() == [24] * 5
    given = blend(library, methods=["convex"], folds=folds_of(library))
    assert given.fold_source == "given"
    library.folds = folds_of(library)
    own = blend(library, methods=["convex"])
    assert own.fold_source == "library"
    assert own.rows == given.rows
    assert drawn.rows != own.rows


def test_drawn_folds_are_stratified():
    result = blend(classification(3), methods=["convex"])
    codes = np.searchsorted(result.classes, result.library.y)
    counts = [np.bincount(codes[result.folds == k], minlength=3) for k in range(5)]
    assert np.ptp(counts, axis=0).max() <= 1


def test_choice_is_made_by_the_other_folds():
    library = regression(60)
    library.folds = folds_of(library)
    result = blend(library, metric="mse", methods=FEW)
    names = ["greedy", "convex, ridge", "linear stack"]
    chosen = np.empty(60)
    for k in range(4):
        others = library.folds != k
        losses = [
            np.mean((library.y - result.predict_oof(name))[others] ** 2)
            for name in names
        ]
        best = names[int(np.argmin(losses))]
        chosen[~others] = result.predict_oof(best)[~others]
    expected = np.mean((library.y - chosen) ** 2)
    assert result.choice["score"] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "f1_macro", "log_loss"])
def test_rows_are_sorted_and_the_best_is_first(metric):
    result = blend(classification(), metric=metric, methods=[*FEW, "median"])
    scores = [row["score"] for row in result.rows]
    assert scores == sorted(scores, reverse=result.greater_is_better)
    assert result.best == result.rows[0]["name"]
    members = [row["score"] for row in result.members]
    assert members == sorted(members, reverse=result.greater_is_better)
    assert {row["name"] for row in result.members} == set(NAMES)


def test_nothing_beats_the_mean_of_equal_members():
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    P = y[:, None] + rng.normal(size=(400, 4))
    result = blend(PredictionLibrary(P, y, NAMES), methods=["greedy", "convex"])
    assert "beats the mean" not in result.verdict
    assert not result.beats_mean
    assert result.written.startswith(f"{result.best} (nested rmse 0.")
    told = ". The mean, which nothing is shown to beat, is written by --method mean (in"
    assert (told in result.written) == (result.best != "mean")
    assert told in result.choose("convex").written
    assert told not in result.choose("mean").written


def test_nothing_beats_a_perfect_member():
    y = np.random.default_rng(0).normal(size=100)
    P = np.column_stack([y, y + 1.0, -y, y * 0.0])
    result = blend(PredictionLibrary(P, y, NAMES), methods=["greedy", "convex"])
    assert "is shown to beat the best single member (anna)." in result.verdict
    best = next(row for row in result.rows if row["name"] == "best member")
    assert best["score"] == 0.0


def test_a_combination_that_helps_is_said_to():
    result = blend(regression(600), methods=["convex"])
    assert result.verdict.startswith("convex beats the mean by 0.")
    assert "and the best single member (anna) by 0." in result.verdict
    assert "standard errors" in result.verdict


def verdict_of(over_mean, over_best, n_methods=1, n_folds=5):
    """The verdict; gains over the mean and over the best member, with their errors."""
    row = {
        "name": "convex",
        "gain_over_mean": over_mean[0],
        "gain_over_mean_se": over_mean[1],
        "gain_over_best": over_best[0],
        "gain_over_best_se": over_best[1],
    }
    choice = row if n_methods > 1 else dict.fromkeys(row, 9.0)
    return write_verdict(
        SimpleNamespace(
            # What is chosen among many is judged by the choice.
            rows=[row if n_methods == 1 else {"name": "convex"}],
            best="convex",
            members=[{"name": "anna"}],
            choice={**choice, "n_methods": n_methods, "n_folds": n_folds},
        )
    )


MEMBER = "the best single member (anna)"


@pytest.mark.parametrize(
    ("over_mean", "over_best", "said"),
    [
        (
            *((0.3, 0.1), (2.0, 0.5)),
            "{} beats the mean by 0.30 +- 0.10 (3.0 standard errors), and "
            f"{MEMBER} by 2.00 +- 0.50 (4.0 standard errors).",
        ),
        (
            *((0.2, 0.1), (2.0, 0.5)),
            "{} looks better than the mean by 0.20 +- 0.10 (2.0 standard errors), "
            f"which is within what chance gives. It beats {MEMBER} by 2.00 +- 0.50 "
            "(4.0 standard errors).",
        ),
        (
            *((0.2, 0.1), (0.2, 0.1)),
            "{} looks better than the mean by 0.20 +- 0.10 (2.0 standard errors), and "
            f"{MEMBER} by 0.20 +- 0.10 (2.0 standard errors), which is within what "
            "chance gives.",
        ),
        (
            *((-0.2, 0.1), (0.3, 0.1)),
            f"Nothing is shown to beat the mean. {{}} beats {MEMBER} by 0.30 +- 0.10 "
            "(3.0 standard errors).",
        ),
        (
            *((0.3, 0.0), (0.0, 0.0)),
            f"{{}} beats the mean by 0.3. Nothing is shown to beat {MEMBER}.",
        ),
        (
            *((None, None), (-1.0, 0.2)),
            f"Nothing is shown to beat the mean, or {MEMBER}.",
        ),
    ],
)
def test_only_what_chance_does_not_give_is_said_to_beat(over_mean, over_best, said):
    assert verdict_of(over_mean, over_best) == said.format("convex")
    among = "Choosing among the 9 methods"
    assert verdict_of(over_mean, over_best, 9) == said.format(among)


@pytest.mark.parametrize(("n_folds", "bar"), [(2, 6.3138), (5, 2.1318), (30, 1.6991)])
def test_the_bar_is_the_quantile_of_t(n_folds, bar):
    for gain, word in ((bar - 1e-3, "looks better than"), (bar + 1e-3, "beats")):
        assert f"convex {word} the mean by" in verdict_of(
            (gain, 1.0), (-1.0, 1.0), n_folds=n_folds
        )


def test_few_of_many_false_claims_are_made():
    """The mean is best, so that a claim to beat it is false: at most 5 % of them."""
    said = seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        P = 1 / (1 + np.exp(-1.5 * rng.normal(size=(200, 4))))
        y = (rng.random(200) < P.mean(axis=1)).astype(int)
        library = PredictionLibrary(P, y, NAMES, classes=[0, 1])
        methods = ["mean", "median", "geometric mean", "rank mean"]
        result = blend(library, metric="roc_auc", methods=methods, random_state=seed)
        said += "beats the mean by" in result.verdict
        seen += any(r["gain_over_mean"] > r["gain_over_mean_se"] for r in result.rows)
    most = binom.ppf(0.999, 60, 0.05)
    assert said <= most
    assert seen > most  # what one standard error would have claimed


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_and_probabilities(n_classes):
    library = classification(n_classes)
    result = blend(library, metric="balanced_accuracy", methods=["convex, offsets"])
    assert set(result.predict_oof()) <= set(library.classes)
    assert result.predict_test().dtype == library.classes.dtype
    result = blend(library, metric="log_loss", methods=["convex"])
    assert result.predict_oof().shape == (120, n_classes)
    assert_allclose(result.predict_test().sum(axis=1), 1.0)


def test_a_class_of_one_row_leaves_its_fold_unscored():
    library = classification(3)
    y = library.y.copy()
    y[y == "zz"] = "no"
    y[0] = "zz"
    library.y = y
    library.folds = folds_of(library)
    result = blend(library, methods=["convex"])
    assert result.unscored == 30
    assert np.isnan(result.predict_oof()[library.folds == 0]).all()
    assert np.isfinite([row["score"] for row in result.rows]).all()


def test_failures_stop_nothing():
    library = classification()
    P = library.P.copy()
    P[0, 0] = 0.0
    library = PredictionLibrary(P, library.y, NAMES, classes=library.classes)
    result = blend(library, methods=["geometric mean", "rank mean", "convex"])
    assert {row["name"] for row in result.rows} >= {"mean", "convex"}


def test_what_a_metric_cannot_score_is_left_out():
    rng = np.random.default_rng(0)
    y = rng.exponential(size=200)
    P = np.maximum(y[:, None] + 0.5 + 0.7 * rng.normal(size=(200, 4)), 0.001)
    P[0] = 1.0, 1.0, 1.0, -0.5  # a member that cannot be scored either
    result = blend(
        PredictionLibrary(P, y, NAMES),
        metric="neg_mean_poisson_deviance",
        methods=["linear stack", "convex"],
    )
    skipped = dict(result.skipped)
    assert "linear stack" not in {row["name"] for row in result.rows}
    assert skipped["linear stack"].startswith("cannot be scored: ")
    assert result.members[-1]["name"] == "dora"
    assert result.members[-1]["score"] is None
    json.loads(result.to_json())
    EnsembleReport(result).to_json()
    with pytest.raises(ValueError, match="No method could be scored; the first, "):
        blend(PredictionLibrary(-9 * P, y, NAMES), metric="rmsle", methods=["mean"])
    short = blend(PredictionLibrary(np.abs(P), y, NAMES), metric="mape", methods="mean")
    assert short.metric == "neg_mean_absolute_percentage_error"


def test_results_are_plain_and_repeatable():
    methods = [*FEW, "greedy, rows bagged", "rank mean", "hill climbing"]
    first, second = (
        blend(classification(), methods=methods, random_state=1) for _ in range(2)
    )
    assert first.to_json() == second.to_json()
    assert json.loads(first.to_json())["best"] == first.best
    assert len(str(first).split("\n")) > len(first.rows)


def test_the_best_is_one_asked_for():
    result = blend(regression(), methods=["mean"])
    assert result.best == "mean"
    assert result.rows[0]["name"] == "best member"
    assert result.verdict.startswith("best member beats the mean by 0.")
    assert result.verdict.endswith("Nothing is shown to beat " + MEMBER + ".")
    assert result.written.startswith("mean (nested rmse ")
    assert "--method" not in result.written
    result = blend(classification(2), methods="median")
    assert result.best == "median"


def test_weights_are_named():
    result = blend(regression(), methods=["convex"])
    assert list(result.weights_of("convex")) == NAMES
    assert sum(result.weights_of("convex").values()) == pytest.approx(1.0)
    assert result.weights_of("mean") == dict.fromkeys(NAMES, 0.25)


def test_progress_counts_every_fit():
    calls = []
    blend(
        regression(),
        methods=["convex"],
        progress=lambda done, total, name: calls.append((done, total)),
    )
    assert calls == [(k, 18) for k in range(19)]


@pytest.mark.parametrize("make", [regression, classification])
def test_snippet_fits_the_best_again(make, tmp_path, monkeypatch):
    library = make()
    result = blend(library, methods=["convex, affine", "greedy"])
    library.save(tmp_path / "library.npz")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(result.snippet, names)
    assert_array_equal(names["prediction"], result.predict_test())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["nonsense"]}, "Unknown method 'nonsense'. Expected 'all'"),
        ({"metric": "nonsense"}, "Unknown metric"),
        ({"folds": np.zeros(120, int)}, "All rows are in one fold"),
        ({"folds": [0, 1]}, "one whole number for each of the 120 rows"),
        ({"random_state": -1}, "expected an int >= 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        blend(regression(), **options)


def test_refuses_strangers_and_too_few_rows():
    with pytest.raises(TypeError, match="takes a PredictionLibrary"):
        blend([1, 2])
    with pytest.raises(ValueError, match="There are 3 rows"):
        blend(PredictionLibrary(np.zeros((3, 1)), np.zeros(3), ["a"]))


def test_one_member_and_its_copies():
    y = np.random.default_rng(0).normal(size=50)
    p = y + 0.5
    alone = blend(PredictionLibrary(p[:, None], y, ["a"]), methods=["convex"])
    twice = blend(
        PredictionLibrary(np.column_stack([p, p]), y, ["a", "b"]), methods=["convex"]
    )
    assert {row["score"] for row in alone.rows} == {row["score"] for row in twice.rows}
    assert alone.verdict.startswith("Nothing is shown to beat the mean, or the best")
