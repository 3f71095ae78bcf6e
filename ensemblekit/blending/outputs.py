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
from ..exceptions import FileError
from ..files.predictions import read_predictions
from ..files.problems import find_bank_hints
from ._files import to_csv, write_all
from ._result import FORMAT, Blend
from ._snippet import read_code, write_snippet
from ._stored import restore, store
from ._submission import Names, in_order_of, oof_columns, test_columns

__all__ = ["apply_blend", "write_blend"]

_LARGEST = 2**30  # bytes of weights.json
_KEYS = {
    "format": int,
    "task": str,
    "metric": str,
    "reads": str,
    "members": list,
    "method": str,
    "combiner": dict,
}
_READS = ("values", "probabilities", "labels")


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
    bytes. All files appear, or none.

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
        Arguments of `read_bank`, for ``blend.py``.

    Returns
    -------
    paths : list of Path

    Raises
    ------
    FileError
        If the folder cannot be written to, or the sample submission does not fit.
    """
    names = Names.of(bank, sample_submission, blend.reads, blend.classes)
    method = method or blend.best
    texts = {
        "weights.json": _weights_text(blend, method, names),
        "oof_blend.csv": to_csv(oof_columns(blend, bank)),
        "blend.json": blend.to_json(),
        "blend.py": _code(blend, source),
        **_reports(blend, bank),
    }
    if blend.library.P_test is not None:
        ids = getattr(bank, "test_ids", None)
        prediction = blend.predict_test(method)
        if sample_submission is not None:
            prediction, ids = in_order_of(sample_submission, names, prediction, ids)
        columns = test_columns(prediction, blend.classes, ids, names)
        texts["submission.csv"] = to_csv(columns)
    return write_all(Path(folder), texts)


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
        Member name to predictions of shape (n,), (n, 1) or (n, n_classes), a data
        frame with a column for each member (two classes and values only), or files.
    id : str, default=None
        Column of the ids in the files.
    sample_submission : path, default=None
        Whose columns, ids and order of rows the result gets. Predictions without ids
        are taken to stand in its order, if their number is the same.

    Returns
    -------
    frame : DataFrame
        Ids (or row numbers) and the prediction: a value, the probability of the second
        of two classes, one column for each of more, or a label, as the metric reads.

    Raises
    ------
    FileError
        If the file is no stored blend, or the members are not those it was fitted on.
    """
    import pandas as pd

    return pd.DataFrame(_applied(weights, predictions, id, sample_submission))


def apply_to_csv(weights, predictions, *, id=None, sample_submission=None) -> str:
    """Return `apply_blend` as the text of a csv file."""
    return to_csv(_applied(weights, predictions, id, sample_submission))


def _applied(weights, predictions, id_name, sample):
    stored = read_weights(weights)
    members, classes, names = stored["members"], stored["classes"], stored["names"]
    if id_name is not None:
        names = replace(names, id=id_name)
    if sample is not None:
        names = names.like(sample, stored["reads"], classes)
    P, ids = _matrix(predictions, members, classes, names.id, sample)
    if P.shape[1] != stored["n_columns"]:
        raise _damaged(weights, f"its combiner is of {stored['n_columns']} columns")
    prediction = _predict(weights, stored, P)
    if sample is not None:
        prediction, ids = in_order_of(sample, names, prediction, ids)
    return test_columns(prediction, classes, ids, names)


def _predict(path, stored, P):
    try:
        model = stored["model"]
        if stored["reads"] == "probabilities":
            return model.predict_proba(P)
        return model.predict(P)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, str(error)) from None


def _matrix(predictions, names, classes, id_name, sample):
    """Return P and the ids."""
    if hasattr(predictions, "columns"):
        predictions = {str(c): predictions[c] for c in predictions.columns}
    if isinstance(predictions, Mapping):
        return _join(predictions, names, classes), None
    found = read_predictions(
        predictions, names, classes=classes, id=id_name, sample=sample
    )
    return found.P, found.ids


def _join(predictions, names, classes):
    strangers = sorted(set(predictions) - set(names))
    missing = [name for name in names if name not in predictions]
    if strangers or missing:
        raise ValueError(
            f"The predictions lack the members {missing[:5]} and have unknown ones "
            f"{strangers[:5]}; expected {len(names)} members: {names[:10]}."
        )
    n_outputs = 1 if classes is None else layout.n_outputs_for(len(classes))
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


def read_weights(path: str | os.PathLike) -> dict:
    """Read a stored blend; every value is checked, nothing is executed.

    Returns
    -------
    stored : dict
        The file's entries, `classes` as an array or None, and ``model``.

    Raises
    ------
    FileError
        If it is no stored blend.
    """
    stored = _parsed(path)
    if not isinstance(stored, dict):
        raise _damaged(path, "it holds no object")
    for key, kind in _KEYS.items():
        if not isinstance(stored.get(key), kind):
            raise _damaged(path, f"it has no {key!r} of type {kind.__name__}")
    if stored["format"] != FORMAT or stored["reads"] not in _READS:
        raise _damaged(path, f"it is of format {stored['format']}, not {FORMAT}")
    names = stored["members"]
    if not names or not all(isinstance(name, str) for name in names):
        raise _damaged(path, "its members are no list of names")
    try:
        stored["model"] = restore(stored["combiner"])
        classes = getattr(stored["model"], "classes_", None)
        stored["n_columns"] = int(stored["model"].n_features_in_)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if (classes is None) != (stored["task"] == "regression"):
        raise _damaged(path, "its classes do not fit its task")
    stored["classes"] = classes
    stored["names"] = _names(path, stored.get("submission"))
    return stored


def _names(path, given):
    try:
        names = Names(**given)
    except TypeError as error:
        raise _damaged(path, f"its submission: {error}") from None
    texts = [names.prediction, *(names.columns or []), *([names.id] * bool(names.id))]
    if not all(isinstance(text, str) for text in texts):
        raise _damaged(path, "the columns of its submission have no names")
    return names


def _parsed(path):
    try:
        if os.path.getsize(path) > _LARGEST:
            raise _damaged(path, f"it has more than {_LARGEST} bytes")
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise FileError(
            path, None, f"cannot be read: {error.strerror}.", "Check the path."
        ) from None
    except json.JSONDecodeError as error:
        raise FileError(
            path, error.lineno, f"is no JSON: {error.msg}.", _ADVICE
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise _damaged(path, f"it is no JSON ({error})") from None


_ADVICE = "Give the weights.json that `ensemblekit blend` wrote."


def _damaged(path, why):
    return FileError(path, None, f"is no stored blend: {why}.", _ADVICE)


def _weights_text(blend, method, names):
    stored = {
        "format": FORMAT,
        "ensemblekit": version("ensemblekit"),
        "task": blend.task,
        "metric": blend.metric,
        "reads": blend.reads,
        "method": method,
        "members": list(blend.names),
        "submission": asdict(names),
        "weights": blend.weights_of(method),
        "combiner": store(blend.models[method]),
    }
    return json.dumps(stored, indent=1, allow_nan=False) + "\n"


def _code(blend, source):
    return blend.snippet if source is None else write_snippet(blend, read_code(source))


def _reports(blend, bank):
    """Return the report's files, where what makes the page is installed."""
    if not all(find_spec(name) for name in ("ensemblekit.report", "jinja2")):
        return {}
    report = import_module("ensemblekit.report").EnsembleReport.from_blend(
        blend, bank, findings=find_bank_hints(bank) if hasattr(bank, "rules") else ()
    )
    return {"report.html": report.to_html(), "report.json": report.to_json() + "\n"}
