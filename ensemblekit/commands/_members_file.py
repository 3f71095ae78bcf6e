"""A YAML file of members: plain values only, and classes of a few packages."""

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from .._sklearn import check_parameters
from ..exceptions import FileError
from ..files._open import check_regular
from ..members import encode_categories, scale_and_encode

PACKAGES = ("sklearn", "lightgbm", "xgboost", "catboost", "ensemblekit")
_KEYS = ("estimator", "params", "preprocess")
_PREPROCESS = ("default", "none")
_MAX_BYTES = 2**20
CLOSED = {"tests", "testing", "conftest", "externals", "datasets", "dask", "spark"}
_CODE = {"encode_categories": encode_categories, "scale_and_encode": scale_and_encode}
_DEPTH = 20
# Threads are the cross-fit's; what these print or write on their own is not asked for.
_OURS: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_jobs": 1, "verbose": -1},
    "xgboost": {"n_jobs": 1},
    "catboost": {"thread_count": 1, "verbose": False, "allow_writing_files": False},
}


@dataclass
class Member:
    """One entry of the file.

    encoder : name of a function of `ensemblekit.members`, or None
    """

    name: str
    estimator: str
    params: dict[str, Any] = field(default_factory=dict)
    encoder: str | None = None

    def make(self) -> Any:
        """Return the unfitted member."""
        module, _, kind = self.estimator.rpartition(".")
        model = getattr(import_module(module), kind)(**self.params)
        if self.encoder is None:
            return model
        return make_pipeline(_CODE[self.encoder](), model)

    def code(self) -> str:
        """Return Python that makes it."""
        module, _, kind = self.estimator.rpartition(".")
        given = ", ".join(f"{key}={value!r}" for key, value in self.params.items())
        model = f"{module}.{kind}({given})"
        if self.encoder is None:
            return model
        return f"make_pipeline({self.encoder}(), {model})"


def read_members(path: Path, task: str) -> list[Member]:
    """Read the file; nothing in it is executed, no other class is imported.

    Raises
    ------
    FileError
        With line and key, if the file or an entry is unfit.
    """
    if check_regular(path) > _MAX_BYTES:
        raise FileError(path, None, f"is larger than {_MAX_BYTES} bytes.")
    root = _compose(path)
    members = [
        _member(path, name, line, node, task)
        for name, line, node in _entries(path, root, "the file")
    ]
    if not members:
        raise FileError(path, None, "names no member.")
    return members


