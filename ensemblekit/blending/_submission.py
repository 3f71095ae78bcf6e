"""Predictions as columns of a table, by the names that a sample submission has."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..exceptions import FileError
from ..files._align import Rows, in_file_order
from ..files._bools import as_digits
from ..files._content import read_table
from ..files._ids import as_same_kind, canonical, check_unique, positions
from ..files._parts import Table
from ..files._quantiles import level_of
from ..files._sample import find_classes, find_sample_id


@dataclass(frozen=True)
class Names:
    """Names of a submission's columns.

    id : str or None for ``id``; without ids rows are numbered, in a column ``row``
    prediction : str, start of the names of the prediction columns
    columns : those of a sample submission, or None
    levels : levels of quantiles, or None
    """

    id: str | None = None
    prediction: str = "prediction"
    columns: list[str] | None = None
    levels: list[float] | None = None

    @classmethod
    def of(cls, bank, sample, reads, classes, levels=None):
        """Return the names that the sample, the test files or the target have."""
        target = getattr(bank, "target", None)
        own = getattr(bank, "test_id_column", None)
        own = own or getattr(target, "id_column", None)
        column = getattr(target, "column", None) or "prediction"
        names = cls(own, column, levels=None if levels is None else list(levels))
        return names if sample is None else names.like(sample, reads, classes)

    def like(self, sample, reads, classes):
        """Return the names of a sample submission.

        Raises
        ------
        FileError
            If its columns are not what the metric reads.
        """
        columns = list(read_table(Path(sample)).columns)
        first = find_sample_id(columns, self.id, self.prediction, classes, self.levels)
        given = [name for name in columns if name != first]
        if self.levels is not None:
            _levels_of_each(given, self.levels, sample)
            return replace(self, id=first, columns=given)
        several = reads == "probabilities" and len(given) == len(classes)
        if several:
            _class_of_each(given, classes, sample)
        single = reads != "probabilities" or len(classes) == 2
        if not (several or (len(given) == 1 and single)):
            expected = "one" if single else f"{len(classes)}, one for each class"
            raise FileError(
                sample,
                None,
                f"has the prediction columns {given[:10]}; expected {expected}.",
                "Give the sample submission of this target and metric.",
            )
        return replace(self, id=first, columns=given)


def spelling_notes(names, sample, reads, classes):
    """Say so where a sample submission spells False and True in another way.

    reads : what the metric reads; labels alone are written
    """
    if sample is None or reads != "labels" or not names.columns:
        return []
    column = names.columns[0]
    table = read_table(Path(sample), id_name=column)
    texts = np.unique(table.texts.get(column, table.columns[column]).astype(np.str_))
    cells, labels = np.char.strip(texts).tolist(), [str(label) for label in classes]
    of_bools = all(set(as_digits(np.array(t))) <= {"0", "1"} for t in (cells, labels))
    if not of_bools or {*cells} <= {*labels}:
        return []
    return [
        f"{sample}: column {column!r} holds {', '.join(cells)}, and labels are written "
        f"as in the target, {' and '.join(labels)}; check which of them is asked for"
    ]


def oof_columns(blend, bank):
    """Return the columns of oof_blend.csv: id, fold and the nested predictions."""
    levels = blend.library.quantile_levels
    names = Names.of(bank, None, blend.reads, blend.classes, _as_list(levels))
    ids = getattr(bank, "ids", None)
    own = replace(names, id=getattr(getattr(bank, "target", None), "id_column", None))
    first = _first(ids, own, blend.n_samples) | {"fold": blend.folds}
    prediction = blend.held_out[blend.best]
    if blend.reads == "labels":
        return first | {"prediction": _labels(blend.classes, prediction)}
    if names.levels is not None:
        return first | _by_level(names.levels, prediction, "prediction")
    return first | _by_class(blend.classes, prediction, "prediction")


def test_columns(prediction, classes, ids, names):
    """Return the columns of a submission.

    prediction : (n,) values or labels, (n, n_classes) or (n, n_levels)
    ids : (n,) or None
    """
    first, given = _first(ids, names, len(prediction)), names.columns
    if names.levels is not None:
        return first | _quantiles(prediction, names)
    if given is None:
        return first | _by_class(classes, prediction, names.prediction)
    if prediction.ndim == 1:
        return first | {given[0]: prediction}
    if len(given) == 1:
        return first | {given[0]: prediction[:, 1]}
    order = _class_of_each(given, classes)
    return first | {name: prediction[:, order[name]] for name in given}


def in_order_of(sample, names, prediction, ids):
    """Put predictions in the order of a sample submission; return them and its ids.

    Without ids of their own they are taken to stand in that order already.

    Raises
    ------
    FileError
        If their number or their ids are others than those of the sample.
    """
    table = read_table(Path(sample), id_name=names.id)
    if names.id is None or ids is None:
        in_file_order(
            "the test predictions", len(prediction), Rows(table.n_rows, None, sample)
        )
    if names.id is None:
        return prediction, None
    wanted = canonical(table, names.id)
    check_unique(table, names.id, wanted)
    if ids is None:
        return prediction, wanted
    own = Table(Path("the test predictions"), {})
    rows = positions(own, *as_same_kind(np.asarray(ids), wanted), sample)
    return prediction[rows], wanted


def _first(ids, names, n_rows):
    """Ids, or row numbers, which never bear the name of ids."""
    if ids is not None:
        return {names.id or "id": ids}
    without = names.columns is not None and names.id is None
    return {} if without else {"row": np.arange(n_rows)}


def _class_of_each(names, classes, where="the sample submission"):
    """Return the class of each column, by its name."""
    labels = [str(label) for label in classes]
    found = find_classes(list(names), classes)
    if not found:
        raise FileError(
            where,
            None,
            f"has the columns {list(names)[:10]}; which class each is, is not said.",
            f"Name them by the classes {labels[:10]}, or class_<label>.",
        )
    return found


def _levels_of_each(columns, levels, where="the sample submission"):
    """Return the place of each column's level, by its name."""
    found = {name: (level_of(name) or ("", None))[1] for name in columns}
    if sorted(found.values(), key=str) != sorted(levels, key=str):
        raise FileError(
            where,
            None,
            f"has the prediction columns {list(columns)[:10]}; expected one for each "
            f"of the quantile levels {levels}.",
            "Name them by their levels, such as q0.1.",
        )
    return {name: levels.index(level) for name, level in found.items()}


def _quantiles(prediction, names):
    """Return a column for each level, by the names of the sample where there is one."""
    if names.columns is None:
        return _by_level(names.levels, prediction, names.prediction)
    places = _levels_of_each(names.columns, names.levels)
    return {name: prediction[:, places[name]] for name in names.columns}


def _by_level(levels, prediction, name):
    return {f"{name}_q{level!r}": prediction[:, k] for k, level in enumerate(levels)}


def _as_list(values):
    return None if values is None else values.tolist()


def _by_class(classes, prediction, name):
    if prediction.ndim == 1:
        return {name: prediction}
    if len(classes) == 2:
        return {name: prediction[:, 1]}
    return {f"{name}_{label}": prediction[:, k] for k, label in enumerate(classes)}


def _labels(classes, codes):
    """Return labels as text; an empty cell where there is none."""
    known = ~np.isnan(codes)
    labels = np.full(len(codes), "", dtype=object)
    labels[known] = [str(label) for label in classes[codes[known].astype(np.int64)]]
    return labels.astype(np.str_)
