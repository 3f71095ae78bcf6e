"""The outcome of a blend in words."""

import math

from .methods import BEST_MEMBER, MEAN


def write_verdict(blend):
    """Return whether anything beats the mean and the best member, in sentences.

    One standard error is the bar: less than that, noise explains.
    """
    best = next(row for row in blend.rows if row["name"] == blend.best)
    n_methods = blend.choice["n_methods"]
    beaten = [_beats(blend, base) for base in ("gain_over_mean", "gain_over_best")]
    if not any(beaten):
        first = (
            "Nothing beats the mean, or the best single member "
            f"({blend.members[0]['name']}), by more than one standard error."
        )
    elif not beaten[0]:
        first = (
            "Nothing beats the mean by more than one standard error: take the mean. "
            + _over(blend, best, "gain_over_best", "the best single member")
        )
    elif not beaten[1]:
        first = (
            "Nothing beats the best single member "
            f"({blend.members[0]['name']}) by more than one standard error. "
            + _over(blend, best, "gain_over_mean", "the mean")
        )
    else:
        first = _both(blend, best)
    return " ".join([first.strip(), *_caution(blend, n_methods)])


def _beats(blend, base):
    """Return whether any method beats the base by more than one standard error."""
    itself = {"gain_over_mean": MEAN, "gain_over_best": BEST_MEMBER}[base]
    return any(
        row[base] is not None and row[base] > (row[base + "_se"] or 0.0)
        for row in blend.rows
        if row["name"] != itself
    )


def _both(blend, best):
    bases = {
        "gain_over_mean": "the mean",
        "gain_over_best": f"the best single member ({blend.members[0]['name']})",
    }
    parts = [
        f"{what} by {_gain(best, base)}"
        for base, what in bases.items()
        if best[base] is not None and best[base] > 0.0
    ]
    if not parts:  # others do, but are not asked for
        return f"{best['name']} beats neither the mean nor the best single member."
    return f"{best['name']} beats {', and '.join(parts)}."


def _over(blend, row, base, what):
    if row[base] is None or row[base] <= 0.0:
        return ""
    return f"{row['name']} beats {what} by {_gain(row, base)}."


def _gain(row, base):
    return _with_error(row[base], row[base + "_se"])


def _with_error(gain, error):
    """Return both to the second digit of the error."""
    if not error:
        return f"{gain:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    times = f"{gain / error:.1f} standard errors"
    return f"{gain:.{digits}f} +- {error:.{digits}f} ({times})"


def _caution(blend, n_methods):
    gain, error = blend.choice["gain_over_mean"], blend.choice["gain_over_mean_se"]
    if gain is None or n_methods < 3:
        return []
    if error is not None and gain <= error and _beats(blend, "gain_over_mean"):
        return [
            f"But it is the best of {n_methods} methods: choosing among them gains "
            f"{_with_error(gain, error)} over the mean on folds that had no say in it."
        ]
    return []
