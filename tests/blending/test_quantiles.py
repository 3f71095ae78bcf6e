"""Blends of quantiles: scores by hand, files, a stored blend on new rows, refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import PredictionLibrary, QuantileAggregator, cross_fitted_predictions
from ensemblekit.blending import apply_blend, blend, write_blend
from ensemblekit.blending._nested import standard_error
from ensemblekit.blending._stored import restore, store
from ensemblekit.blending.metrics import find_metric
from ensemblekit.exceptions import FileError
from ensemblekit.metrics import pinball_loss

from .libraries import LEVELS, NAMES, quantiles

WEIGHTED = ["quantile weights", "quantile weights, medium", "quantile weights, fine"]


def pinball(y, prediction, weight=None):
    """Return the mean over rows of the mean over levels, by the definition."""
    total = np.zeros(len(y))
    for k, level in enumerate(LEVELS):
        for i, (truth, q) in enumerate(zip(y, prediction[:, k], strict=True)):
            error = truth - q
            total[i] += level * error if error >= 0 else (level - 1) * error
    return np.average(total / len(LEVELS), weights=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_errors_and_gains_by_hand(weighted):
    library = quantiles()
    library.folds = np.arange(120) % 4
    w = np.ones(120)
    if weighted:
        w = np.random.default_rng(1).integers(0, 3, 120).astype(float)
        library.sample_weight = w
    result = blend(library, metric="pinball", methods=WEIGHTED)
    assert result.best == result.rows[0]["name"]
    mean = result.predict_oof("mean")
    expected = library.P.reshape(120, 4, 3).mean(axis=1)
    assert_allclose(mean, expected, rtol=1e-14)
    parts = [library.folds != k for k in range(4)]
    for row in result.rows:
        own = result.predict_oof(row["name"])
        assert own.shape == (120, 3)
        assert row["score"] == pytest.approx(pinball(library.y, own, w))
        scores = [pinball(library.y[p], own[p], w[p]) for p in parts]
        base = [pinball(library.y[p], mean[p], w[p]) for p in parts]
        assert row["score_se"] == pytest.approx(standard_error(np.array(scores)))
        gain = pinball(library.y, mean, w) - row["score"]
        assert row["gain_over_mean"] == pytest.approx(gain, abs=1e-15)
        error = standard_error(np.array(base) - np.array(scores))
        assert row["gain_over_mean_se"] == pytest.approx(error, abs=1e-12)
        naive = pinball(library.y, result.predict(library.P, row["name"]), w)
        assert row["naive"] == pytest.approx(naive)
    for row in result.members:
        block = library.cube[NAMES.index(row["name"])]
        assert row["score"] == pytest.approx(pinball(library.y, block, w))


def test_score_is_that_of_the_public_metric():
    library = quantiles()
    result = blend(library)
    assert result.metric == "pinball"
    assert not result.skipped
    for row in result.rows:
        held_out = result.predict_oof(row["name"])
        expected = pinball_loss(library.y, held_out, LEVELS)
        assert row["score"] == pytest.approx(np.mean(expected))


def test_nested_predictions_are_cross_fitted_ones():
    library = quantiles()
    library.folds = np.arange(120) % 4
    result = blend(library)
    for name in result.models:
        again = cross_fitted_predictions(result.models[name], library)
        assert_array_equal(result.predict_oof(name), again)


def test_weights_are_the_exact_ones():
    library = quantiles(300)
    result = blend(library, methods=["quantile weights"])
    again = QuantileAggregator(quantile_levels=LEVELS).fit(library.P, library.y)
    assert list(result.weights_of("quantile weights").values()) == list(again.weights_)
    assert result.weights_of("mean") == dict.fromkeys(NAMES, 0.25)
    best = result.weights_of("best member")
    assert sorted(best.values()) == [0.0, 0.0, 0.0, 1.0]
    assert best[result.members[0]["name"]] == 1.0
    assert result.verdict.startswith("quantile weights beats the mean by 0.")


def test_quantiles_do_not_cross():
    result = blend(quantiles())
    for name in result.models:
        held_out = result.predict_oof(name)
        assert (np.diff(held_out, axis=1) >= 0.0).all(), name
        assert result.predict_test(name).shape == (7, 3)


def test_every_method_is_stored_and_restored():
    library = quantiles()
    P = np.vstack([library.P, library.P_test, library.P * 3.0])
    for name, model in blend(library).models.items():
        again = restore(json.loads(json.dumps(store(model), allow_nan=False)))
        assert_array_equal(again.predict_quantiles(P), model.predict_quantiles(P), name)
        assert_array_equal(again.predict(P), model.predict(P), name)


def test_written_and_applied_to_new_rows(tmp_path):
    library = quantiles()
    result = blend(library)
    paths = write_blend(result, library, tmp_path)
    assert {"report.html", "submission.csv"} <= {path.name for path in paths}
    table = pd.read_csv(tmp_path / "submission.csv")
    columns = ["prediction_q0.1", "prediction_q0.5", "prediction_q0.9"]
    assert list(table) == ["row", *columns]
    assert_array_equal(table[columns], result.predict_test())
    oof = pd.read_csv(tmp_path / "oof_blend.csv")
    assert list(oof) == ["row", "fold", *columns]
    assert_array_equal(oof[columns], result.predict_oof())
    new = dict(
        zip(NAMES, library.P_test.reshape(7, 4, 3).transpose(1, 0, 2), strict=True)
    )
    again = apply_blend(tmp_path / "weights.json", new)
    assert_array_equal(again[columns], result.predict_test())
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["data"]["quantile_levels"] == LEVELS
    assert report["calibration"]["kind"] == "coverage"
    told = json.loads((tmp_path / "blend.json").read_text())
    assert told["quantile_levels"] == LEVELS


@pytest.mark.parametrize(
    ("columns", "order"),
    [(["q0.9", "q0.1", "q0.5"], [2, 0, 1]), (["p10", "p50", "p90"], [0, 1, 2])],
)
def test_columns_of_the_sample_submission(tmp_path, columns, order):
    library = quantiles()
    result = blend(library, methods=["mean"])
    sample = tmp_path / "sample.csv"
    table = pd.DataFrame(0.0, index=range(7), columns=["id", *columns])
    table.assign(id=range(100, 107)).to_csv(sample, index=False)
    write_blend(result, library, tmp_path / "out", sample)
    table = pd.read_csv(tmp_path / "out" / "submission.csv")
    assert list(table) == ["id", *columns]
    assert_array_equal(table["id"], range(100, 107))
    assert_array_equal(table[columns], result.predict_test()[:, order])


@pytest.mark.parametrize("columns", [["q0.1", "q0.5"], ["a", "b", "c"], ["q0.1"]])
def test_another_sample_submission_is_refused(tmp_path, columns):
    library = quantiles()
    sample = tmp_path / "sample.csv"
    pd.DataFrame(0.0, index=range(7), columns=["id", *columns]).to_csv(
        sample, index=False
    )
    with pytest.raises(FileError, match="one for each of the quantile levels"):
        write_blend(blend(library, methods=["mean"]), library, tmp_path / "o", sample)


def test_the_code_fits_the_best_again(tmp_path, monkeypatch):
    library = quantiles()
    result = blend(library, methods=WEIGHTED)
    library.save(tmp_path / "library.npz")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(result.snippet, names)
    assert_array_equal(names["prediction"], result.predict_test())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reads": "values"}, "task is 'quantile', of which it reads 'values'"),
        ({"task": "regression", "reads": "values"}, "levels are not those of its"),
        ({"submission": {}}, r"its submission has the entries \[\]"),
        ({"levels": [0.1, 0.9]}, "levels are not those of its combiner"),
        ({"levels": [0.9, 0.5, 0.1]}, "levels are not those of its combiner"),
        ({"levels": None}, "levels are not those of its combiner"),
        ({"levels": "abc"}, "levels are not those of its combiner"),
        ({"levels": [[0.1], 0.5]}, "levels are not those of its combiner"),
        ({"columns": ["a", "b"]}, "submission.columns: has the prediction columns"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    library = quantiles()
    write_blend(blend(library, methods=["mean"]), library, tmp_path)
    path = tmp_path / "weights.json"
    content = json.loads(path.read_text())
    (content if change.keys() & content.keys() else content["submission"]).update(
        change
    )
    path.write_text(json.dumps(content))
    with pytest.raises(FileError, match=message):
        apply_blend(path, {name: np.zeros((2, 3)) for name in NAMES})


def test_new_rows_of_other_levels_are_refused(tmp_path):
    library = quantiles()
    write_blend(blend(library, methods=["mean"]), library, tmp_path)
    with pytest.raises(ValueError, match="has 2 prediction columns; expected 3"):
        apply_blend(tmp_path / "weights.json", {n: np.zeros((2, 2)) for n in NAMES})
    crossing = {name: np.array([[3.0, 2.0, 1.0]]) for name in NAMES}
    with pytest.raises(ValueError, match="quantiles cross"):
        apply_blend(tmp_path / "weights.json", crossing)


def test_metrics_of_quantiles():
    with pytest.raises(ValueError, match=r"Unknown metric 'rmse' for quantiles.*pinb"):
        blend(quantiles(), metric="rmse")
    with pytest.raises(ValueError, match="'pinball' is for quantiles, but the members"):
        find_metric("pinball", "regression")
    with pytest.raises(ValueError, match=r"Unknown method 'convex'.*quantile weights"):
        blend(quantiles(), methods=["convex"])


def test_one_level_is_a_median():
    library = quantiles(levels=[0.5])
    result = blend(library)
    assert not result.skipped
    row = next(row for row in result.rows if row["name"] == "mean")
    error = np.abs(library.y - library.P.mean(axis=1)).mean()
    assert row["score"] == pytest.approx(0.5 * error)


def test_one_member():
    library = quantiles(60)
    alone = PredictionLibrary(
        library.P[:, :3], library.y, ["anna"], quantile_levels=LEVELS
    )
    result = blend(alone, methods=["quantile weights", "median"])
    scores = [row["score"] for row in result.rows]
    assert_allclose(scores, scores[0], rtol=1e-12)


def test_members_that_cross_fail_every_method():
    library = quantiles(60)
    library.P = library.P[:, ::-1].copy()
    with pytest.raises(ValueError, match=r"quantiles that decrease|quantiles cross"):
        blend(library, methods=["quantile weights", "mean"])


def test_equal_runs_are_equal():
    first, second = (blend(quantiles()).to_json() for _ in range(2))
    assert first == second
