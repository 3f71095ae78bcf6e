"""The layers of the house, what an import loads, and the habits of the tree."""

import ast
import importlib.metadata
import inspect
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import ensemblekit

PACKAGE = Path(ensemblekit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LEVELS = {
    "kernels": 0,
    "exceptions": 0,
    "_npz": 0,
    "_writing": 0,
    "_entries": 0,
    "_model_files": 0,
    "_sklearn": 0,
    "_shielded": 0,
    "_memory_limit": 0,
    "_threads": 0,
    "_shipping": 0,
    "losses": 1,
    "_digest": 1,
    "_cache": 1,
    "_boosters": 1,
    "_inner_split": 1,
    "_votes": 1,
    "layout": 1,
    "_levels": 1,
    "metrics": 1,
    "convex": 1,
    "selection": 1,
    "library": 1,
    "combine": 2,
    "files": 2,
    "_early_stopping": 3,
    "_folds": 3,
    "_fold_tasks": 3,
    "_fitted": 3,
    "_fitting": 3,
    "_members": 3,
    "_estimator_html": 1,
    "_options": 3,
    "_parallel": 3,
    "_pools": 3,
    "_tasks": 3,
    "_progress": 3,
    "_routing": 3,
    "_rows": 3,
    "members": 3,
    "leaderboard": 3,
    "_same_rows": 3,
    "_targets": 3,
    "prefit": 3,
    "crossfit": 3,
    "conformal": 3,
    "selective": 3,
    "_combining": 3,
    "_stacked": 3,
    "stack": 3,
    "auditing": 3,
    "quantile_members": 3,
    "stack_quantiles": 3,
    "plot": 4,
    "blending": 4,
    "report": 4,
    "commands": 5,
    "demo": 5,
    "_demo_output": 5,
    "cli": 5,
    "__main__": 5,
}
# Inside a level, an arrow needs its reason here.
SAME_LEVEL = {
    ("_sklearn", "exceptions"): "errors of scikit-learn's checks name the argument",
    ("_npz", "_writing"): "files appear whole or not at all",
    ("_entries", "_writing"): "entries appear whole or not at all",
    ("library", "layout"): "the library's columns are P's",
    ("metrics", "layout"): "levels are those of P's quantiles",
    ("metrics", "losses"): "the formula of the pinball loss",
    ("_routing", "_members"): "weights reach a member under its own parameter name",
    ("_fold_tasks", "_members"): "a task fits one member",
    ("_fold_tasks", "_early_stopping"): "with rows that tell it when to stop",
    ("_fold_tasks", "_tasks"): "tasks run in one flat list",
    ("_fitted", "_folds"): "the library names the fold of each row",
    ("_fitted", "_members"): "predictions of fitted members",
    ("_fitted", "_same_rows"): "only cross-fits of the same rows merge",
    ("_fitted", "auditing"): "what is fitted can be audited",
    ("prefit", "_members"): "members that are fitted already",
    ("_tasks", "_pools"): "tasks run in a pool of workers",
    ("_rows", "_members"): "a model trained elsewhere leaves all rows to calibrate",
    ("conformal", "_rows"): "which rows train and which calibrate",
    ("selective", "_rows"): "which rows train and which calibrate",
    ("leaderboard", "_members"): "a combiner takes weights as members do",
    ("_fitting", "_folds"): "a cross-fit is folds x members",
    ("_fitting", "_early_stopping"): "a refit knows the rounds of the folds",
    ("_fitting", "_fitted"): "what it can do once it is fitted",
    ("_fitting", "_fold_tasks"): "each member on each fold is a task",
    ("_fitting", "_members"): "whose predictions it asks for",
    ("_fitting", "_progress"): "tells of each task",
    ("_fitting", "_same_rows"): "members are added on the same rows",
    ("_fitting", "_targets"): "targets as members see them",
    ("_fitting", "prefit"): "fitted members bring their predictions",
    ("_fitting", "_routing"): "and hands them their metadata",
    ("_fitting", "_rows"): "groups can be told apart",
    ("_fitting", "leaderboard"): "its report scores them",
    ("crossfit", "_fitting"): "when members are fitted, and how",
    ("crossfit", "_options"): "parameters that stacks have too",
    ("crossfit", "_progress"): "tells of each task",
    ("crossfit", "_routing"): "hands members their metadata",
    ("_combining", "_folds"): "a combiner divides rows as members do",
    ("_combining", "_members"): "a combiner takes weights as members do",
    ("_combining", "crossfit"): "combines what a cross-fit predicts",
    ("_combining", "leaderboard"): "scores the combiner",
    ("_stacked", "_combining"): "what it does with its predictions",
    ("_stacked", "_members"): "checks members before they are fitted",
    ("_stacked", "_options"): "parameters of its cross-fit",
    ("_stacked", "auditing"): "what is fitted can be audited",
    ("_stacked", "_progress"): "tells of members and combiner",
    ("_stacked", "_routing"): "routes to members and combiner at once",
    ("_stacked", "crossfit"): "a stack is a cross-fit and a combiner",
    ("_stacked", "members"): "default members",
    ("_stacked", "prefit"): "fitted members bring their predictions",
    ("stack", "_stacked"): "one for classes, one for values",
    ("quantile_members", "_members"): "weights reach a wrapped model as members",
    ("quantile_members", "_routing"): "a wrapper takes what its model takes",
    ("quantile_members", "crossfit"): "residuals are those of held-out predictions",
    ("quantile_members", "members"): "the encoders of the default members",
    ("conformal", "_members"): "models trained elsewhere, and seeds",
    ("conformal", "_routing"): "a wrapper takes what its model takes",
    ("conformal", "quantile_members"): "weights reach a wrapped model alike",
    ("conformal", "stack"): "the default estimator",
    ("selective", "_members"): "seeds, and models trained elsewhere, as of members",
    ("selective", "_routing"): "a wrapper takes what its model takes",
    ("selective", "quantile_members"): "weights reach a wrapped model alike",
    ("selective", "stack"): "the default estimator",
    ("selective", "_folds"): "votes of rows held out by folds",
    ("selective", "_parallel"): "trainings run side by side",
    ("selective", "crossfit"): "windows are those of held-out predictions",
    ("selective", "members"): "the encoders of the default members",
    ("conformal", "leaderboard"): "held-out probabilities of a stack",
    ("stack_quantiles", "_members"): "a combiner is told its levels as members are",
    ("stack_quantiles", "quantile_members"): "default members",
    ("stack_quantiles", "_stacked"): "a stack with other members",
    ("conformal", "_folds"): "folds, numbered",
    ("conformal", "_parallel"): "models of bags are fitted side by side",
    ("conformal", "crossfit"): "a model without each fold",
    ("conformal", "stack_quantiles"): "the default estimator of quantiles",
    ("auditing", "_members"): "members predict again the rows they were trained on",
    ("auditing", "leaderboard"): "the combiner on rows it was not fitted on",
    ("cli", "commands"): "each command has a file",
    ("__main__", "cli"): "python -m ensemblekit is the command",
    ("commands", "demo"): "the demo command",
    ("demo", "_demo_output"): "prints and writes its results",
    ("_demo_output", "demo"): "the shape of its results",
}

# A combiner around another needs its reason here to import one.
DEFAULT_COMBINERS = {
    ("_recalibrated", "_convex_classifier"): "what combiner=None means",
    ("_recalibrated", "_convex_regressor"): "what combiner=None means",
}


def top_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def own_imports(path):
    """Yield the top-level module of ours behind each relative or absolute import."""
    package = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package][: len(package) - node.level + 1]
            names = [node.module] if node.module else [a.name for a in node.names]
            for name in names:
                target = [*base, *name.split(".")]
                yield target[0], ".".join(target)
        elif isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            for alias in node.names:
                yield [*node.module.split("."), alias.name][1], alias.name


