"""What `ensemblekit fit` writes."""

import json
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from ..blending._csv import to_csv
from ..conformal import conformal_quantile
from ._features import to_texts

ALPHAS = tuple(k / 200 for k in range(1, 200))


def oof_text(rows, library, result, method) -> str:
    """Return held-out predictions as csv: ids, target, fold, members, ensemble."""
    name = rows.id or "row"
    ids = np.arange(library.n_samples) if rows.ids is None else rows.ids
    columns = {name: ids, rows.target: rows.y, "fold": library.folds}
    members = zip(library.column_names, library.P.T, strict=True)
    columns |= {_free(label, columns): values for label, values in members}
    columns |= {_free(k, columns): v for k, v in _ensemble(library, result, method)}
    return to_csv(columns)


def _free(name, taken):
    while name in taken:
        name += "_"
    return name


def _ensemble(library, result, method):
    held_out = result.held_out[method]
    if result.reads == "labels":
        seen = ~np.isnan(held_out)
        labels = np.full(len(held_out), "", dtype=object)
        labels[seen] = to_texts(library.classes[held_out[seen].astype(np.int64)])
        yield "ensemble", labels
    elif held_out.ndim == 1:
        yield "ensemble", held_out
    elif held_out.shape[1] == 2:
        yield "ensemble", held_out[:, 1]
    else:
        for label, values in zip(library.classes, held_out.T, strict=True):
            yield f"ensemble_{label}", values


def leaderboard_text(rows, result, method, stacked) -> str:
    """Return scores of members and ensemble as JSON."""
    chosen = find_row(result, method)
    seconds = {row["name"]: row["fit_time"] for row in stacked.cross_fit_.report_}
    weights = result.weights_of(method) or {}
    members = [
        {**row, "weight": weights.get(row["name"]), "fit_seconds": seconds[row["name"]]}
        for row in result.members
    ]
    content = {
        "format": 1,
        "task": result.task,
        "target": rows.target,
        "metric": result.metric,
        "greater_is_better": result.greater_is_better,
        "n_rows": result.n_samples,
        "n_folds": len(np.unique(result.folds)),
        "combiner": method,
        "ensemble": chosen,
        "members": members,
        "compared": [row for row in result.rows if row is not chosen],
        "verdict": result.verdict,
    }
    return json.dumps(content, indent=1, allow_nan=False, default=float) + "\n"


def facts_of(rows, library, result, method) -> dict:
    """Return what `model.json` says of the fit."""
    return {
        "task": rows.task,
        "target": rows.target,
        "classes": None if rows.classes is None else rows.classes.tolist(),
        "metric": result.metric,
        "score": find_row(result, method)["score"],
        "combiner": method,
        "members": list(library.names),
        "seed": result.random_state,
        "n_rows": len(rows.y),
        "id": rows.id,
        "sorted_out": rows.sorted_out,
        "half_widths": half_widths(rows, result, method),
    }


def find_row(result, method):
    """Return the row of a method."""
    return next(row for row in result.rows if row["name"] == method)


def half_widths(rows, result, method) -> list[list[float]]:
    """Return (miscoverage, half width) of intervals around held-out predictions.

    Conformal quantiles of the absolute errors of rows held out from members and
    combiner; levels that so few rows cannot give are left out.
    """
    if rows.task != "regression" or result.reads != "values":
        return []
    held_out = result.held_out[method]
    errors = np.abs(rows.y - held_out)[~np.isnan(held_out)]
    feasible = [alpha for alpha in ALPHAS if alpha * (len(errors) + 1) >= 1.0]
    return [[alpha, conformal_quantile(errors, str(alpha))] for alpha in feasible]


def report_texts(rows, stacked) -> dict[str, str]:
    """Return report.html and report.json, where what makes them is installed."""
    if not all(find_spec(name) for name in ("jinja2", "matplotlib")):
        return {}
    try:
        make = import_module("ensemblekit.report").EnsembleReport
    except ImportError:
        return {}
    title = f"{rows.path.name}: {rows.target}"
    options = {"sample_weight": rows.weight, "groups": rows.groups, "title": title}
    report = make(stacked, rows.X, rows.y, **options)
    return {"report.html": report.to_html(), "report.json": report.to_json() + "\n"}
