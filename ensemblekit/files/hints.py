"""What is odd about predictions: copies, leaks, order of rows, scale, drift."""

from typing import Any

import numpy as np

from ..layout import class_probabilities, to_cube
from ..library import PredictionLibrary
from ._class_order import other_classes
from ._leaks import far_ahead
from ._parts import Finding
from ._sampled import CERTAIN, N_ROWS, draw, hint, losses_of, spaced, standard_error

_MAX_PAIRED = 3000
_SAME = 0.9999
_DRIFT = 0.1


def find_hints(library: PredictionLibrary, rules: dict[str, str], ids: Any = None):
    """Return the findings on a library, by kind and member."""
    sample = draw(library)
    return [
        *_copies(sample),
        *_equal_to_target(sample),
        *far_ahead(sample),
        *_wrong_order(sample, rules, ids),
        *_worse_than_constant(sample),
        *_wrong_scale(sample),
        *_empty_folds(sample),
        *_drift(sample),
    ]


def _copies(sample):
    cube = sample.cube[:_MAX_PAIRED]
    flat = cube.reshape(len(cube), -1)
    centred = (cube - cube.mean(axis=1, keepdims=True)).reshape(flat.shape)
    norms = np.linalg.norm(centred, axis=1)
    varied = norms > 1e-12 * np.maximum(1e-300, np.abs(flat).max(axis=1))
    unit = centred / np.where(varied, norms, 1.0)[:, None]
    alike = np.triu(unit @ unit.T > _SAME, 1) & varied[:, None] & varied
    for member in np.flatnonzero(~varied):
        yield hint(
            sample.names[member], "predicts one value in all rows.", "Leave it out."
        )
    for member in np.flatnonzero(alike.any(axis=0)):
        twin = int(np.argmax(alike[:, member]))
        same = np.array_equal(flat[twin], flat[member])
        what = "is a copy of" if same else "correlates above 0.9999 with"
        yield hint(
            sample.names[member],
            f"{what} {sample.names[twin]!r}.",
            "Was one file written under two names?",
        )


def _equal_to_target(sample):
    scale = max(float(sample.constant.mean()), 1e-300)
    for member, losses in enumerate(sample.losses):
        if losses.mean() < 1e-9 * scale:
            yield hint(
                sample.names[member],
                "equals the target.",
                "It holds the truth, or predictions of rows it was trained on.",
                "warning",
            )


def _wrong_order(sample, rules, ids):
    """Loss of the rows as they are against other orders they may stand in."""
    orders = _other_orders(sample, ids)
    for member, losses in enumerate(sample.losses):
        name = sample.names[member]
        rule = rules.get(name, "")
        if "assumed" not in rule or "proved" in rule:
            continue
        hit = _better_order(sample, member, losses, orders)
        if hit is not None:
            yield hint(
                name,
                f"fits the target {losses.mean() / hit[1]:.3g} times better with its "
                f"rows {hit[0]}.",
                "Its rows are in that order: write the ids beside the predictions.",
                "warning",
            )
        elif _unrelated(sample, member):
            yield hint(
                name,
                "has no more to do with the target than shuffled rows.",
                "Check the order of its rows; ids beside the predictions would tell.",
            )


def _other_orders(sample, ids):
    n = len(sample.y)
    orders = {"reversed": np.arange(n)[::-1]}
    if ids is not None:
        orders["sorted by id"] = np.argsort(ids, kind="stable")
        orders["sorted by id as text"] = np.argsort(ids.astype(np.str_), kind="stable")
    if sample.library.folds is not None:
        orders["fold after fold"] = np.argsort(sample.library.folds, kind="stable")
    orders["sorted by the target"] = np.argsort(sample.y, kind="stable")
    plain = np.arange(n)
    return {key: o for key, o in orders.items() if not np.array_equal(o, plain)}


def _better_order(sample, member, losses, orders):
    """The order, and its loss, under which the member is far better, or None."""
    found = None
    for name, order in orders.items():
        y = sample.y[order[sample.rows]]
        other = losses_of(sample.cube[member], y, sample.library)
        gain = losses.mean() - other.mean()
        certain = gain > CERTAIN * standard_error(losses - other)
        clear = other.mean() < 0.8 * min(losses.mean(), sample.constant.mean())
        if certain and clear and (found is None or other.mean() < found[1]):
            found = (name, float(other.mean()))
    return found


def _unrelated(sample, member):
    """Shuffled rows give correlations of 1 / sqrt(n): is this one of them?"""
    y, outputs = sample.y[sample.rows], sample.cube[member]
    if sample.library.classes is not None:
        outputs = class_probabilities(outputs)
        truth = (y[:, None] == np.arange(outputs.shape[1])).astype(np.float64)
    else:
        truth = y[:, None]
    a, b = outputs - outputs.mean(axis=0), truth - truth.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    if len(y) < 100 or not norm.any():
        return False
    signal = (a * b).sum(axis=0)[norm > 0] / norm[norm > 0]
    return bool(np.abs(signal).max() * np.sqrt(len(y)) < 3.0)


