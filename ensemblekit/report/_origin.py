"""How to reproduce a fit: versions, parameters and a snippet that runs."""

import ast
import builtins
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from numbers import Integral

_ALWAYS = ("ensemblekit", "numpy", "scipy", "scikit-learn", "numba")
_LONG = 300
_CONSTANTS = {"array": "numpy", "nan": "numpy", "inf": "numpy"}


def describe_versions(estimators=()):
    """Return versions of Python, of our dependencies and of the members' packages."""
    packages = dict.fromkeys(_ALWAYS)
    for estimator in estimators:
        package = type(estimator).__module__.partition(".")[0]
        if package not in ("sklearn", "builtins", "__main__"):
            packages[package] = None
    found = {name: _version(name) for name in packages}
    return {
        "python": platform.python_version(),
        **{name: said for name, said in found.items() if said is not None},
    }


def describe_parameters(estimator):
    """Return an estimator's own parameters as text, long ones cut."""
    members = ("estimators",)
    return {
        name: shorten(repr(value))
        for name, value in estimator.get_params(deep=False).items()
        if name not in members
    }


def describe(estimator):
    """Return an estimator as text of one line, cut where it is long."""
    return shorten(_source(estimator))


def plain_seed(random_state):
    """Return a seed as it is, any other source of randomness as text."""
    is_plain = random_state is None or isinstance(random_state, Integral)
    return random_state if is_plain else repr(random_state)


def stacked_snippet(stacked, *, weighted=False, grouped=False, shape=None):
    """Return Python that makes and fits the stack anew, or None if no text can.

    None where a parameter has no source text: a function, an array cut short, a random
    generator, a class that is not importable.
    """
    arguments = _arguments(stacked)
    fit = ["X", "y"]
    fit += ["sample_weight=sample_weight"] if weighted else []
    fit += ["groups=groups"] if grouped else []
    size = "" if shape is None else f"  # X: {shape[0]} rows, {shape[1]} columns"
    lines = [f"model = {type(stacked).__name__}("]
    lines += [f"    {text}," for text in arguments]
    lines += [")", f"model.fit({', '.join(fit)}){size}"]
    known = {"X", "y", "sample_weight", "groups", "model"}
    return with_imports("\n".join(lines), _classes(stacked), known)


def combiner_snippet(combiner, *, weighted=False):
    """Return Python that fits the combiner on a stored library, or None."""
    weight = ", sample_weight=library.sample_weight" if weighted else ""
    text = (
        'library = PredictionLibrary.load("library.npz")  # as library.save wrote it\n'
        f"combiner = {_source(combiner)}\n"
        f"combiner.fit(library.P, library.y{weight})"
    )
    classes = {**_classes(combiner), "PredictionLibrary": "ensemblekit"}
    return with_imports(text, classes, {"library", "combiner"})


def with_imports(text, classes, known):
    """Put the imports before a snippet; None if it would not run.

    Parameters
    ----------
    text : str
    classes : dict
        Module by name of class; None where it cannot be imported.
    known : set of str
        Names that the reader has, or that the text sets.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:  # <function f at 0x7f...>
        return None
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.Constant) and node.value is ... for node in nodes):
        return None  # cut short by repr
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names -= known | set(dir(builtins))
    numpy_used = "np" in names
    homes = {name: (_CONSTANTS | classes).get(name) for name in names - {"np"}}
    if None in homes.values():
        return None
    modules: dict = {}
    for name, module in sorted(homes.items()):
        modules.setdefault(module, []).append(name)
    lines = ["import numpy as np"] if numpy_used else []
    lines += [f"from {m} import {', '.join(modules[m])}" for m in sorted(modules)]
    return "\n".join([*lines, "", text]) if lines else text


def shorten(text, length=_LONG):
    """Cut a text that is too long to be read."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _arguments(stacked):
    """Return the source of the arguments that differ from their defaults."""
    defaults = signature(type(stacked)).parameters
    given = stacked.get_params(deep=False)
    texts = []
    members = given.pop("estimators")
    if members is not None:
        rows = "".join(f"        ({n!r}, {_source(e)}),\n" for n, e in members)
        texts.append(f"estimators=[\n{rows}    ]")
    for name, value in given.items():
        if _source(value) != _source(defaults[name].default):
            texts.append(f"{name}={_source(value)}")
    return texts


def _source(value):
    if hasattr(value, "get_params") and not isinstance(value, type):
        # Joined to one line: repr breaks lines where it pleases.
        lines = value.__repr__(N_CHAR_MAX=10**9).split("\n")
        return " ".join(line.strip() for line in lines)
    return repr(value)


def _classes(estimator):
    """Return where the classes in an estimator's parameters are imported from."""
    found: dict = {}
    todo, seen = [estimator], set()
    while todo:
        value = todo.pop()
        if id(value) in seen or value is None:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
        elif type(value).__module__ != "builtins":
            name, home = type(value).__name__, _home(type(value))
            found[name] = home if found.get(name, home) == home else None
            if hasattr(value, "get_params"):
                todo += value.get_params(deep=False).values()
            else:  # a splitter
                todo += vars(value).values() if hasattr(value, "__dict__") else []
    return found


def _home(kind):
    """Return the public module of a class, or None where it cannot be imported."""
    parts = kind.__module__.split(".")
    public = next((i for i, part in enumerate(parts) if part[0] == "_"), len(parts))
    for stop in (1, public) if parts[0] == "ensemblekit" else (public, len(parts)):
        module = ".".join(parts[:stop])
        if module and getattr(sys.modules.get(module), kind.__name__, None) is kind:
            return module
    return None


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
