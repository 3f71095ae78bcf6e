"""Python that fits a blend's best method again."""

_READ = """\
from ensemblekit import PredictionLibrary

library = PredictionLibrary.load("library.npz")
"""
_IMPORTS = {
    "make_scorer(": "from sklearn.metrics import cohen_kappa_score, make_scorer",
}


_PREDICTS = {"probabilities": "predict_proba", "quantiles": "predict_quantiles"}


def read_code(source):
    """Return lines that read a bank.

    source : arguments of `read_bank`, and `task`, where it was given
    """
    target, names = repr(source["target"]), ["read_bank"]
    if source.get("task") is not None:  # not the one that the values tell
        options = f"id={source.get('id')!r}, task={source['task']!r}"
        target = f"read_target({target}, {options})"
        names.append("read_target")
    first = f"read_bank({source['oof']!r}, {target}"
    given = {k: v for k, v in source.items() if k not in ("oof", "target", "task")}
    options = "".join(f", {k}={v!r}" for k, v in given.items() if v is not None)
    return (
        f"from ensemblekit.files import {', '.join(names)}\n\n"
        f"library = {first}{options}).library\n"
    )


def write_snippet(blend, read=_READ):
    """Return the code.

    read : lines that define `library`
    """
    model = blend.models[blend.best]
    code = write_constructor(model)
    weight = blend.library.sample_weight is not None
    weighted = ", sample_weight=library.sample_weight" if weight else ""
    method = _PREDICTS.get(blend.reads, "predict")
    imports = [f"from ensemblekit import {', '.join(sorted(class_names(model)))}"]
    imports += [line for call, line in _IMPORTS.items() if call in code]
    lines = [f"combiner = {code}", f"combiner.fit(library.P, library.y{weighted})"]
    if blend.library.P_test is not None:
        lines.append(f"prediction = combiner.{method}(library.P_test)")
    return "\n".join([*imports, read, *lines]) + "\n"


def class_names(model):
    """Return the names of the estimators' classes, nested ones too."""
    nested = (v for v in model.get_params(deep=False).values() if _is_model(v))
    return {type(model).__name__}.union(*(class_names(value) for value in nested))


def write_constructor(model):
    """Return the call that makes the estimator, without defaults."""
    defaults = _defaults(type(model))
    given = [
        (name, value)
        for name, value in model.get_params(deep=False).items()
        if name not in defaults or not _same(value, defaults[name])
    ]
    parts = [f"{name}={_code(value)}" for name, value in given]
    return f"{type(model).__name__}({', '.join(parts)})"


def _defaults(kind):
    from inspect import signature

    parameters = signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _same(value, default):
    return type(value) is type(default) and value == default


def _code(value):
    if _is_model(value):
        return write_constructor(value)
    if callable(value):  # the kappas are all that blends hand to combiners
        quadratic = "quadratic" in repr(value)
        return "make_scorer(cohen_kappa_score" + (
            ", weights='quadratic')" if quadratic else ")"
        )
    return repr(value)


def _is_model(value):
    return hasattr(value, "get_params") and hasattr(value, "fit")
