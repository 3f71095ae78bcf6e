"""The content of a report, out of a cross-fit, a stack or a library."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .. import auditing
from .._members import weight_parameter
from ..leaderboard import code_labels
from . import _origin
from ._calibration import calibrate, chosen_prediction
from ._correlation import correlate
from ._scores import ENSEMBLE, judge, loss_of
from ._sections import (
    compare,
    describe_path,
    describe_weights,
    find_hints,
    say_verdict,
)

VERSION = 1
_TIMES = ("fit_time", "predict_time")


def from_library(library, combiner=None, random_state=0):
    """Report on predictions made elsewhere, and on a combiner fitted on them."""
    weighted = library.sample_weight is not None
    fitted = None if combiner is None else _fit(combiner, library, weighted)
    kind = "a prediction library" if combiner is None else type(combiner).__name__
    content = start_content(f"Report of {kind}", library.task, describe_data(library))
    judged = judge(library, combiner, weighted=weighted)
    content |= _sections(judged, fitted, random_state)
    folds = combiner is None or library.folds is not None
    content["hints"] = find_hints(content["correlation"], folds=folds)
    content["reproduce"] = {
        "versions": _origin.describe_versions([combiner] if combiner else []),
        "random_state": random_state,
        "parameters": _origin.describe_parameters(combiner) if combiner else {},
        "members": [],
        "snippet": _origin.combiner_snippet(combiner, weighted=weighted)
        if combiner
        else None,
    }
    return content


def from_cross_fit(source, rows=None, random_state=0):
    """Report on a fitted cross-fit or stack; rows X, y, weight, groups: audit it."""
    check_is_fitted(source)
    cross_fit = getattr(source, "cross_fit_", source)
    stacked = None if cross_fit is source else source
    if not hasattr(cross_fit, "library_"):
        raise ValueError(
            "A report needs the out-of-fold predictions, which compact() dropped. Make "
            "it before."
        )
    content = start_content(
        f"Report of {type(source).__name__}", _task(cross_fit), _facts_of(cross_fit)
    )
    if cross_fit.library_ is None:
        content |= _unscored_sections(cross_fit, stacked)
    else:
        content |= _stack_sections(cross_fit, stacked, random_state)
    _add_times(content["leaderboard"]["rows"], cross_fit.report_)
    if rows is not None:
        content["audit"] = _audit(source, rows, random_state)
    content["hints"] = find_hints(content["correlation"], cross_fit)
    content["reproduce"] = _reproduce(source, cross_fit)
    return content


def start_content(title, task, data):
    """Return the sections of a report, still empty, in their order."""
    return {
        "schema": "ensemblekit-report",
        "version": VERSION,
        "title": title,
        "task": task,
        "verdict": "",
        "data": data,
        "leaderboard": None,
        "weights": None,
        "correlation": None,
        "path": None,
        "calibration": None,
        "audit": None,
        "hints": [],
        "reproduce": None,
    }


def describe_data(library):
    """Return what the data are."""
    levels, classes, folds = library.quantile_levels, library.classes, library.folds
    return {
        "n_rows": library.n_samples,
        "n_members": library.n_members,
        "n_folds": None if folds is None else len(np.unique(folds)),
        "classes": None if classes is None else [str(c) for c in classes.tolist()],
        "quantile_levels": levels,
        "weighted": library.sample_weight is not None,
        "notes": [],
    }


def _facts_of(cross_fit):
    classes = cross_fit.classes_
    return {
        "n_rows": len(cross_fit.covered_),
        "n_members": len(cross_fit.method_),
        "n_folds": len(cross_fit.splits_),
        "classes": None if classes is None else [str(c) for c in classes.tolist()],
        "quantile_levels": cross_fit._levels,
        "weighted": cross_fit._weight is not None,
        "notes": [],
    }


def _task(cross_fit):
    if cross_fit.classes_ is not None:
        return "classification"
    return "regression" if cross_fit._levels is None else "quantile"


def _fit(combiner, library, weighted):
    library = code_labels(library)
    params = {}
    if weighted:
        params = {weight_parameter("The combiner", combiner): library.sample_weight}
    return clone(combiner).fit(library.P, library.y, **params)


def _stack_sections(cross_fit, stacked, random_state):
    combiner, weighted = None, False
    if stacked is not None:
        combiner, weighted = stacked.combiner_, stacked._weighted
    scored = stacked is None or not stacked.passthrough
    judged = judge(cross_fit.library_, combiner, weighted=weighted, scored=scored)
    return _sections(judged, combiner, random_state)


def _sections(judged, fitted, random_state):
    """Return the sections that held-out predictions and a fitted combiner give."""
    library = judged.library
    members = [row for row in judged.rows if row["kind"] == "member"]
    weights = None if fitted is None else describe_weights(fitted, library.names)
    order = by_interest(members, weights)
    gains = compare(judged)
    subject = None if judged.prediction is not None else library.names[order[0]]
    predicted = chosen_prediction(judged, subject)
    rows = [_leaderboard_row(row) for row in judged.rows]
    _add_weights(rows, weights)
    return {
        "verdict": say_verdict(gains, members),
        "leaderboard": {
            "metric": judged.loss,
            "greater_is_better": False,
            "rows": _sort(rows),
            "gains": gains,
        },
        "weights": weights,
        "correlation": correlate(library, order, random_state),
        "path": None if fitted is None else describe_path(fitted, library.names),
        "calibration": calibrate(judged, subject or ENSEMBLE, predicted),
    }


def _unscored_sections(cross_fit, stacked):
    """Return what there is without a library: members predict labels, say."""
    names = list(cross_fit.method_)
    weights = None if stacked is None else describe_weights(stacked.combiner_, names)
    rows = [_leaderboard_row({"kind": "member", **r}) for r in cross_fit.report_]
    _add_weights(rows, weights)
    if stacked is not None:
        ensemble = {"name": ENSEMBLE, "loss": None, "loss_se": None}
        rows.append(_leaderboard_row({"kind": "ensemble", **ensemble}))
    return {
        "verdict": say_verdict([], []),
        "leaderboard": {
            "metric": loss_of(_task(cross_fit)),
            "greater_is_better": False,
            "rows": _sort(rows),
            "gains": [],
        },
        "weights": weights,
        "path": None if stacked is None else describe_path(stacked.combiner_, names),
    }


def _leaderboard_row(row):
    return {
        "name": row["name"],
        "kind": row["kind"],
        "score": row["loss"],
        "score_se": row["loss_se"],
        **dict.fromkeys(["naive", "optimism", "weight", *_TIMES]),
    }


def _sort(rows):
    return sorted(rows, key=lambda row: (row["score"] is None, row["score"] or 0.0))


def by_interest(members, weights):
    """Order members by weight, then by loss."""
    sizes = [0.0] * len(members) if weights is None else abs(weights["values"])
    losses = [row["loss"] for row in members]
    return sorted(range(len(members)), key=lambda m: (-sizes[m], losses[m]))


def _add_weights(rows, weights):
    if weights is not None:
        known = dict(zip(weights["names"], weights["values"].tolist(), strict=True))
        for row in rows:
            if row["kind"] == "member":
                row["weight"] = known[row["name"]]


def _add_times(rows, reports):
    reports = {report["name"]: report for report in reports}
    for row in rows:
        if row["kind"] == "member":
            row.update({key: reports[row["name"]][key] for key in _TIMES})


def _audit(source, rows, random_state):
    X, y, sample_weight, groups = rows
    found = auditing.audit(
        source,
        X,
        y,
        sample_weight=sample_weight,
        groups=groups,
        random_state=random_state,
    )
    return found.to_dict()


def _reproduce(source, cross_fit):
    members = cross_fit.estimators
    combiner = getattr(source, "combiner_", None)
    weighted = cross_fit._weight is not None
    shape = len(cross_fit.covered_), cross_fit.n_features_in_
    estimators = [member for _, member in members]
    return {
        "versions": _origin.describe_versions([source, combiner, *estimators]),
        "random_state": _origin.plain_seed(source.random_state),
        "parameters": _origin.describe_parameters(source),
        "members": [
            {"name": name, "estimator": _origin.describe(member)}
            for name, member in members
        ],
        "snippet": _origin.stacked_snippet(
            source,
            weighted=weighted,
            grouped=cross_fit._groups is not None,
            shape=shape,
        ),
    }