def _is_ours(module):
    return module is not None and module.partition(".")[0] == "ensemblekit"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    source = top_name(path)
    if source == "__init__":
        return
    assert source in LEVELS, f"{source} has no level; give it one in this test"
    for target, full in own_imports(path):
        if target == source:
            continue
        if target not in LEVELS:  # a public name, from the package itself
            assert LEVELS[source] == max(LEVELS.values()), (source, target)
            continue
        assert source != "kernels", f"kernels import nothing of ours, but {full}"
        if LEVELS[target] == LEVELS[source] and target not in (
            "exceptions",
            "_sklearn",
        ):
            assert (source, target) in SAME_LEVEL, f"{source} imports {target}"
        assert LEVELS[target] <= LEVELS[source], f"{source} imports {target} upwards"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "combine").glob("_[a-z]*.py")), ids=lambda p: p.stem
)
def test_a_combiner_imports_no_other_combiner(path):
    # `_family_base` names the combiners that a search tries, when it is called.
    for target, full in own_imports(path):
        if target == "combine":
            module = full.removeprefix("combine.")
            assert full.endswith("_base") or (path.stem, module) in DEFAULT_COMBINERS
        assert target not in ("library", "crossfit", "stack", "leaderboard")


def test_private_sklearn_imports_live_in_one_module():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("sklearn"):
                names = [module, *[alias.name for alias in node.names]]
                if any("._" in name or name[0] == "_" for name in names):
                    assert path.name == "_sklearn.py", (path, names)


