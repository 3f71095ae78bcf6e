"""Reports of blends: the figures of the blend, and the files' notes and findings."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ensemblekit import EnsembleReport, PredictionLibrary

pytest.importorskip("jinja2")
blending = pytest.importorskip("ensemblekit.blending")

METHODS = ["convex", "greedy"]


def make_library(classification=True, n_rows=300):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=n_rows)
    P = truth[:, None] + rng.normal(size=(n_rows, 4)) * [0.5, 0.7, 1.0, 2.0]
    if not classification:
        return PredictionLibrary(P, truth, list("abcd"), folds=np.arange(n_rows) % 5)
    y = np.where(truth > 0.3, "yes", "no")
    P = 1.0 / (1.0 + np.exp(-2.0 * P))
    classes = ["no", "yes"]
    return PredictionLibrary(
        P, y, list("abcd"), classes=classes, folds=np.arange(n_rows) % 5
    )


@pytest.fixture(scope="module", params=["log_loss", "roc_auc", "accuracy", "rmse"])
def blend(request):
    library = make_library(request.param != "rmse")
    return blending.blend(library, metric=request.param, methods=METHODS)


def test_leaderboard_is_the_blends(blend):
    content = EnsembleReport.from_blend(blend).to_dict()
    board = content["leaderboard"]
    assert board["metric"] == blend.metric
    assert board["greater_is_better"] == blend.greater_is_better
    rows = {(row["kind"] == "member", row["name"]): row for row in board["rows"]}
    choosing = rows.pop((False, f"choosing among {blend.choice['n_methods']} methods"))
    assert choosing["kind"] == "choice"
    assert choosing["score"] == blend.choice["score"]
    assert choosing["score_se"] == blend.choice["score_se"]
    assert len(rows) == len(blend.rows) + len(blend.members)
    for row in blend.rows:
        for key in ("score", "score_se", "naive", "optimism"):
            assert rows[False, row["name"]][key] == row[key]
    for row in blend.members:
        assert rows[True, row["name"]]["score"] == row["score"]
        assert rows[True, row["name"]]["weight"] == row["weight"]
    scores = [row["score"] for row in board["rows"]]
    assert scores == sorted(scores, reverse=blend.greater_is_better)
    best = next(row for row in board["rows"] if row["kind"] == "ensemble")
    assert best["name"] == blend.best


def test_verdict_gains_and_snippet_are_the_blends(blend):
    content = EnsembleReport.from_blend(blend).to_dict()
    best = next(row for row in blend.rows if row["name"] == blend.best)
    assert content["verdict"].startswith(f"{blend.verdict} Weights and code are of ")
    assert content["verdict"].endswith(blend.written)
    assert blend.written.startswith(f"{blend.best} (nested {blend.metric} ")
    mean, member = content["leaderboard"]["gains"]
    assert [mean["gain"], mean["se"]] == [
        best["gain_over_mean"],
        best["gain_over_mean_se"],
    ]
    assert member["gain"] == best["gain_over_best"]
    assert content["reproduce"]["snippet"] == blend.snippet


def test_calibration_is_of_nested_predictions(blend):
    section = EnsembleReport.from_blend(blend).to_dict()["calibration"]
    if blend.reads == "labels":
        assert section is None
        return
    held_out = blend.predict_oof()
    mean = sum(p["predicted"] * p["n_rows"] for p in section["points"]) / 300
    expected = held_out[:, 1] if held_out.ndim == 2 else held_out
    assert_allclose(mean, expected.mean())


def test_equal_blends_make_equal_pages(blend):
    again = blending.blend(blend.library, metric=blend.metric, methods=METHODS)
    reports = [EnsembleReport(each) for each in (blend, again)]
    assert reports[0].to_html() == reports[1].to_html()
    assert reports[0].to_json() == reports[1].to_json()


def test_notes_findings_and_what_was_skipped_are_shown(blend):
    bank = SimpleNamespace(notes=["a: oof/a.csv and test/a.csv, by name", "<i>b</i>"])
    finding = SimpleNamespace(
        level="warning", file="<b>.csv", line=7, problem="worse", advice="drop it"
    )
    blend.skipped.append(("search", "failed: <script>"))
    try:
        report = EnsembleReport.from_blend(blend, bank, findings=[finding])
    finally:
        blend.skipped.pop()
    content, page = report.to_dict(), report.to_html()
    assert content["data"]["notes"] == bank.notes
    assert content["hints"][0]["subject"] == "<b>.csv, line 7"
    assert content["hints"][-1]["problem"] == "failed: <script>"
    assert "&lt;i&gt;b" in page
    assert "<b>" not in page
    assert page.count("<script>") == 1
