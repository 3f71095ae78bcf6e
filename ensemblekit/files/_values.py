"""Predictions must be finite numbers, and of classes probabilities."""

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._parts import Table

RANGE_TOLERANCE = 1e-9
SUM_TOLERANCE = 1e-3


def numbers(table: Table, name: str) -> NDArray:
    """Return a column as finite floats; refuse the rest by its line."""
    values = table.columns[name]
    if values.dtype.kind in "OU":
        _refuse_text(table, name, values)
        values = np.array([float(value) for value in values])
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        what = "missing or NaN" if np.isnan(values[bad[0]]) else "infinite"
        raise table.error(
            bad[0],
            f"the prediction in column {name!r} is {what} ({bad.size} such rows).",
            "Each row needs one finite held-out prediction.",
        )
    return values


def _refuse_text(table, name, values):
    for row, value in enumerate(values):
        try:
            number = (
                not isinstance(value, str) or "_" not in value
            )  # 1_000 is no number
            float(value if number else "")
        except (TypeError, ValueError):
            shown = "missing" if value is None else f"{str(value)[:40]!r}, no number"
            raise table.error(
                row, f"the prediction in column {name!r} is {shown}.", _advice(value)
            ) from None


def _advice(value):
    text = str(value)
    if "," in text and text.replace(",", "").replace(".", "").strip("-").isdigit():
        return "Write decimal points, and no signs between thousands."
    return "Each row needs one number."


def check_block(path, values: NDArray, probabilities: bool, first: int = 0) -> None:
    """Refuse NaN, infinity and, of a classification, what is no probability.

    values : (rows, outputs), rows from number `first` on
    """
    for error in block_errors(path, values, probabilities, first):
        raise error


def block_errors(path, values: NDArray, probabilities: bool, first: int = 0):
    """Yield all that `check_block` refuses."""
    finite = np.isfinite(values)
    if not finite.all():
        row, column = (int(at[0]) for at in np.nonzero(~finite))
        yield FileError(
            path,
            None,
            f"row {first + row}, column {column} is {values[row, column]}.",
            "Each row needs one finite held-out prediction.",
        )
        if not probabilities:
            return
        values = np.where(finite.all(axis=1)[:, None], values, 1 / values.shape[1])
    if probabilities:
        try:
            check_probabilities(path, values, first)
        except FileError as error:
            yield error


def check_probabilities(path, values: NDArray, first: int = 0) -> None:
    """Refuse values outside [0, 1] and rows of several that do not sum to 1."""
    low, high = values.min(), values.max()
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise FileError(
            path,
            None,
            f"holds values from {low:.4g} to {high:.4g}; probabilities in [0, 1] are "
            "needed.",
            "Write predict_proba's output, or say that the target holds values.",
        )
    if values.shape[1] > 1:
        sums = values.sum(axis=1, dtype=np.float64)
        wrong = np.flatnonzero(np.abs(sums - 1.0) > SUM_TOLERANCE)
        if wrong.size:
            raise FileError(
                path,
                None,
                f"row {first + wrong[0]}: the {values.shape[1]} probabilities sum to "
                f"{sums[wrong[0]]:.6g}, not 1 ({wrong.size} such rows).",
                "Write predict_proba's output as it is.",
            )