def run_python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


HEAVY = [
    "numba",
    "cma",
    "cvxpy",
    "pandas",
    "matplotlib",
    "jinja2",
    "lightgbm",
    "xgboost",
    "polars",
    "skops",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import ensemblekit",
        "import ensemblekit as ek; ek.StackedClassifier, ek.ConvexRegressor",
        "import ensemblekit as ek; [getattr(ek, name) for name in ek.__all__]",
        "import ensemblekit.cli",
    ],
)
def test_imports_load_nothing_heavy(statement):
    # scikit-learn loads pandas itself in some versions; that is not ours to mend.
    code = (
        "import sys, json; import sklearn.ensemble, sklearn.model_selection, "
        "sklearn.compose, sklearn.frozen; before = set(sys.modules);"
        f"{statement}; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = {name.partition(".")[0] for name in json.loads(run_python(code))}
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_only_itself():
    code = (
        "import sys; before = set(sys.modules); import ensemblekit;"
        "roots = {m.partition('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(roots - set(sys.stdlib_module_names)))"
    )
    assert run_python(code).strip() == "['ensemblekit']"


def cpu_seconds(code):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_importing_the_package_costs_no_more_than_scikit_learn():
    # Measured: 0.8 %; the promise is 105 %, so that no busy machine can fail this.
    ours, theirs = "import ensemblekit", "import sklearn.ensemble"
    assert cpu_seconds(ours) <= 1.05 * cpu_seconds(theirs)


def test_every_public_name_resolves_and_is_documented():
    for name in ensemblekit.__all__:
        assert getattr(ensemblekit, name).__doc__
    assert set(ensemblekit.__all__) <= set(dir(ensemblekit))
    with pytest.raises(AttributeError, match="no attribute 'ConvexRegresor'"):
        ensemblekit.ConvexRegresor


def test_type_checkers_see_every_public_name():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    names = [alias.name for node in block.body for alias in node.names]
    assert sorted(names) == ensemblekit.__all__


def test_every_parameter_and_attribute_is_documented():
    for name in ensemblekit.__all__:
        value = getattr(ensemblekit, name)
        if not isinstance(value, type) or not hasattr(value, "get_params"):
            continue
        for parameter in value._get_param_names():
            assert f"\n{parameter} :" in inspect.getdoc(value), (name, parameter)
            assert parameter in value._parameter_constraints, (name, parameter)
        assert "Examples\n--------" in inspect.getdoc(value), name


def public_callables():
    """Yield functions, and methods of ours that public classes have, by their names."""
    for name in ensemblekit.__all__:
        value = getattr(ensemblekit, name)
        if not isinstance(value, type):
            yield name, value
            continue
        for method, function in inspect.getmembers(value, inspect.isroutine):
            module = getattr(function, "__module__", None) or ""
            if module.startswith("ensemblekit") and not method.startswith("_"):
                yield f"{name}.{method}", function


def documented(function):
    """Return what the docstring lists under Parameters, without their stars."""
    section = inspect.getdoc(function).partition("\nParameters\n----------\n")[2]
    section = re.split(r"^\w[\w ]*\n-{3,}$", section, flags=re.MULTILINE)[0]
    entries = re.findall(r"^(\*{0,2}\w.*?)(?: :.*)?$", section, re.MULTILINE)
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


def test_parameters_of_functions_and_methods_are_documented():
    for name, function in public_callables():
        parameters = set(inspect.signature(function).parameters) - {"self", "cls"}
        assert parameters <= documented(function), name


def test_typed_marker_and_version():
    assert (PACKAGE / "py.typed").exists()
    assert importlib.metadata.version("ensemblekit") == ensemblekit.__version__
