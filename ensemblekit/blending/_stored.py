"""Fitted combiners as plain numbers and back: read from a file, nothing is executed.

A stored combiner is a dict of its class, the parameters and the fitted attributes that
`predict` reads, no others. The classes are those of `_READ`; a stranger is refused, and
so is a field of another type, shape or range than a fit gives it.
"""

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from .. import combine
from ..combine import _calibration_base as calibration
from . import _fields as fields
from ._fields import Size, Unfit, at
from ._joint import JOINT

__all__ = ["restore", "store"]

# Parameters and fitted attributes that prediction needs, by class, or by class without
# its ending.
_READ: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Average": (("kind",), ("weights_", "quantiles_")),
    "EnsembleSelectionRegressor": (("quantile_levels",), ("weights_", "n_outputs_")),
    "EnsembleSelectionClassifier": ((), ("weights_",)),
    "QuantilePool": (("kind", "trim"), ("quantile_levels_", "weights_")),
    "QuantileAggregator": (
        ("weights", "gate", "noncrossing", "absent"),
        ("weights_", "quantile_levels_", "_distinct_", "_gate_", "_n_given_"),
    ),
    "QOEnsembleSelection": ((), ("weights_",)),
    "QDOEnsembleSelection": ((), ("weights_",)),
    "CMAEnsemble": (("normalization",), ("weights_",)),
    "HillClimbing": (("allow_negative",), ("weights_",)),
    "ConvexRegressor": ((), ("weights_", "intercept_", "n_outputs_")),
    "ConvexClassifier": ((), ("weights_",)),
    "LinearStackRegressor": ((), ("weights_", "convex_weights_", "intercept_")),
    "LinearStackClassifier": (
        ("features", "clip"),
        ("weights_", "convex_weights_", "step_", "intercept_"),
    ),
    "Recalibrated": (("calibrate",), ("combiner_", "_calibrator_", "weights_")),
    "CombinerSearch": ((), ("combiners_", "shares_", "chosen_", "weights_")),
    "DecisionOffsetClassifier": ((), ("combiner_", "offsets_", "weights_")),
    "Single": ((), ("weights_",)),
}
# Of names without an ending.
_WHOLE = ("QuantileAggregator",)
# What a fitted combiner may lack; `JOINT` says when.
_OPTIONAL = {
    "Average": ("weights_", "quantiles_"),
    "QuantilePool": ("weights_",),
    "Recalibrated": ("weights_",),
    "CombinerSearch": ("weights_",),
    "DecisionOffset": ("weights_",),
}
_ALWAYS = ("classes_", "n_features_in_")
_CALIBRATORS = {
    "LogCalibrator": ("slope", "bias"),
    "LineCalibrator": ("slope", "intercept"),
    "IsotonicClassCalibrator": ("lines",),
    "IsotonicValueCalibrator": ("line",),
}
_OF_CLASSES = ("LogCalibrator", "IsotonicClassCalibrator")
_LINE = ("X_thresholds_", "y_thresholds_")
_ENDINGS = ("Classifier", "Regressor")
_PLAIN = (bool, int, float, str, type(None))
_DEEPEST = 4
_N_QUANTILES = 1001


def store(model: Any) -> dict:
    """Return a fitted combiner as plain types; floats keep all digits.

    Raises
    ------
    TypeError
        If it is no combiner that a blend tries.
    """
    if isinstance(model, IsotonicRegression):
        return _stored(model, _LINE)
    name = type(model).__name__
    if name in _CALIBRATORS:
        return _stored(model, _CALIBRATORS[name])
    parameters, fitted = _read_of(name)
    kept = [key for key in (*parameters, *_ALWAYS, *fitted) if hasattr(model, key)]
    return _stored(model, kept)


def restore(stored: Any, n_members: int | None = None) -> Any:
    """Return the combiner again, as far as it predicts.

    n_members : members it has to be of; None for as many as it says

    Raises
    ------
    ValueError
        If the class is unknown, or a field is missing, of another type or shape, or out
        of range; names the field.
    """
    with at("combiner"):
        return _restore(stored, n_members, None)


def _restore(stored, n_members, inside, labels=None, depth=1):
    """Return a combiner.

    inside : Size of the combiner it is a part of, None where it stands alone
    labels : classes it has to have then
    """
    if depth > _DEEPEST:
        raise Unfit("is nested too deeply")
    name, values = _parts(stored)
    parameters, fitted = _read_of(name)
    expected = (*parameters, *_always(name), *fitted)
    with at("values"):
        _check_names(name, values, expected)
        size = _size(name, values, n_members, inside, labels)
        found = {
            key: _field(key, value, size, values, depth)
            for key, value in values.items()
        }
        stem = _stem(name)
        if stem in JOINT:
            JOINT[stem](found, size)
    return _filled(_class_named(name), found)


