"""The outcome of a blend in words."""

import math

from .methods import BEST_MEMBER, MEAN

_BAR = "by more than one standard error"
_BASES = {"gain_over_mean": MEAN, "gain_over_best": BEST_MEMBER}


def write_verdict(blend):
    """Return whether anything beats the mean and the best member, in sentences.

    One standard error is the bar: less than that, noise explains.
    """
    member = f"the best single member ({blend.members[0]['name']})"
    over_mean, over_member = (_winner(blend, base) for base in _BASES)
    if over_mean is None and over_member is None:
        said = [
            f"Nothing beats the mean, or {member}, by more than one standard error."
        ]
    elif over_mean is None:
        said = [
            f"Nothing beats the mean {_BAR}: take the mean.",
            f"{over_member['name']} beats the best single member by "
            f"{_gain(over_member, 'gain_over_best')}.",
        ]
    elif over_member is None:
        said = [
            f"Nothing beats {member} {_BAR}.",
            f"{over_mean['name']} beats the mean by "
            f"{_gain(over_mean, 'gain_over_mean')}.",
        ]
    else:
        said = [_both(over_mean, over_member, member)]
    return " ".join([*said, *_caution(blend, blend.choice["n_methods"])])


def _winner(blend, base):
    """Return the row that beats the base by more than one standard error, or None.

    The blend's own method if it does, else the one of the best score that does.
    """
    rows = sorted(blend.rows, key=lambda row: row["name"] != blend.best)
    for row in rows:
        clear = row[base] is not None and row[base] > (row[base + "_se"] or 0.0)
        if clear and row["name"] != _BASES[base]:
            return row
    return None


def _both(over_mean, over_member, member):
    first = (
        f"{over_mean['name']} beats the mean by {_gain(over_mean, 'gain_over_mean')}"
    )
    second = f"{member} by {_gain(over_member, 'gain_over_best')}."
    if over_mean is over_member:
        return f"{first}, and {second}"
    return f"{first}, and {over_member['name']} {second}"


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
    if error is not None and gain <= error and _winner(blend, "gain_over_mean"):
        return [
            f"But it is the best of {n_methods} methods: choosing among them gains "
            f"{_with_error(gain, error)} over the mean on folds that had no say in it."
        ]
    return []
