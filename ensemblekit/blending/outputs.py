"""A blend as files, and a stored blend applied to new predictions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import layout
from .._writing import write_texts
from ..files.predictions import read_predictions
from ..files.problems import find_bank_hints
from ._csv import to_csv
from ._result import FORMAT, Blend
from ._stored import store
from ._submission import (
    Names,
    in_order_of,
    oof_columns,
    spelling_notes,
    test_columns,
)
from ._weights_file import damaged, read_weights
from .metrics import find_metric

__all__ = ["apply_blend", "write_blend"]

# Not of every blend; those of an earlier one do not belong to its weights.
_OPTIONAL = {"submission.csv", "report.html", "report.json"}


def write_blend(
    blend: Blend,
    bank: Any,
    folder: str | os.PathLike,
    sample_submission: str | os.PathLike | None = None,
    *,
    method: str | None = None,
    source: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a blend: weights, submission, nested predictions, code and report.

    ``weights.json`` (the combiner in plain numbers, for `apply_blend`),
    ``submission.csv`` (where there are test predictions), ``oof_blend.csv``,
    ``blend.py``, ``blend.json`` (all scores), and ``report.html`` with
    ``report.json`` where jinja2 is installed. Equal blends give equal
    bytes. All files appear, or none; of an earlier blend none is left. Ids that a
    spreadsheet would take for a formula get a leading ``'``.

    Parameters
    ----------
    blend : Blend
    bank : Bank or PredictionLibrary
        What was blended; a bank brings the ids.
    folder : path
        Made where missing.
    sample_submission : path, default=None
        Whose columns and ids ``submission.csv`` gets. Test predictions without ids are
        taken to stand in its order, if their number is the same.
    method : str, default=None
        Which method to write; None means the best.
    source : mapping, default=None
        Arguments of `read_bank`, for the code that fits the method again.

    Returns
    -------
    paths : list of Path

    Raises
    ------
    FileError
        If the folder cannot be written to, or the sample submission does not fit.
    """
    levels = blend.library.quantile_levels
    levels = None if levels is None else levels.tolist()
    names = Names.of(bank, sample_submission, blend.reads, blend.classes, levels)
    blend = blend if method is None else blend.choose(method)
    blend = blend if source is None else replace(blend, source=source)
    texts = {
        "weights.json": _weights_text(blend, names),
        "oof_blend.csv": to_csv(oof_columns(blend, bank)),
        "blend.json": blend.to_json(),
        "blend.py": blend.snippet,
        **_reports(blend, bank),
    }
    if blend.library.P_test is not None:
        ids = getattr(bank, "test_ids", None)
        prediction = blend.predict_test()
        if sample_submission is not None:
            prediction, ids = in_order_of(sample_submission, names, prediction, ids)
        columns = test_columns(prediction, blend.classes, ids, names)
        texts["submission.csv"] = to_csv(columns)
    return write_texts(Path(folder), texts, _OPTIONAL - texts.keys())


def check_sample(bank, metric, sample):
    """Refuse a sample submission that a blend by this metric would not fit.

    Returns
    -------
    notes : list of str
        What its cells and the target contradict each other in.

    Raises
    ------
    FileError
        If its columns are not what the metric reads.
    """
    library = bank.library
    levels = library.quantile_levels
    n_classes = 0 if library.classes is None else len(library.classes)
    found = find_metric(metric, library.task, n_classes, levels)
    levels = None if levels is None else levels.tolist()
    names = Names.of(bank, sample, found.reads, library.classes, levels)
    return spelling_notes(names, sample, found.reads, library.classes)


def apply_blend(
    weights: str | os.PathLike,
    predictions: Any,
    *,
    id: str | None = None,
    sample_submission: str | os.PathLike | None = None,
) -> Any:
    """Apply a stored blend to the same members' predictions of new rows.

    Parameters
    ----------
    weights : path
        The ``weights.json`` of a blend. Nothing in it is executed.
    predictions : mapping, DataFrame, path, glob or list of paths
        Member name to predictions of shape (n,), (n, 1), (n, n_classes) or
        (n, n_levels), a data frame with a column for each member (two classes and
        values only), or files.
    id : str, default=None
        Column of the ids in the files.
    sample_submission : path, default=None
        Whose columns, ids and order of rows the result gets. Predictions without ids
        are taken to stand in its order, if their number is the same.

    Returns
    -------
    frame : DataFrame
        Ids (or row numbers) and the prediction: a value, the probability of the second
        of two classes, one column for each of more, a label, or one column for each
        quantile level, as the metric reads.

    Raises
    ------
    FileError
        If the file is no stored blend, or the members are not those it was fitted on.
    """
    import pandas as pd

    return pd.DataFrame(
        apply_to_columns(
            weights, predictions, id=id, sample_submission=sample_submission
        )
    )


