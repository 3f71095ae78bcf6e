"""What the fields of a stored combiner have to be to each other.

Each function takes the values, checked one by one, and the size, and raises `Unfit`.
Weights that only tell of others, which predictions are made of, have to be those.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..combine._base import own_weights
from ..combine._search_base import mixed
from ._fields import Size, Unfit, as_shares, at, same


def _average(values, size):
    kind = values["kind"]
    if kind not in ("mean", "median", "geometric", "rank"):
        raise Unfit(f"is {kind!r}, which is for quantiles", ("kind",))
    equal = np.full(size.n_members, 1.0 / size.n_members) if kind == "mean" else None
    same(values.get("weights_"), equal, f"the {kind}")
    if (kind == "rank") != ("quantiles_" in values):
        raise Unfit(f"has, or lacks, quantiles_ for the kind {kind!r}")


def _pool(values, size):
    kind = values["kind"]
    if kind not in ("mean", "median", "trimmed_mean", "linear"):
        raise Unfit(f"is {kind!r}, which is not for quantiles", ("kind",))
    equal = np.full(size.n_members, 1.0 / size.n_members)
    expected = equal if kind in ("mean", "linear") else None
    same(values.get("weights_"), expected, f"the {kind}")


def _aggregated(values, size):
    """Each new level is a mixture, of the members or of all of their levels."""
    weights, kind = values["weights_"], values["weights"]
    with at("weights_"):
        if weights.ndim != 1 + ("coarse", "medium", "fine").index(kind):
            raise Unfit(f"has shape {weights.shape}, which is not {kind}")
        for column in weights.reshape(-1, 1 if kind == "coarse" else size.n_levels).T:
            as_shares(column)
    with at("_distinct_"):
        if len(values["_distinct_"]) > size.n_members:
            raise Unfit(f"holds more than {size.n_members} members")


def _mixture(values, _):
    with at("weights_"):
        as_shares(values["weights_"])


def _climbed(values, _):
    with at("weights_"):
        signed = values["allow_negative"]
        as_shares(values["weights_"], -np.inf if signed else 0.0)


def _stack(values, size):
    if not size.n_classes:
        return
    step, both = values["step_"], values["features"] == "both"
    with at("step_"):
        shape = (2, size.n_members) if both else (size.n_members,)
        if step.shape not in (shape, (*shape, size.n_classes)):
            raise Unfit(f"has shape {step.shape}; expected {shape}, or by class")
    added = step.reshape(2 if both else 1, size.n_members, -1).mean(axis=2).sum(axis=0)
    same(values["weights_"], values["convex_weights_"] + added, "step_")


def _recalibrated(values, size):
    calibrator, calibrate = values["_calibrator_"], values["calibrate"]
    known = _CALIBRATED.get(type(calibrator).__name__, (calibrate,))
    if calibrate not in known:
        raise Unfit(f"has a calibrator that is not {calibrate!r}")
    _outer(values, size)


def _outer(values, size):
    expected = own_weights(values["combiner_"], size.n_members)
    same(values.get("weights_"), expected, "those of combiner_")


def _search(values, size):
    chosen, shares = values["combiners_"], values["shares_"]
    if not len(chosen) == len(shares) == len(values["chosen_"]):
        raise Unfit("has combiners_, shares_ and chosen_ that differ in length")
    weights = [own_weights(model, size.n_members) for model in chosen]
    known = all(own is not None for own in weights)
    expected = mixed(weights, shares) if known else None
    same(values.get("weights_"), expected, "those of combiners_")


_CALIBRATED = {
    "LogCalibrator": ("affine", "temperature"),
    "LineCalibrator": ("affine",),
    "IsotonicClassCalibrator": ("isotonic",),
    "IsotonicValueCalibrator": ("isotonic",),
}
JOINT: dict[str, Callable[[dict[str, Any], Size], None]] = {
    "Average": _average,
    "EnsembleSelection": _mixture,
    "QuantilePool": _pool,
    "QuantileAggregator": _aggregated,
    "QOEnsembleSelection": _mixture,
    "QDOEnsembleSelection": _mixture,
    "CMAEnsemble": _mixture,
    "HillClimbing": _climbed,
    "Convex": _mixture,
    "LinearStack": _stack,
    "Recalibrated": _recalibrated,
    "CombinerSearch": _search,
    "DecisionOffset": _outer,
    "Single": _mixture,
}
