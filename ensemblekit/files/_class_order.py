"""Probabilities whose columns stand in another order than the classes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..layout import class_probabilities
from ._parts import Finding
from ._sampled import CERTAIN, Sample, hint, losses_of, standard_error

_CLEAR = 0.95
_SHOWN = 10


def other_classes(sample: Sample) -> Iterator[tuple[int, Finding]]:
    """Yield members that fit the target better with their classes in another order.

    The order is chosen on every second row and judged on the others.
    """
    if sample.library.classes is None:
        return
    y = sample.y[sample.rows]
    for member, outputs in enumerate(sample.cube):
        P = class_probabilities(outputs)
        order = _best_order(P[::2], y[::2])
        if order is None:
            continue
        own = sample.losses[member, 1::2]
        turned = losses_of(P[1::2][:, order], y[1::2], sample.library)
        gain = own - turned
        certain = gain.mean() > CERTAIN * standard_error(gain)
        if certain and turned.mean() < _CLEAR * own.mean():
            yield member, _say(sample, member, order, own.mean(), turned.mean())


def _best_order(P: NDArray, y: NDArray) -> NDArray | None:
    """Return which column to take for each class, None for the order as it is.

    Each class takes the column that is highest in its rows, no two the same one.
    """
    from scipy.optimize import linear_sum_assignment

    n_classes = P.shape[1]
    counts = np.bincount(y, minlength=n_classes)
    is_class = (y[:, None] == np.arange(n_classes)).astype(np.float64)
    means = is_class.T @ P / np.maximum(counts, 1)[:, None]
    order = linear_sum_assignment(means, maximize=True)[1]
    return None if np.array_equal(order, np.arange(n_classes)) else order


def _say(sample, member, order, own, turned):
    labels = sample.library.classes.tolist()
    name = sample.names[member]
    if len(labels) == 2:
        return hint(
            name,
            f"has its classes swapped: its loss is {own:.4g}, that of 1 - p "
            f"{turned:.4g}.",
            f"Write the probability of {labels[1]!r}, not of {labels[0]!r}.",
            "warning",
        )
    written = [labels[k] for k in np.argsort(order)]
    more = " and so on" if len(labels) > _SHOWN else ""
    return hint(
        name,
        f"has its classes in another order: its loss is {own:.4g}, and {turned:.4g} "
        f"with its columns taken as {written[:_SHOWN]}{more}.",
        f"Write the columns in the order {labels[:_SHOWN]}, or name them.",
        "warning",
    )