def apply_to_columns(
    weights, predictions, *, id=None, sample_submission=None, notes=None
):
    """Return `apply_blend` as columns; the first one holds the ids.

    notes : list of str, to which is added what was decided and what to look at
    """
    stored = read_weights(weights)
    members, classes, names = stored["members"], stored["classes"], stored["names"]
    if id is not None:
        names = replace(names, id=id)
    if sample_submission is not None:
        names = names.like(sample_submission, stored["reads"], classes)
        if notes is not None:
            notes += spelling_notes(names, sample_submission, stored["reads"], classes)
    P, ids = _matrix(predictions, members, classes, names, sample_submission, notes)
    if P.shape[1] != stored["n_columns"]:
        raise damaged(weights, f"its combiner is of {stored['n_columns']} columns")
    prediction = _predict(weights, stored, P)
    if sample_submission is not None:
        prediction, ids = in_order_of(sample_submission, names, prediction, ids)
    return test_columns(prediction, classes, ids, names)


def _predict(path, stored, P):
    """Return predictions; numbers too large to be added up are the file's."""
    model = stored["model"]
    with np.errstate(all="ignore"):
        if stored["reads"] == "probabilities":
            found = model.predict_proba(P)
        elif stored["reads"] == "quantiles":
            found = model.predict_quantiles(P)
        else:
            found = model.predict(P)
    if stored["reads"] != "labels" and not np.isfinite(found).all():
        raise damaged(path, "it predicts NaN or infinity, its numbers are too large")
    return found


def _matrix(predictions, members, classes, names, sample, notes):
    """Return P and the ids."""
    if hasattr(predictions, "columns"):
        predictions = {str(c): predictions[c] for c in predictions.columns}
    if isinstance(predictions, Mapping):
        return _join(predictions, members, classes, names.levels), None
    found = read_predictions(
        predictions,
        members,
        classes=classes,
        id=names.id,
        sample=sample,
        levels=names.levels,
    )
    if notes is not None:
        notes += found.notes
    return found.P, found.ids


def _join(predictions, names, classes, levels):
    strangers = sorted(set(predictions) - set(names))
    missing = [name for name in names if name not in predictions]
    if strangers or missing:
        raise ValueError(
            f"The predictions lack the members {missing[:5]} and have unknown ones "
            f"{strangers[:5]}; expected {len(names)} members: {names[:10]}."
        )
    n_outputs = 1 if levels is None else len(levels)
    if classes is not None:
        n_outputs = layout.n_outputs_for(len(classes))
    n_rows = len(predictions[names[0]])
    binary = classes is not None and len(classes) == 2
    blocks = []
    for name in names:
        _check_class_order(name, predictions[name], classes)
        blocks.append(
            layout.member_block(
                predictions[name], n_outputs, n_rows, name, binary=binary
            )
        )
    return np.hstack(blocks)


def _check_class_order(name, values, classes):
    columns = getattr(values, "columns", None)
    if classes is None or columns is None:
        return
    given, expected = [str(c) for c in columns], [str(c) for c in classes]
    if len(given) == len(expected) and given != expected:
        raise ValueError(
            f"Member {name!r} has its classes in the order {given}; expected "
            f"{expected}."
        )


def _weights_text(blend, names):
    stored = {
        "format": FORMAT,
        "ensemblekit": version("ensemblekit"),
        "task": blend.task,
        "metric": blend.metric,
        "reads": blend.reads,
        "method": blend.best,
        "members": list(blend.names),
        "submission": asdict(names),
        "weights": blend.weights,
        "combiner": {"members": list(blend.names), **store(blend.models[blend.best])},
    }
    return json.dumps(stored, indent=1, allow_nan=False) + "\n"


def _reports(blend, bank):
    """Return the report's files, where what makes the page is installed."""
    if not all(find_spec(name) for name in ("ensemblekit.report", "jinja2")):
        return {}
    report = import_module("ensemblekit.report").EnsembleReport.from_blend(
        blend, bank, findings=find_bank_hints(bank) if hasattr(bank, "rules") else ()
    )
    return {"report.html": report.to_html(), "report.json": report.to_json() + "\n"}
