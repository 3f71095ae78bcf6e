"""The content of a report, out of a blend of prediction files."""

import numpy as np

from ..leaderboard import code_labels
from . import _origin
from ._calibration import calibrate
from ._content import by_interest, describe_data, start_content
from ._correlation import correlate
from ._scores import ENSEMBLE, Judged
from ._sections import describe_path, describe_weights, find_hints

_MEAN = "mean"  # the method that `blend` always tries


def from_blend(blend, bank=None, findings=(), random_state=0):
    """Report on a `Blend`, with what was found in its files.

    Parameters
    ----------
    blend : Blend
    bank : Bank or None
        Its `notes` say how files were read.
    findings : iterable of Finding
        As `ensemblekit.files.find_problems` returns them.
    random_state : int
        Of the rows that correlations are read off.
    """
    library = code_labels(blend.library)
    model = blend.models[blend.best]
    weights = describe_weights(model, blend.names)
    losses = {row["name"]: _loss(blend, row) for row in blend.members}
    members = [{"loss": losses[name]} for name in blend.names]
    correlation = correlate(library, by_interest(members, weights), random_state)
    content = start_content("Report of a blend", blend.task, describe_data(library))
    content["data"] |= {
        "classes": None if blend.classes is None else list(map(str, blend.classes)),
        "n_folds": len(np.unique(blend.folds)),
        "notes": [str(note) for note in getattr(bank, "notes", [])],
    }
    content |= {
        "verdict": f"{blend.verdict} Weights and code are of {blend.written}",
        "leaderboard": _leaderboard(blend),
        "weights": weights,
        "correlation": correlation,
        "path": describe_path(model, blend.names),
        "calibration": _calibration(blend, library),
        "hints": [
            *map(_of_finding, findings),
            *find_hints(correlation),
            *map(_of_skipped, blend.skipped),
        ],
        "reproduce": {
            "versions": _origin.describe_versions([model]),
            "random_state": blend.random_state,
            "parameters": _origin.describe_parameters(model),
            "members": [],
            "snippet": blend.snippet,
        },
    }
    return content


def _loss(blend, row):
    if row["score"] is None:
        return np.inf
    return -row["score"] if blend.greater_is_better else row["score"]


def _leaderboard(blend):
    rows = [_row(row, _kind(blend, row["name"])) for row in blend.rows]
    rows += [_row(row, "member") for row in blend.members]
    n_methods = blend.choice["n_methods"]
    if n_methods > 1:
        name = f"choosing among {n_methods} methods"
        rows.append(_row({"name": name, **blend.choice}, "choice"))
    best = next(row for row in blend.rows if row["name"] == blend.best)
    gains = [("the mean", "mean", "mean"), (blend.members[0]["name"], "member", "best")]
    return {
        "metric": blend.metric,
        "greater_is_better": blend.greater_is_better,
        "rows": sorted(rows, key=lambda row: _loss(blend, row)),
        "gains": [
            {
                "against": name,
                "kind": kind,
                "gain": best[f"gain_over_{base}"],
                "se": best[f"gain_over_{base}_se"],
                "n_folds": blend.choice["n_folds"],
            }
            for name, kind, base in gains
        ],
    }


def _row(row, kind):
    keys = ("naive", "optimism", "weight", "fit_time", "predict_time")
    return {
        "name": row["name"],
        "kind": kind,
        "score": row["score"],
        "score_se": row["score_se"],
        **{key: row.get(key) for key in keys},
    }


def _kind(blend, name):
    if name == blend.best:
        return "ensemble"
    return "mean" if name == _MEAN else "method"


def _calibration(blend, library):
    if blend.reads == "labels":
        return None
    judged = Judged(library, None, [])
    return calibrate(judged, f"{ENSEMBLE} ({blend.best})", blend.predict_oof())


def _of_finding(finding):
    place = "" if finding.line is None else f", line {finding.line}"
    return {
        "level": finding.level,
        "subject": f"{finding.file}{place}",
        "problem": finding.problem,
        "advice": finding.advice,
    }


def _of_skipped(entry):
    name, reason = entry
    return {"level": "hint", "subject": name, "problem": reason, "advice": ""}