_CONSTANTS = {
    "regression": "the mean",
    "classification": "the class shares",
    "quantile": "the quantiles of the target",
}


def _worse_than_constant(sample):
    """Members of which a constant is better, unless their classes are the reason."""
    turned = dict(other_classes(sample))
    yield from turned.values()
    of_classes = sample.library.classes is not None
    what = _CONSTANTS[sample.library.task]
    check = "that it holds probabilities" if of_classes else "its scale"
    for member, losses in enumerate(sample.losses):
        excess = losses - sample.constant
        if member not in turned and excess.mean() > 2.0 * standard_error(excess):
            yield hint(
                sample.names[member],
                f"has a loss of {losses.mean():.4g}; {what} alone would have "
                f"{sample.constant.mean():.4g}.",
                f"Check {check} and the order of its rows.",
            )


def _wrong_scale(sample):
    """Predictions worse than the mean that fit after a line, or after exp.

    Noise alone asks for a line of a smaller slope: on another scale, their mean or
    their spread is another as well, or the slope is negative.
    """
    if sample.library.task != "regression":
        return
    y, constant = sample.y[sample.rows], sample.constant.mean()
    for member, losses in enumerate(sample.losses):
        p = sample.cube[member, :, 0]
        if losses.mean() <= constant or _is_noisy(p, y):
            continue
        change, loss = _best_change(p, y)
        if loss < 0.5 * constant:
            yield hint(
                sample.names[member],
                f"is on another scale: its loss is {losses.mean():.4g}, after "
                f"{change} {loss:.4g}.",
                "Write predictions on the scale of the target.",
            )


def _is_noisy(p, y):
    spread = float(np.std(y))
    near = abs(p.mean() - y.mean()) < spread and 0.5 * spread < np.std(p) < 2 * spread
    return bool(near and np.mean((p - p.mean()) * (y - y.mean())) > 0)


def _best_change(p, y):
    """The change of scale that fits best, in words, and the loss after it."""
    slope, offset = _line(p, y)
    changes = {f"{slope:.3g} * p + {offset:.3g}": slope * p + offset}
    if p.max() < 50:
        changes |= {"exp(p)": np.exp(p), "exp(p) - 1": np.expm1(p)}
    losses = {name: float(np.mean((q - y) ** 2)) for name, q in changes.items()}
    best = min(losses, key=lambda name: losses[name])
    return best, losses[best]


def _line(p, y):
    variance = float(np.var(p))
    covariance = float(np.mean((p - p.mean()) * (y - y.mean())))
    slope = covariance / variance if variance > 0 else 0.0
    return slope, float(y.mean() - slope * p.mean())


def _empty_folds(sample):
    """A fold of one value was never predicted."""
    if sample.library.folds is None:
        return
    folds = sample.library.folds[sample.rows]
    for fold in np.unique(folds):
        part = sample.cube[:, folds == fold]
        if part.shape[1] < 5:
            continue
        flat = np.ptp(part, axis=1).max(axis=1) == 0
        varied = np.ptp(sample.cube, axis=1).max(axis=1) > 0
        for member in np.flatnonzero(flat & varied):
            yield hint(
                sample.names[member],
                f"predicts one value in all rows of fold {fold}.",
                "Was that fold ever predicted?",
                "warning",
            )


def _drift(sample):
    """Distances between the distributions of held-out and test predictions."""
    P_test = sample.library.P_test
    if P_test is None or len(P_test) < 20 or len(sample.rows) < 20:
        return
    rows = spaced(len(P_test), N_ROWS)
    test = to_cube(np.asarray(P_test[rows], dtype=np.float64), sample.library.n_outputs)
    found = [_distance(*pair) for pair in zip(sample.cube, test, strict=True)]
    distances = np.array([distance for distance, _ in found])
    usual = float(np.median(distances))
    drifts = [distance >= _DRIFT and p_value <= 1e-6 for distance, p_value in found]
    if len(found) > 1 and all(drifts) and distances.max() <= usual + _DRIFT:
        yield _drift_of_all(distances)
        return
    for member in np.flatnonzero(drifts):
        distance = distances[member]
        alone = distance > usual + _DRIFT
        yield hint(
            sample.names[member],
            "predicts the test rows otherwise than the held-out rows: a Kolmogorov-"
            f"Smirnov distance of {distance:.2f}; {usual:.2f} is usual here.",
            "Look at this member's test file: its scale, its rows, its class."
            if alone
            else "Test rows may differ from training rows.",
        )


def _drift_of_all(distances):
    return Finding(
        "hint",
        f"all {len(distances)} members",
        None,
        "predict the test rows otherwise than the held-out rows: Kolmogorov-Smirnov "
        f"distances of {distances.min():.2f} to {distances.max():.2f}.",
        "Test rows may differ from training rows.",
    )


def _distance(ours, other):
    from scipy.stats import ks_2samp

    pairs = zip(ours.T, other.T, strict=True)
    tests = [ks_2samp(*pair, method="asymp") for pair in pairs]
    worst = max(tests, key=lambda test: test.statistic)
    return float(worst.statistic), float(worst.pvalue)
