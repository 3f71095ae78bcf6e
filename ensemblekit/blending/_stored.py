"""Fitted combiners as plain numbers and back: read from a file, nothing is executed.

A stored combiner is a dict of its class, the parameters and the fitted attributes that
`predict` reads, no others. The classes are those of `_READ`; a stranger is refused.
"""

from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from .. import combine
from ..combine import _calibration_base as calibration

__all__ = ["restore", "store"]

# Parameters and fitted attributes that prediction needs, by class without its ending.
_READ = {
    "Average": (("kind",), ("weights_", "quantiles_")),
    "EnsembleSelection": (("quantile_levels",), ("weights_", "n_outputs_")),
    "QuantilePool": (("kind", "trim"), ("quantile_levels_", "weights_")),
    "QOEnsembleSelection": ((), ("weights_",)),
    "QDOEnsembleSelection": ((), ("weights_",)),
    "CMAEnsemble": (("normalization",), ("weights_",)),
    "HillClimbing": (("allow_negative",), ("weights_",)),
    "Convex": ((), ("weights_", "intercept_", "n_outputs_")),
    "LinearStack": (
        ("features", "clip"),
        ("weights_", "convex_weights_", "step_", "intercept_"),
    ),
    "Recalibrated": (("calibrate",), ("combiner_", "_calibrator_", "weights_")),
    "CombinerSearch": ((), ("combiners_", "shares_", "chosen_", "weights_")),
    "DecisionOffset": ((), ("combiner_", "offsets_", "weights_")),
    "Single": ((), ("weights_",)),
}
# Of names without an ending.
_READ_WHOLE = {
    "QuantileAggregator": (
        ("weights", "gate", "noncrossing", "absent"),
        ("weights_", "quantile_levels_", "_distinct_", "_gate_", "_n_given_"),
    )
}
_ALWAYS = ("classes_", "n_features_in_")
_CALIBRATORS = {
    "LogCalibrator": ("slope", "bias"),
    "LineCalibrator": ("slope", "intercept"),
    "IsotonicClassCalibrator": ("lines",),
    "IsotonicValueCalibrator": ("line",),
}
_LINE = ("X_thresholds_", "y_thresholds_")
_ENDINGS = ("Classifier", "Regressor")
_PLAIN = (bool, int, float, str, type(None))


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


def restore(stored: Any) -> Any:
    """Return the combiner again, as far as it predicts.

    Raises
    ------
    ValueError
        If the class is unknown or something is missing or misshapen.
    """
    if not isinstance(stored, dict) or not isinstance(stored.get("class"), str):
        raise ValueError("a combiner has no class")
    name, values = stored["class"], stored.get("values")
    if not isinstance(values, dict):
        raise ValueError(f"the {name} has no values")
    found = {key: _value(value) for key, value in values.items()}
    if name == "IsotonicRegression":
        return _restore_line(found)
    if name in _CALIBRATORS:
        return _filled(getattr(calibration, name), found, _CALIBRATORS[name])
    parameters, fitted = _read_of(name)
    kind = _class_named(name)
    model = _filled(kind, found, (*parameters, *_ALWAYS, *fitted))
    for parameter in kind._get_param_names():  # of no use to prediction
        model.__dict__.setdefault(parameter, None)
    return model


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


def _value(value):
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return [_value(entry) for entry in value]
    if isinstance(value, dict) and "array" in value:
        return _array(value)
    return restore(value)


def _array(value):
    """Return an array of numbers or strings, all finite."""
    try:
        array = np.asarray(value["array"])
        dtype = np.dtype(value["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an array is damaged: {error}") from error
    if dtype.kind not in "biufU" or (dtype.kind == "U") != (array.dtype.kind == "U"):
        raise ValueError(f"an array of type {dtype} holds {array.dtype}")
    array = array.astype(dtype)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("an array holds NaN or infinity")
    return array


def _read_of(name):
    if name in _READ_WHOLE:
        return _READ_WHOLE[name]
    for ending in _ENDINGS:
        stem = name.removesuffix(ending)
        if stem != name and stem in _READ:
            return _READ[stem]
    raise ValueError(f"{name!r} is no combiner that a blend stores")


def _class_named(name):
    if name.startswith("Single"):
        from ..combine import _single_base

        return getattr(_single_base, name)
    kind = getattr(combine, name, None)
    if kind is None:
        raise ValueError(f"{name!r} is no combiner that a blend stores")
    return kind


def _filled(kind, values, allowed):
    """Return an instance with these attributes, made without its constructor."""
    strangers = sorted(set(values) - set(allowed))
    if strangers:
        raise ValueError(f"the {kind.__name__} has an unknown entry {strangers[0]!r}")
    made = kind.__new__(kind)
    made.__dict__.update(values)
    return made


def _restore_line(values):
    """Fit the thresholds themselves: they are monotone, so they are what comes out."""
    X, y = (np.asarray(values[key]) for key in _LINE)
    return IsotonicRegression(out_of_bounds="clip").fit(X, y)
