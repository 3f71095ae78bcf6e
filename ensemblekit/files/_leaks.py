"""Members that are too good: on all rows, or in one fold."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._parts import Finding
from ._sampled import CERTAIN, Sample, hint, standard_error

# Of the others' usual loss: six tenths in RMSE or pinball loss, a quarter of the log
# loss, which few rows predicted with too much confidence can double for an honest
# member.
_FAR = {"regression": 0.36, "quantile": 0.6, "classification": 0.25}
_FEWEST_ROWS = 20
_FEWEST = 3  # members, and folds: of two none is usual
_TINY = 1e-300
_ADVICE = "Look for rows it was trained on, or a column made of the target."


def far_ahead(sample: Sample) -> Iterator[Finding]:
    """Compare each member with the median of the others, on all rows and by fold.

    A loss is far ahead below a fixed share of that median, and by five times the spread
    of the others: where members differ much, the best may be far ahead of most.
    """
    if len(sample.losses) < _FEWEST:
        return
    least = -np.log(_FAR[sample.library.task])
    means = sample.losses.mean(axis=1)
    members = range(len(means))
    ahead = [k for k in members if _is_ahead(sample.losses, means, k, least)]
    for member in ahead:
        usual = np.median(np.delete(means, member))
        yield hint(
            sample.names[member],
            f"has a loss of {means[member]:.4g}, the median of the others "
            f"{usual:.4g}: is it held out?",
            _ADVICE,
        )
    yield from _ahead_in_folds(sample, set(ahead), least)


def _is_ahead(losses, means, member, least):
    others = np.log(np.maximum(np.delete(means, member), _TINY))
    usual = np.median(others)
    gap = usual - np.log(max(means[member], _TINY))
    if gap < max(least, CERTAIN * _spread(others)):
        return False
    return _is_certain(losses, means, member, np.exp(usual))


def _is_certain(losses, means, member, usual, share=1.0):
    """Whether a member's gain on a usual one is above chance; share: of its loss."""
    distances = np.abs(means - usual)
    distances[member] = np.inf
    gain = share * losses[int(np.argmin(distances))] - losses[member]
    return bool(gain.mean() > CERTAIN * standard_error(gain))


def _spread(values):
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _ahead_in_folds(sample, known, least):
    """A lead in one fold that the member has in no other."""
    if sample.library.folds is None:
        return
    folds = sample.library.folds[sample.rows]
    parts = [(fold, folds == fold) for fold in np.unique(folds)]
    parts = [(fold, rows) for fold, rows in parts if rows.sum() >= _FEWEST_ROWS]
    if len(parts) < _FEWEST:
        return
    means = np.stack([sample.losses[:, rows].mean(axis=1) for _, rows in parts])
    leads = _leads(means)
    usual = np.stack([np.median(np.delete(leads, k, 0), axis=0) for k in
                      range(len(parts))])  # fmt: skip
    excess = leads - usual
    limit = max(least, CERTAIN * _spread(excess))
    for k, member in np.argwhere(np.minimum(excess, leads) > limit):
        fold, rows = parts[k]
        median = np.median(np.delete(means[k], member))
        share = float(np.exp(-usual[k, member]))
        part = sample.losses[:, rows]
        if member not in known and _is_certain(part, means[k], member, median, share):
            rest = np.delete(means[:, member], k).mean()
            yield hint(
                sample.names[member],
                f"has a loss of {means[k, member]:.4g} in fold {fold}, where the "
                f"median of the others is {median:.4g}, and of {rest:.4g} in its other "
                "folds: was it trained on that fold?",
                _ADVICE,
            )


def _leads(means: NDArray) -> NDArray:
    """Logarithms of the others' median over a member's loss, for each fold."""
    logs = np.log(np.maximum(means, _TINY))
    members = range(means.shape[1])
    usual = [np.median(np.delete(logs, member, axis=1), axis=1) for member in members]
    return np.stack(usual, axis=1) - logs
