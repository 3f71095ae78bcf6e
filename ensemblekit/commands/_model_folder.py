"""A fitted model in a folder: model.skops, and model.json that says what it takes."""

import hashlib
import json
import platform
import sys
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from .._model_files import TRUSTED, is_trusted, trusted_packages
from ..exceptions import FileError
from ..files._open import check_regular, system_errors
from ._facts import ADVICE, FORMAT, read_facts
from ._features import Column
from ._members_file import CLOSED, PACKAGES

MODEL, FACTS = "model.skops", "model.json"
_STATED = ("numpy", "scikit-learn", "skops")
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "xgboost": "xgboost"}
_MAX_MODEL = 2**33
# Where all classes are plain data or estimators.
_PLAIN = (
    "sklearn.",
    "ensemblekit.combine.",
    "ensemblekit.convex.",
    "ensemblekit.selection.",
)


@dataclass
class Stored:
    """What was read of a folder."""

    model: Any
    columns: list[Column]
    facts: dict[str, Any]
    notes: list[str]


def dump(model: Any) -> bytes:
    """Return a fitted stack as bytes.

    Raises
    ------
    ValueError
        If skops cannot write one of its members, or would not read it again.
    """
    import skops.io

    model.set_params(memory=None, verbose=0)  # of the fit, not of the model
    model.cross_fit_.set_params(memory=None, verbose=0)
    try:
        data = skops.io.dumps(model)
        refused = _refused(data, packages_of(model))
    except Exception as error:  # of a member's own code: any may be raised
        problem = str(error).partition("\n")[0]
        raise ValueError(f"skops cannot write the model: {problem}") from error
    if refused:
        raise ValueError(
            f"the model holds {refused}, which would not be trusted when it is read."
        )
    return data


def packages_of(model: Any) -> list[str]:
    """Return the packages that the model's classes come from, ours included."""
    return sorted((trusted_packages(model) | {"ensemblekit", "sklearn"}) & {*PACKAGES})


def versions_of(packages) -> dict[str, str]:
    """Return versions of Python, of these packages and of what they stand on."""
    names = {_DISTRIBUTIONS.get(name, name) for name in packages} | {*_STATED}
    found = {name: _version(name) for name in sorted(names)}
    return {"python": platform.python_version(), **found}


def _version(name):
    module = {"scikit-learn": "sklearn"}.get(name, name)
    try:  # the CPU build of xgboost goes by another name
        return getattr(import_module(module), "__version__", None) or version(name)
    except (ImportError, PackageNotFoundError):
        return "unknown"


def facts_text(facts: dict[str, Any], columns: list[Column], data: bytes) -> str:
    """Return the text of model.json."""
    content = {
        "format": FORMAT,
        **facts,
        "columns": [column.to_dict() for column in columns],
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def load(folder: Path) -> Stored:
    """Read a folder; classes of the members' packages are made, nothing is executed.

    Raises
    ------
    FileError
        If a file is missing, damaged, of another fit, or holds other types.
    """
    if not folder.is_dir():
        raise FileError(folder, None, "is no folder.", ADVICE)
    facts = read_facts(folder / FACTS)
    path = folder / MODEL
    if check_regular(path) > _MAX_MODEL:
        raise FileError(path, None, "is larger than 8 GB.")
    with system_errors(path):
        data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise FileError(
            path, None, f"is not the file that {FACTS} beside it describes.", ADVICE
        )
    model = _load_model(path, data, facts["packages"])
    columns = [Column(**entry) for entry in facts["columns"]]
    _check_facts(folder / FACTS, facts, model)
    return Stored(model, columns, facts, _changed_versions(facts))


def _check_facts(path, facts, model):
    """Refuse what the model, which has a digest, knows better."""
    classes = getattr(model, "classes_", None)
    known = {
        "classes": None if classes is None else classes.tolist(),
        "columns": model.feature_names_in_.tolist(),  # fitted to a data frame
    }
    said = {**facts, "columns": [column["name"] for column in facts["columns"]]}
    for key, expected in known.items():
        if said[key] != expected:
            problem = f"says of {key!r} what is not so in {MODEL} beside it."
            raise FileError(path, None, problem, ADVICE)


def _load_model(path, data, packages):
    import skops.io

    for name in packages:
        if not find_spec(name):
            raise FileError(path, None, f"needs {name}.", f"Run pip install {name}.")
        import_module(name)
    try:
        _check_archive(data)
        refused = _refused(data, packages)
        if not refused:
            names = skops.io.get_untrusted_types(data=data)
            return _check_model(path, skops.io.loads(data, trusted=names))
    except FileError:
        raise
    except Exception as error:  # of a damaged file skops may raise any
        problem = str(error).partition("\n")[0][:200]
        raise FileError(
            path, None, f"cannot be read ({problem}).", "Fit the model again."
        ) from None
    raise FileError(
        path,
        None,
        f"holds {refused}, which are no classes of {packages}: it was not opened.",
        "Take no model from strangers.",
    )


def _check_archive(data):
    with zipfile.ZipFile(BytesIO(data)) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its entry {entry.filename} is compressed")


def _check_model(path, model):
    from .._stacked import Stacked

    if not isinstance(model, Stacked):
        raise FileError(path, None, "holds no stacked estimator.", ADVICE)
    return model


def _refused(data, packages):
    import skops.io

    trusted, found = frozenset(packages), skops.io.get_untrusted_types(data=data)
    for name in found:
        _import_owner(name, trusted)
    return [name for name in found if name not in TRUSTED and not _fits(name, trusted)]


def _fits(name, trusted):
    """Return whether a class of these packages is what a fitted model is made of.

    Others could be made too, but read or write files as they are: our cache, or data
    sets of boosting packages.
    """
    if not is_trusted(name, trusted):
        return False
    module, _, kind = name.rpartition(".")
    return (
        module.startswith(_PLAIN)
        or kind == "Booster"
        or hasattr(getattr(sys.modules[module], kind), "get_params")
    )


def _import_owner(name, trusted):
    """Import the module that a class is said to be of, in a trusted package only."""
    module = name.rpartition(".")[0]
    parts = module.split(".")
    if parts[0] not in trusted or not CLOSED.isdisjoint(parts):
        return
    with suppress(ImportError):
        import_module(module)


def _changed_versions(facts):
    here = versions_of(facts["packages"])
    changed = [
        f"{name} {written} (here {here[name]})"
        for name, written in facts["versions"].items()
        if name != "python" and here.get(name, written) != written
    ]
    if not changed:
        return []
    return [
        f"the model was fitted with {', '.join(changed)}: predictions may differ, so "
        "check some, or fit again"
    ]