def _compose(path):
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_events(path, yaml.parse(text, Loader=yaml.SafeLoader))
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise FileError(path, None, f"cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise FileError(path, None, "is not UTF-8 text.", "Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise FileError(path, line, f"is no YAML: {problem}.") from None
    if root is None:
        raise FileError(path, None, "is empty.", _example())
    return root


def _check_events(path, events):
    """Refuse aliases, which multiply, and what is nested deeply, before it is read."""
    import yaml

    depth = 0
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise FileError(path, line, "has an alias (*name).", "Write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise FileError(path, line, f"is nested more than {_DEPTH} levels deep.")


def _check_tag(path, node):
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        line = node.start_mark.line + 1
        raise FileError(path, line, f"has the tag {node.tag}.", "Write plain values.")


def _entries(path, node, what):
    """Return (key, line, node) of a mapping; each key once."""
    import yaml

    _check_tag(path, node)
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise FileError(path, line, f"{what} is no mapping of names.", _example())
    found: list[tuple[str, int, Any]] = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = _plain(path, key)
        if not isinstance(name, str) or not name:
            raise FileError(path, line, f"the key {name!r} is no text.", "Quote it.")
        if name in [known for known, _, _ in found]:
            raise FileError(path, line, f"the key {name!r} stands twice in {what}.")
        found.append((name, line, value))
    return found


def _plain(path, node) -> Any:
    """Return numbers, texts, bools, null, lists and mappings; refuse the rest."""
    import yaml

    line = node.start_mark.line + 1
    _check_tag(path, node)
    if isinstance(node, yaml.MappingNode):
        entries = _entries(path, node, "a mapping")
        return {name: _plain(path, value) for name, _, value in entries}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(path, value) for value in node.value]
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise FileError(path, line, f"has an unfit value: {problem}.") from None
    finally:
        loader.dispose()
    if not isinstance(value, str | int | float | type(None)):
        raise FileError(
            path, line, f"holds a value of type {type(value).__name__}.", "Quote it."
        )
    return _as_number(value)


def _as_number(value):
    """Return 1e-3 as a number: YAML takes it for text, as it has no point."""
    if isinstance(value, str) and "e" in value.lower() and value[:1].isdigit():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _member(path, name, line, node, task):
    entries = {
        key: (at, value) for key, at, value in _entries(path, node, f"member {name!r}")
    }
    for key, (at, _) in entries.items():
        if key not in _KEYS:
            raise FileError(
                path,
                at,
                f"member {name!r} has the unknown key {key!r}.",
                f"Expected some of {', '.join(_KEYS)}.",
            )
    if "estimator" not in entries:
        raise FileError(path, line, f"member {name!r} has no estimator.", _example())
    _check_name(path, name, line)
    at, value = entries["estimator"]
    spec = _plain(path, value)
    kind = _find_class(path, at, name, spec)
    at_params, params = _read_params(path, name, entries)
    model, params = _construct(path, at_params or at, name, kind, params)
    _check_task(path, at, name, model, task)
    _, preprocess = entries.get("preprocess", (None, None))
    encoder = _encoder(path, name, preprocess, model)
    return Member(name, spec, params, encoder)


def _check_name(path, name, line):
    if "__" in name or name in ("ensemble", "drop"):
        raise FileError(
            path, line, f"member {name!r}: the name is taken, or holds '__'."
        )


def _read_params(path, name, entries):
    if "params" not in entries:
        return None, {}
    at, node = entries["params"]
    found = _entries(path, node, f"params of member {name!r}")
    return at, {key: _plain(path, value) for key, _, value in found}


def _find_class(path, line, name, spec):
    """Import the class, if it is an estimator of a package on the list."""
    advice = f"Classes of {', '.join(PACKAGES)} are allowed, as lightgbm.LGBMRegressor."

    def refuse(problem):
        return FileError(
            path, line, f"member {name!r}, key estimator: {problem}", advice
        )

    parts = spec.split(".") if isinstance(spec, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise refuse(f"{spec!r} is no class with its package.")
    if parts[0] not in PACKAGES:
        raise refuse(f"{spec!r} is of a package that is not on the list.")
    if any(part[0] == "_" or part in CLOSED for part in parts):
        raise refuse(f"{spec!r} is not public.")
    if not find_spec(parts[0]):
        raise refuse(f"{parts[0]} is not installed: pip install {parts[0]}.")
    try:
        found = getattr(import_module(".".join(parts[:-1])), parts[-1], None)
    except ImportError:
        found = None
    if not _is_estimator(found):
        raise refuse(f"{spec!r} is no estimator there.")
    return found


def _is_estimator(found):
    return (
        isinstance(found, type)
        and found.__module__.partition(".")[0] in PACKAGES
        and all(hasattr(found, name) for name in ("fit", "predict", "get_params"))
    )


def _construct(path, line, name, kind, params):
    params = {**_OURS.get(kind.__module__.partition(".")[0], {}), **params}
    try:
        model = kind(**params)
        check_parameters(model)  # as its fit does, hours later
        return model, params
    except (TypeError, ValueError) as error:
        problem = str(error).split("\n")[0]
        problem = problem.replace(f"{kind.__name__}.__init__()", kind.__name__)
        raise FileError(path, line, f"member {name!r}, params: {problem}.") from None


def _check_task(path, line, name, model, task):
    fits = is_classifier(model) if task == "classification" else is_regressor(model)
    if not fits:
        raise FileError(
            path,
            line,
            f"member {name!r}: {type(model).__name__} is not for {task}.",
            "Take another class, or say --task.",
        )
    if task == "classification" and not hasattr(model, "predict_proba"):
        raise FileError(
            path,
            line,
            f"member {name!r}: {type(model).__name__} has no predict_proba.",
            "Take a class that predicts probabilities.",
        )


def _encoder(path, name, node, model):
    chosen = "default" if node is None else _plain(path, node)
    chosen = "none" if chosen is None else chosen
    if chosen not in _PREPROCESS:
        raise FileError(
            path,
            node.start_mark.line + 1,
            f"member {name!r}, key preprocess: {chosen!r}.",
            f"Expected one of {', '.join(_PREPROCESS)}.",
        )
    if chosen == "none":
        return None
    # What takes missing values is a tree: numbered categories serve it.
    trees = get_tags(model).input_tags.allow_nan
    return "encode_categories" if trees else "scale_and_encode"


def _example():
    return (
        "Expected entries such as  gbm: {estimator: lightgbm.LGBMRegressor, params: "
        "{n_estimators: 300}}."
    )