def _parts(stored):
    """Return the class and the fields."""
    if not isinstance(stored, dict) or not isinstance(stored.get("class"), str):
        raise Unfit("has no class")
    if not isinstance(stored.get("values"), dict):
        raise Unfit("has no values")
    strangers = sorted(stored.keys() - {"class", "values"})
    if strangers:
        raise Unfit(f"has an unknown entry {fields.shown(strangers[0])}")
    return stored["class"], stored["values"]


def _always(name):
    return _ALWAYS if name.endswith("Classifier") else _ALWAYS[1:]


def _check_names(name, values, expected):
    strangers = sorted(values.keys() - {*expected})
    if strangers:
        raise Unfit(f"has an unknown entry {fields.shown(strangers[0])}")
    optional = _OPTIONAL.get(_stem(name), ())
    missing = [key for key in expected if key not in values and key not in optional]
    if missing:
        raise Unfit(f"lacks {missing[0]!r}")


def _size(name, values, n_members, inside, labels):
    """Return the size, of the members given and of the classes stored."""
    n_classes = 0
    if "classes_" in values:
        with at("classes_"):
            found = fields.classes(values["classes_"])
            if labels is not None and not np.array_equal(found, labels):
                raise Unfit(f"are not {labels.tolist()[:10]}")
            n_classes = len(found)
    if inside is not None and n_classes != inside.n_classes:
        raise Unfit(f"are of a {name}, which is not for {inside.n_classes} classes")
    n_levels = 0
    for key in ("quantile_levels", "quantile_levels_"):
        if values.get(key) is not None:
            with at(key):
                n_levels = len(fields.levels(values[key]))
    with at("n_features_in_"):
        n_outputs = Size(1, n_classes, n_levels).n_outputs
        n_columns = values["n_features_in_"]
        if n_members is None:
            n_members = max(1, int(fields.number(n_columns)) // n_outputs)
        size = Size(n_members, n_classes, n_levels)
        fields.whole(n_columns, size.n_columns)
    return size


def _field(key, raw, size, values, depth):
    with at(key):
        if key == "classes_":
            return fields.classes(raw)
        if key == "n_features_in_":
            return raw
        if key == "combiner_":
            labels = values.get("classes_")
            labels = None if labels is None else fields.classes(labels)
            return _restore(raw, size.n_members, size, labels, depth + 1)
        if key == "combiners_":
            return _restore_list(raw, size, depth)
        if key == "_calibrator_":
            return None if raw is None else _restore_calibrator(raw, size)
        return _FIELDS[key](raw, size)


def _restore_list(raw, size, depth):
    """Return the combiners of a search, which are fitted to codes of classes."""
    if not isinstance(raw, list) or not raw:
        raise Unfit("is no list of combiners")
    codes = np.arange(size.n_classes) if size.n_classes else None
    found = []
    for k, entry in enumerate(raw):
        with at(str(k)):
            found.append(_restore(entry, size.n_members, size, codes, depth + 1))
    return found


def _restore_calibrator(raw, size):
    name, values = _parts(raw)
    if name not in _CALIBRATORS or (name in _OF_CLASSES) != bool(size.n_classes):
        raise Unfit(f"is a {fields.shown(name)}, which is no calibrator here")
    with at("values"):
        _check_names(name, values, _CALIBRATORS[name])
        found = {}
        for key, value in values.items():
            with at(key):
                found[key] = _PARTS[key](value, size)
    return _filled(getattr(calibration, name), found)


def _lines(raw, size):
    """Return a line for each class, of two for the second."""
    n_lines = size.n_classes if size.n_classes > 2 else 1
    if not isinstance(raw, list) or len(raw) != n_lines:
        raise Unfit(f"is no list of {n_lines} lines")
    found = []
    for k, entry in enumerate(raw):
        with at(str(k)):
            found.append(_line(entry, size))
    return found


def _line(raw, size):
    """Fit the thresholds themselves: they are monotone, so they are what comes out."""
    name, values = _parts(raw)
    if name != IsotonicRegression.__name__:
        raise Unfit(f"is a {fields.shown(name)}; expected an IsotonicRegression")
    with at("values"):
        _check_names(name, values, _LINE)
        X, y = (_threshold(key, values[key]) for key in _LINE)
        if len(X) != len(y) or (np.diff(X) <= 0).any() or (np.diff(y) < 0).any():
            raise Unfit("are no thresholds of a line that rises")
        if size.n_classes and (y[0] <= 0.0 or y[-1] >= 1.0):
            raise Unfit("are no thresholds of probabilities")
    return IsotonicRegression(out_of_bounds="clip").fit(X, y)


def _threshold(key, raw):
    with at(key):
        return fields.line(raw, "f")


def _intercept(raw, size):
    return fields.reals(raw, size.n_classes) if size.n_classes else fields.number(raw)


def _clip(raw, _):
    clip = fields.number(raw)
    if not 0.0 < clip < 0.5:
        raise Unfit(f"is {clip:g}; expected a number between 0 and 0.5")
    return clip


def _quantiles(raw, size):
    found = fields.reals(raw, size.n_columns, _N_QUANTILES)
    if (np.diff(found) < 0).any():
        raise Unfit("has quantiles that fall")
    return found


def _weights(raw, size):
    """Return a weight for each member, or for each of its levels and the new ones."""
    found = fields.array(raw, "f")
    levels = (size.n_levels,) * (found.ndim - 1) if size.n_levels else ()
    return fields.reals(raw, size.n_members, *levels[:2])


def _levels(raw, _):
    return None if raw is None else fields.levels(raw)


def _trim(raw, _):
    trim = fields.number(raw)
    if not 0.0 <= trim < 0.5:
        raise Unfit(f"is {trim:g}; expected a number from 0 to below 0.5")
    return trim


def _distinct(raw, size):
    found = fields.line(raw, "i")
    if found.min() < 0 or found.max() >= size.n_members:
        raise Unfit(f"holds other numbers than those of {size.n_members} members")
    return found


_FIELDS: dict[str, fields.Reader] = {
    "kind": fields.choice(
        *("mean", "median", "geometric", "rank", "trimmed_mean", "linear")
    ),
    "trim": _trim,
    "quantile_levels": _levels,
    "quantile_levels_": lambda raw, _: fields.levels(raw),
    "normalization": fields.choice("softmax", "explicit"),
    "weights": fields.choice("coarse", "medium", "fine"),
    "noncrossing": fields.choice("sort", "isotonic", None),
    "absent": fields.choice("raise", "renormalise"),
    "gate": fields.choice(None),
    "_gate_": fields.choice(None),
    "_n_given_": fields.choice(None),
    "_distinct_": _distinct,
    "allow_negative": lambda raw, _: fields.flag(raw),
    "features": fields.choice("both", "log", "probability"),
    "clip": _clip,
    "calibrate": fields.choice("temperature", "affine", "isotonic", None),
    "weights_": _weights,
    "convex_weights_": lambda raw, size: fields.shares(raw, size.n_members),
    "quantiles_": _quantiles,
    "n_outputs_": lambda raw, size: fields.whole(raw, max(1, size.n_levels)),
    "intercept_": _intercept,
    "step_": lambda raw, _: fields.array(raw, "f"),
    "shares_": lambda raw, _: fields.as_shares(fields.line(raw, "f")),
    "chosen_": lambda raw, _: fields.texts(raw),
    "offsets_": lambda raw, size: fields.reals(raw, size.n_classes),
}
_PARTS: dict[str, fields.Reader] = {
    "slope": lambda raw, _: fields.number(raw),
    "intercept": lambda raw, _: fields.number(raw),
    "bias": lambda raw, size: fields.reals(raw, size.n_classes),
    "lines": _lines,
    "line": _line,
}


def _stored(model, names):
    values = {name: _plain(getattr(model, name)) for name in names}
    return {"class": type(model).__name__, "values": values}


def _plain(value):
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "array": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return store(value)


def _read_of(name):
    found = _READ.get(name, _READ.get(_stem(name)))
    if found is None or (name == _stem(name) and name not in _WHOLE):
        raise Unfit(f"{fields.shown(name)} is no combiner that a blend stores")
    return found


def _stem(name):
    """Return a class's name without its ending."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _class_named(name):
    if name.startswith("Single"):
        from ..combine import _single_base

        return getattr(_single_base, name)
    kind = getattr(combine, name, None)
    if kind is None:
        raise Unfit(f"{fields.shown(name)} is no combiner that a blend stores")
    return kind


def _filled(kind, values):
    """Return an instance with these attributes, made without its constructor."""
    made = kind.__new__(kind)
    made.__dict__.update(values)
    for parameter in getattr(kind, "_get_param_names", list)():  # no use to prediction
        made.__dict__.setdefault(parameter, None)
    return made
