"""Predictions must be finite numbers, and of classes probabilities."""

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FileError
from ._parts import Table

RANGE_TOLERANCE = 1e-9
_SLACK = 1e-6
SUM_TOLERANCE = 1e-3
# Digits that predictions are rounded to by hand, and how far single precision is off
# whole numbers of the last digit.
ROUNDED = (3, 2)
ROUNDING_TOLERANCE = 1e-4
ADVICE_ON_RANGE = (
    "Write predict_proba's output, or say that the target holds values; for a metric "
    "that reads only the order (roc_auc), write ranks / n or a sigmoid of the scores."
)


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


def check_probabilities(path, values: NDArray, first: int = 0, line=None) -> None:
    """Refuse values outside [0, 1] and rows of several that do not sum to 1.

    line : of the file, by the row; None where it has no lines
    """
    low, high = values.min(), values.max()
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        raise FileError(
            path,
            None,
            f"holds values from {low:.4g} to {high:.4g}; probabilities in [0, 1] are "
            "needed.",
            ADVICE_ON_RANGE,
        )
    wrong = np.flatnonzero(~sums_to_one(values)) if values.shape[1] > 1 else values[:0]
    if wrong.size:
        row = first + int(wrong[0])
        at = None if line is None else line(row)
        total = values[wrong[0]].sum(dtype=np.float64)
        raise FileError(
            path,
            at,
            f"{'' if at is not None else f'row {row}: '}the {values.shape[1]} "
            f"probabilities sum to {total:.6g}, not 1 ({wrong.size} such rows).",
            "Write predict_proba's output as it is.",
        )


def sums_to_one(values: NDArray) -> NDArray:
    """Return which rows sum to 1, but for rounding.

    K numbers rounded to d digits may sum to 1 -+ K / 2 / 10^d.

    Examples
    --------
    >>> sums_to_one(np.array([[0.333, 0.333, 0.333], [0.3331, 0.3331, 0.3323]]))
    array([ True, False])
    """
    n_columns = values.shape[1]
    off = np.abs(values.sum(axis=1, dtype=np.float64) - 1.0)
    fits = off <= SUM_TOLERANCE + RANGE_TOLERANCE
    for digits in ROUNDED:
        left = np.flatnonzero(~fits)
        if not left.size:
            break
        parts = values[left].astype(np.float64) * 10.0**digits
        rounded = np.abs(parts - np.rint(parts)).max(axis=1) < ROUNDING_TOLERANCE
        near = off[left] <= 0.5 * n_columns / 10.0**digits + RANGE_TOLERANCE
        fits[left[rounded & near]] = True
    return fits


def summed_to_one(values: NDArray) -> NDArray:
    """Return rows that rounding kept from summing to 1 divided by their sums."""
    if values.shape[1] == 1:
        return values
    sums = values.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE - _SLACK  # later checks sum otherwise
    if not off.any():
        return values
    values = values.copy()
    values[off] /= sums[off, None]
    return values
