"""PredictionLibrary: named members' predictions with the truth they are judged by."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import layout
from ._npz import read_npz, write_npz

__all__ = ["PredictionLibrary"]

_FORMAT = 1
_OPTIONAL = ("classes", "quantile_levels", "folds", "sample_weight", "P_test")


class PredictionLibrary:
    """Out-of-fold predictions of named members, with the targets and the folds.

    All that a combiner needs, whether the members were cross-fitted here or elsewhere.
    Rows of P are held-out predictions: the members that predicted a row were not
    trained on it.

    Parameters
    ----------
    P : array-like of shape (n_samples, n_members * n_outputs)
        Predictions, member by member. Binary classification: probability of
        ``classes[1]``; K > 2 classes: K columns a member; quantiles: one column a
        level; regression: one column.
    y : array-like of shape (n_samples,)
        Targets, or labels out of `classes`.
    names : sequence of str
        Distinct member names, in column order.
    classes : array-like of shape (n_classes,), default=None
        Sorted labels; given for classification only.
    quantile_levels : array-like of shape (n_levels,), default=None
        Ascending levels in (0, 1); given for quantile predictions only.
    folds : array-like of shape (n_samples,), int, default=None
        Fold in which each row was held out.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative row weights.
    P_test : array-like of shape (n_test, n_members * n_outputs), default=None
        The same members' predictions for rows without known target.

    Attributes
    ----------
    task : {"regression", "classification", "quantile"}
    n_samples, n_members, n_outputs : int

    Raises
    ------
    ValueError, TypeError
        If shapes disagree, names repeat, a prediction is NaN or infinite (the message
        names member and row), or a label is not in `classes`.

    Examples
    --------
    >>> library = PredictionLibrary.from_arrays(
    ...     {"ridge": [1.0, 2.0, 2.5], "forest": [0.5, 2.0, 3.5]}, y=[1.0, 2.0, 3.0])
    >>> library
    PredictionLibrary(regression: 2 members, 3 rows, 0 test rows)
    >>> library.select(["forest"]).P.tolist()
    [[0.5], [2.0], [3.5]]
    """

    def __init__(
        self,
        P: ArrayLike,
        y: ArrayLike,
        names: Sequence[str],
        *,
        classes: ArrayLike | None = None,
        quantile_levels: ArrayLike | None = None,
        folds: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        P_test: ArrayLike | None = None,
    ):
        self.names = _check_names(names)
        self.y = _plain(y, "y")
        self.classes = _check_classes(classes, self.y)
        self.quantile_levels = _check_levels(quantile_levels, classes)
        self.folds = _per_row(folds, len(self.y), "folds", "iu")
        self.sample_weight = _per_row(
            sample_weight, len(self.y), "sample_weight", "iuf"
        )
        if self.sample_weight is not None and self.sample_weight.min() < 0:
            raise ValueError("sample_weight has negative values; expected >= 0.")
        self.P = self._check_matrix(P, len(self.y), "P")
        self.P_test = (
            None if P_test is None else self._check_matrix(P_test, None, "P_test")
        )

    @classmethod
    def from_arrays(
        cls,
        predictions: Mapping[str, Any],
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        quantile_levels: ArrayLike | None = None,
        folds: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        test_predictions: Mapping[str, Any] | None = None,
    ) -> Self:
        """Build a library from one array per member.

        Parameters
        ----------
        predictions : mapping of str to array-like
            Member name to held-out predictions of shape (n,), (n, 1), (n, n_classes) or
            (n, n_levels). A data frame's columns, where they are the class labels, must
            stand in the order of `classes`.
        y : array-like of shape (n,)
            Targets or labels. Without `classes` and `quantile_levels`, labels that are
            strings, or bools, make the task a classification.
        classes, quantile_levels, folds, sample_weight : array-like, default=None
            As for the class itself. Give `classes` for integer labels.
        test_predictions : mapping of str to array-like, default=None
            The same members' predictions of other rows.

        Returns
        -------
        library : PredictionLibrary

        Raises
        ------
        ValueError, TypeError
            If a member's array does not fit, or the test predictions are those of
            other members.

        Examples
        --------
        >>> library = PredictionLibrary.from_arrays(
        ...     {"a": [[0.9, 0.1], [0.2, 0.8]], "b": [0.3, 0.6]}, y=["no", "yes"])
        >>> library.P.tolist()
        [[0.1, 0.3], [0.8, 0.6]]
        """
        if len(predictions) == 0:
            raise ValueError("predictions is empty; expected at least one member.")
        labels = _plain(y, "y")
        if classes is None and quantile_levels is None and labels.dtype.kind in "Ub":
            classes = np.unique(labels)
        n_outputs = _n_outputs(classes, quantile_levels)
        P = _join(predictions, n_outputs, len(labels), classes)
        P_test = None
        if test_predictions is not None:
            P_test = _join_test(test_predictions, list(predictions), n_outputs, classes)
        return cls(
            P,
            labels,
            list(predictions),
            classes=classes,
            quantile_levels=quantile_levels,
            folds=folds,
            sample_weight=sample_weight,
            P_test=P_test,
        )

    @property
    def task(self) -> str:
        """``"classification"``, ``"quantile"`` or ``"regression"``."""
        if self.classes is not None:
            return "classification"
        return "regression" if self.quantile_levels is None else "quantile"

    @property
    def n_samples(self) -> int:
        """Number of rows with a known target."""
        return len(self.y)

    @property
    def n_members(self) -> int:
        """Number of members."""
        return len(self.names)

    @property
    def n_outputs(self) -> int:
        """Columns of P per member."""
        return _n_outputs(self.classes, self.quantile_levels)

    @property
    def cube(self) -> NDArray:
        """P as (n_members, n_samples, n_outputs)."""
        return layout.to_cube(self.P, self.n_outputs)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns of P."""
        if self.n_outputs == 1:
            return list(self.names)
        outputs = self.classes if self.classes is not None else self.quantile_levels
        return layout.column_names(self.names, [str(output) for output in outputs])

    def select(self, names: Sequence[str]) -> Self:
        """Keep the named members, in the given order.

        Parameters
        ----------
        names : list of str
            Some of `names`, each once.

        Returns
        -------
        library : PredictionLibrary
            With copies of their columns.

        Raises
        ------
        ValueError
            If a name is unknown, or repeated.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown or isinstance(names, str):
            raise ValueError(
                f"Unknown members {unknown}. Expected a list of some of {self.names}."
            )
        members = [self.names.index(name) for name in names]
        P_test = None if self.P_test is None else self._columns(self.P_test, members)
        return type(self)(
            self._columns(self.P, members),
            self.y,
            names,
            P_test=P_test,
            **self._context(),
        )

    def merge(self, other: Self) -> Self:
        """Join the members of two libraries on the same rows.

        Parameters
        ----------
        other : PredictionLibrary
            With members of other names.

        Returns
        -------
        library : PredictionLibrary
            Members of this library first.

        Raises
        ------
        ValueError
            If targets, classes (or their order), levels, folds or weights differ, a
            name is in both, or only one has test predictions.
        """
        self._check_mergeable(other)
        P_test = None
        if self.P_test is not None and other.P_test is not None:
            P_test = np.hstack([self.P_test, other.P_test])
        return type(self)(
            np.hstack([self.P, other.P]),
            self.y,
            self.names + other.names,
            P_test=P_test,
            **self._context(),
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write one npz file without pickle; the file appears whole or not at all.

        Parameters
        ----------
        path : str or PathLike
            Of the file, replaced where it exists.
        """
        arrays = {"format": np.array(_FORMAT), "P": self.P, "y": self.y}
        arrays["names"] = np.array(self.names, dtype=np.str_)
        for key in _OPTIONAL:
            if getattr(self, key) is not None:
                arrays[key] = getattr(self, key)
        write_npz(Path(path), arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a library written by `save`; nothing in the file is executed.

        Parameters
        ----------
        path : str or PathLike
            Of the file.

        Returns
        -------
        library : PredictionLibrary

        Raises
        ------
        ValueError
            If the file is no library, is damaged, or holds Python objects.
        """
        arrays = read_npz(Path(path))
        missing = {"format", "P", "y", "names"} - arrays.keys()
        if missing or not np.array_equal(arrays["format"], _FORMAT):
            raise ValueError(
                f"{path} is no prediction library of format {_FORMAT}: "
                + (f"it lacks {sorted(missing)}." if missing else "its format differs.")
            )
        options = {key: arrays[key] for key in _OPTIONAL if key in arrays}
        return cls(arrays["P"], arrays["y"], arrays["names"].tolist(), **options)

    def __repr__(self):
        n_test = 0 if self.P_test is None else len(self.P_test)
        return (
            f"{type(self).__name__}({self.task}: {self.n_members} members, "
            f"{self.n_samples} rows, {n_test} test rows)"
        )

    def _context(self):
        keys = ("classes", "quantile_levels", "folds", "sample_weight")
        return {key: getattr(self, key) for key in keys}

    def _columns(self, P, members):
        return layout.from_cube(layout.to_cube(P, self.n_outputs)[members])

    def _check_matrix(self, P, n_rows, label):
        P = np.asarray(P)
        if P.dtype.kind not in "fiub" or P.ndim != 2:
            raise ValueError(
                f"{label} must be a two-dimensional array of numbers; got shape "
                f"{P.shape} of {P.dtype}."
            )
        expected = (
            len(P) if n_rows is None else n_rows,
            len(self.names) * self.n_outputs,
        )
        if P.shape != expected:
            raise ValueError(
                f"{label} has shape {P.shape}; expected {expected}: "
                f"{len(self.names)} members with {self.n_outputs} columns each."
            )
        layout.check_finite(P, self.column_names)
        if self.classes is not None:
            layout.check_probabilities(P, len(self.classes), self.column_names)
        return P

    def _check_mergeable(self, other):
        for key in ("y", *self._context()):
            ours, theirs = getattr(self, key), getattr(other, key)
            if not np.array_equal(ours, theirs):
                raise ValueError(
                    f"The libraries differ in {key}; merge needs equal rows."
                )
        if (self.P_test is None) != (other.P_test is None):
            raise ValueError("Only one of the libraries has test predictions.")
        if self.P_test is not None and len(self.P_test) != len(other.P_test):
            raise ValueError(
                f"The libraries have {len(self.P_test)} and {len(other.P_test)} rows "
                "of test predictions."
            )


def _n_outputs(classes, quantile_levels):
    if quantile_levels is not None:
        return len(quantile_levels)
    return 1 if classes is None else layout.n_outputs_for(len(classes))


def _plain(values, label):
    """Return a one-dimensional array without Python objects."""
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"{label} must be one-dimensional, not empty; got {array.shape}."
        )
    if array.dtype.kind in "OT":  # pandas and polars hold strings as objects
        if not all(isinstance(value, str) for value in array):
            raise TypeError(
                f"{label} mixes types; expected all numbers or all strings."
            )
        array = array.astype(np.str_)
    if array.dtype.kind not in "biufU":
        raise TypeError(
            f"{label} is of type {array.dtype}; expected numbers or strings."
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{label} is NaN or infinite at row {row}.")
    return array


def _check_names(names):
    names = [str(name) for name in names]
    if not names:
        raise ValueError("names is empty; expected at least one member.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Member names repeat: {repeated}. Each needs a name of its own."
        )
    return names


def _check_classes(classes, y):
    if classes is None:
        if y.dtype.kind in "Ub":
            raise ValueError("y holds labels; give classes=np.unique(y).")
        return None
    classes = _plain(classes, "classes")
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise ValueError(
            "classes must be two or more distinct labels in sorted order; "
            f"got {classes.tolist()}."
        )
    strangers = np.flatnonzero(~np.isin(y, classes))
    if strangers.size:
        row = strangers[0]
        raise ValueError(
            f"y has the label {y[row].item()!r} (row {row}); expected one of "
            f"{classes.tolist()}."
        )
    return classes


def _check_levels(levels, classes):
    if levels is None:
        return None
    if classes is not None:
        raise ValueError("Give classes or quantile_levels, not both.")
    return layout.check_levels(levels)


def _per_row(values, n_samples, label, kinds):
    if values is None:
        return None
    array = np.asarray(values)
    if array.dtype.kind not in kinds or array.shape != (n_samples,):
        raise ValueError(
            f"{label} must hold one number for each of the {n_samples} rows; got shape "
            f"{array.shape} of {array.dtype}."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{label} has NaN or infinite values.")
    return array


def _join(predictions, n_outputs, n_rows, classes):
    for name, values in predictions.items():
        _check_class_order(name, values, classes)
    binary = classes is not None and len(np.asarray(classes)) == 2
    blocks = [
        layout.member_block(values, n_outputs, n_rows, name, binary=binary)
        for name, values in predictions.items()
    ]
    return np.hstack(blocks)


def _join_test(predictions, names, n_outputs, classes):
    if sorted(predictions) != sorted(names):
        raise ValueError(
            f"test_predictions are those of {sorted(predictions)}; expected the "
            f"members {sorted(names)}."
        )
    n_rows = len(predictions[names[0]])
    return _join({n: predictions[n] for n in names}, n_outputs, n_rows, classes)


def _check_class_order(name, values, classes):
    columns = getattr(values, "columns", None)
    if classes is None or columns is None:
        return
    given, expected = [str(c) for c in columns], [str(c) for c in np.asarray(classes)]
    if given != expected and sorted(given) == sorted(expected):
        raise ValueError(
            f"Member {name!r} has its classes in the order {given}; "
            f"expected {expected}."
        )
