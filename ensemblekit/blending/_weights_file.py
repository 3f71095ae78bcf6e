"""A stored blend as read from its file: every value checked, nothing executed."""

import os
from dataclasses import fields as names_of
from pathlib import Path

from ..combine._base import own_weights
from ..exceptions import FileError
from ..files._json import read_object
from ._fields import shown
from ._result import FORMAT
from ._stored import restore
from ._submission import Names, _class_of_each, _levels_of_each

ADVICE = "Give the weights.json that `ensemblekit blend` wrote."
_LARGEST = 2**29
_KEYS: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "ensemblekit": (str,),
    "task": (str,),
    "metric": (str,),
    "reads": (str,),
    "method": (str,),
    "members": (list,),
    "submission": (dict,),
    "weights": (dict, type(None)),
    "combiner": (dict,),
}
_READS = {
    "regression": ("values",),
    "classification": ("probabilities", "labels"),
    "quantile": ("quantiles",),
}


def read_weights(path: str | os.PathLike) -> dict:
    """Read a stored blend; every value is checked, nothing is executed.

    Returns
    -------
    stored : dict
        The file's entries, `classes` as an array or None, ``names``, ``n_columns`` and
        ``model``.

    Raises
    ------
    FileError
        If it is no stored blend; names the field.
    """
    stored = read_object(Path(path), _LARGEST, ADVICE)
    try:
        _check_keys(stored)
        _check_members(stored["members"])
        _check_order(stored)
        model = restore(stored["combiner"], len(stored["members"]))
        stored["model"], stored["n_columns"] = model, model.n_features_in_
        stored["classes"] = getattr(model, "classes_", None)
        _check_task(stored)
        _check_weights(stored)
        stored["names"] = _names(stored)
        _check_levels(stored)
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from None
    return stored


def damaged(path, why):
    """Return the error of a file that is no stored blend."""
    return FileError(path, None, f"is no stored blend: {why}.", ADVICE)


def _check_keys(stored):
    for key, kinds in _KEYS.items():
        if type(stored.get(key, ...)) not in kinds:
            raise ValueError(f"it has no {key!r} of type {kinds[0].__name__}")
    strangers = sorted(stored.keys() - _KEYS.keys())
    if strangers:
        raise ValueError(f"it has an unknown entry {shown(strangers[0])}")
    if stored["format"] != FORMAT:
        raise ValueError(f"it is of format {shown(stored['format'])}, not {FORMAT}")


def _check_members(names):
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("its members are no list of names")
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice among its members")


def _check_order(stored):
    """Refuse names in another order than the combiner's, where no weights tell it."""
    of_combiner = stored["combiner"].pop("members", None)
    if of_combiner is None and stored["weights"] is not None:
        return
    if of_combiner != stored["members"]:
        raise ValueError("its members are not combiner.members, in their order")


def _check_task(stored):
    task, reads = stored["task"], stored["reads"]
    if reads not in _READS.get(task, ()):
        raise ValueError(f"its task is {shown(task)}, of which it reads {shown(reads)}")
    if (stored["classes"] is None) != (task != "classification"):
        raise ValueError("its classes do not fit its task")


def _check_weights(stored):
    """Refuse weights by name that are not the combiner's, which are those used."""
    names, given = stored["members"], stored["weights"]
    own = own_weights(stored["model"], len(names))
    if own is None and given is None:
        return
    if own is None or given is None:
        raise ValueError("its weights are not those of its combiner")
    if list(given) != names:
        raise ValueError("its weights are not of its members, in their order")
    for name, weight in zip(names, own.tolist(), strict=True):
        if not _is_close(given[name], weight):
            raise ValueError(
                f"its weights say {shown(given[name])} of {shown(name)}, and "
                f"combiner.values.weights_ says {weight!r}, which predictions are made "
                "of; to change a weight, edit both alike"
            )


def _is_close(given, weight):
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    known = is_number and abs(given) < 1e300  # no int too large to be subtracted
    return known and abs(given - weight) <= 1e-9 * max(1.0, abs(weight))


def _names(stored):
    given = stored["submission"]
    if given.keys() != {field.name for field in names_of(Names)}:
        raise ValueError(f"its submission has the entries {shown(sorted(given))}")
    names = Names(**given)
    listed = names.columns
    if not isinstance(names.prediction, str) or not isinstance(names.id, str | None):
        raise ValueError("the columns of its submission have no names")
    if names.prediction == names.id:
        raise ValueError("its submission has one name for ids and predictions")
    if listed is not None:
        _check_columns(listed, names.id, stored)
    return names


def _levels_of(model):
    levels = getattr(model, "quantile_levels_", None)
    levels = getattr(model, "quantile_levels", None) if levels is None else levels
    return None if levels is None else [float(level) for level in levels]


def _check_levels(stored):
    """Refuse levels that are not the combiner's."""
    given, own = stored["names"].levels, _levels_of(stored["model"])
    if given != own or (given is None) != (stored["task"] != "quantile"):
        raise ValueError("submission.levels are not those of its combiner and task")


def _check_columns(listed, id_name, stored):
    """Refuse columns that are not one for each number predicted."""
    texts = isinstance(listed, list) and all(isinstance(name, str) for name in listed)
    if not texts or len({*listed, id_name}) != len(listed) + 1:
        raise ValueError("submission.columns is no list of different names")
    if stored["reads"] == "quantiles":
        _levels_of_each(listed, _levels_of(stored["model"]), "submission.columns")
        return
    several = stored["reads"] == "probabilities"
    n_classes = len(stored["classes"]) if several else 1
    if several and len(listed) == n_classes:
        _class_of_each(listed, stored["classes"], "submission.columns")
    elif len(listed) != 1 or n_classes > 2:
        raise ValueError(f"submission.columns names {len(listed)} columns")
