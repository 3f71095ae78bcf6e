"""The outcome of a blend in words."""

import math

from .methods import BEST_MEMBER, MEAN


def write_verdict(blend):
    """Return whether anything beats the mean and the best member, in sentences.

    One standard error is the bar: less than that, noise explains.
    """
    best, n_methods = blend.rows[0], len(blend.rows)
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
    return " ".join([first, *_caution(blend, n_methods)])


def _beats(blend, base):
    """Return whether the best by nested score beats the base by one standard error."""
    others = [r for r in blend.rows if r["name"] not in (MEAN, BEST_MEMBER)]
    return any(
        row[base] is not None and row[base] > (row[base + "_se"] or 0.0)
        for row in [*others, *_mean_row(blend, base)]
    )


def _mean_row(blend, base):
    """Return the mean's row where it may beat the best member."""
    if base == "gain_over_mean":
        return []
    return [row for row in blend.rows if row["name"] == MEAN]


def _both(blend, best):
    mean = _over(blend, best, "gain_over_mean", "the mean")
    member = _gain(best, "gain_over_best")
    name = blend.members[0]["name"]
    return f"{mean[:-1]}, and the best single member ({name}) by {member}."


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
