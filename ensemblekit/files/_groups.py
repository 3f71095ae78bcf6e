"""Which columns of a table belong to which member."""

import re

import numpy as np

from ..exceptions import FileError
from ._columns import _PREDICTION
from ._names import STRIPPED, strip_roles, words
from ._parts import Table
from ._quantiles import group_quantiles
from ._values import SUM_TOLERANCE, numbers
from .target import Target

ADVICE_ON_CLASSES = (
    "Write predict_proba's output, columns named by class; or, if the target holds "
    "values, set the task to regression."
)
Groups = list[tuple[str, list[str]]]


def group_columns(
    table: Table, names: list[str], target: Target, member: str, alone: bool
) -> tuple[Groups, list[str]]:
    """Return members with their columns in the order of the classes, and notes.

    alone : whether the file is the only one, so that columns are members
    """
    if target.levels is not None:
        return group_quantiles(table, names, target, member)
    if target.classes is None:
        return _one_each(table, names, member, alone)
    labels = [str(label) for label in target.classes]
    by_class = _by_class(names, labels, member)
    certain = len(labels) > 2  # of two classes, a_0 and a_1 may be two members
    if by_class is not None and (certain or _sum_to_one(table, by_class)):
        return by_class, _say_order(table, names, by_class, labels)
    if len(labels) == 2:
        return _binary(table, names, labels, member, alone)
    return _several_classes(table, names, labels, member)


def _one_each(table, names, member, alone):
    if len(names) == 1:
        return [(member, names)], []
    chosen = _named_last(names)
    if chosen and not alone:
        note = f"{table.path}: the last column, {chosen!r}, read; {names[:-1][:5]} not"
        return [(member, [chosen])], [note]
    prefix = "" if alone else f"{member}."
    groups = [(prefix + _column_key(name), [name]) for name in names]
    if len({name for name, _ in groups}) < len(groups):
        groups = [(prefix + name, [name]) for name in names]
    return groups, [f"{table.path}: each of {len(names)} columns is a member"]


def _column_key(name):
    return strip_roles(name, STRIPPED[1]) or name


def _named_last(names):
    """One column named as a prediction, at the end, is the prediction."""
    named = [name for name in names if set(words(name)) & _PREDICTION]
    return names[-1] if named == names[-1:] else None


def _by_class(names, labels, member):
    """Group columns such as ``lgbm_cat``, ``lgbm_dog`` by what is beside the label."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        split = _split_label(name, labels)
        if split is None:
            return None
        rest, label = split
        if label in groups.setdefault(rest, {}):
            return None
        groups[rest][label] = name
    if any(len(group) < len(labels) for group in groups.values()):
        return None
    members = []
    for rest, group in groups.items():
        key = strip_roles(rest, STRIPPED[0] | {"class", "p", "confidence"}) or rest
        name = member if len(groups) == 1 else key
        members.append((name, [group[label] for label in labels]))
    return members if len({name for name, _ in members}) == len(members) else None


def _split_label(name, labels):
    if name in labels:
        return "", name
    for label in sorted(labels, key=len, reverse=True):
        text = re.escape(label)
        match = re.search(
            rf"(?:^|[_\-. ]){text}$|^{text}(?=[_\-. ])", name
        ) or re.search(rf"[_\-. ]{text}(?=[_\-. ])", name)
        if match:
            rest = name[: match.start()] + name[match.end() :]
            return rest.strip("_-. "), label
    return None


def _sum_to_one(table, groups):
    return all(
        np.abs(sum(numbers(table, name) for name in columns) - 1).max() < SUM_TOLERANCE
        for _, columns in groups
    )


def _say_order(table, names, groups, labels):
    if [name for _, columns in groups for name in columns] == names:
        return []
    return [f"{table.path}: columns put in the order of the classes {labels}"]


def _binary(table, names, labels, member, alone):
    unlabelled = not any(_split_label(name, labels) for name in names)
    if len(names) == 2 and unlabelled and _sum_to_one(table, [(member, names)]):
        note = f"{table.path}: two columns that sum to 1: {names[1]!r} is taken as "
        return [(member, names)], [f"{note}the probability of {labels[1]!r}"]
    if len(names) == 1:
        split = _split_label(names[0], labels)
        if split is not None and split[1] == labels[0] and not labels[0].isdigit():
            raise FileError(
                table.path,
                None,
                f"its one column, {names[0]!r}, is named after the class "
                f"{labels[0]!r}; expected the probability of {labels[1]!r}.",
                "Write 1 - p, or both columns.",
            )
    return _one_each(table, names, member, alone)


def _several_classes(table, names, labels, member):
    n_classes = len(labels)
    known = [name for name in names if name in labels]
    if known and len(known) < n_classes:
        raise FileError(
            table.path,
            None,
            f"has columns for the classes {known[:10]}; expected all of {labels[:10]}.",
            "Write the probability of each class.",
        )
    if known and len(names) > n_classes:
        note = f"{table.path}: columns of the classes read, others not"
        return [(member, labels)], [note]
    if len(names) == n_classes:
        note = f"{table.path}: columns {names[:5]} taken in the order of the classes "
        return [(member, names)], [note + f"{labels[:10]}"]
    last = [(member, names[-n_classes:])]
    if (
        len(names) > n_classes
        and _are_numbers(table, last)
        and _sum_to_one(table, last)
    ):
        return last, [f"{table.path}: the last {n_classes} columns read, others not"]
    raise FileError(
        table.path,
        None,
        f"has {len(names)} columns of predictions ({names[:5]}); expected "
        f"{n_classes}, one for each class of {labels[:10]}.",
        ADVICE_ON_CLASSES,
    )


def _are_numbers(table, groups):
    return all(
        table.columns[name].dtype.kind in "fiub"
        for _, columns in groups
        for name in columns
    )
