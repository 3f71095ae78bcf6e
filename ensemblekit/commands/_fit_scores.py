"""Scores of a fit as a table of plain text."""

from math import floor, log10

from ._common import printable

_WIDTH = 28


def print_scores(result, stacked, method):
    """Print ensemble and members with their errors, and the outcome in words."""
    print(f"\n{_table(result, stacked, method)}\n")
    print(printable(result.verdict + _advice(result, method)), end="\n\n")


def _table(result, stacked, method):
    """Return ensemble and members, best first, and what they are compared with."""
    seconds = {row["name"]: row["fit_time"] for row in stacked.cross_fit_.report_}
    weights = result.weights_of(method) or {}
    lines = [
        (f"ensemble ({method})", find, None, None) for find in _rows(result, method)
    ]
    lines += [
        ("mean of all members", row, None, None)
        for row in _rows(result, "mean")
        if method not in ("mean", "best member")
    ]
    for row in result.members:
        name = row["name"]
        lines.append((name, row, weights.get(name), seconds.get(name)))
    sign = -1.0 if result.greater_is_better else 1.0
    lines.sort(key=lambda line: sign * line[1]["score"])
    digits = _digits([line[1] for line in lines])
    direction = "higher" if result.greater_is_better else "lower"
    head = f"{'':{_WIDTH}} {result.metric:>12} {'se':>10} {'weight':>7} {'fit s':>7}"
    title = (
        f"{result.metric} on held-out rows, {direction} is better "
        f"(se: standard error over the folds)"
    )
    return "\n".join([title, "", head, *(_line(line, digits) for line in lines)])


def _advice(result, method):
    """Return how to take the mean, where nothing is shown to beat it."""
    if result.beats_mean or method == "mean" or not _rows(result, "mean"):
        return ""
    return " (--combiner mean takes the mean; with --memory no member is fitted twice.)"


def _rows(result, method):
    return [row for row in result.rows if row["name"] == method]


def _digits(rows):
    """Return how many decimals show two digits of the standard errors."""
    errors = [row["score_se"] for row in rows if row["score_se"]]
    if not errors:
        return 4
    return min(12, max(0, 1 - floor(log10(min(errors)))))


def _line(line, digits):
    name, row, weight, seconds = line
    error = "-" if row["score_se"] is None else f"{row['score_se']:.{digits}f}"
    share = "" if weight is None else f"{weight:.3f}" if weight else "0"
    took = "" if seconds is None else f"{seconds:.1f}"
    shown = printable(name)
    shown = shown if len(shown) <= _WIDTH else shown[: _WIDTH - 3] + "..."
    score = f"{row['score']:.{digits}f}"
    return f"{shown:{_WIDTH}} {score:>12} {error:>10} {share:>7} {took:>7}".rstrip()
