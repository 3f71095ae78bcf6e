"""A blend as a table of plain text."""

_HEADER = (
    *("method", "nested", "se", "naive", "optimism"),
    *("vs mean", "se", "vs best", "se", "members"),
)
_KEYS = (
    *("score", "score_se", "naive", "optimism"),
    *("gain_over_mean", "gain_over_mean_se", "gain_over_best", "gain_over_best_se"),
)


def write_table(blend, digits=4):
    """Return the table of methods, what was left out, and the verdict."""
    rows = [_HEADER, *(_cells(row, digits) for row in blend.rows)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADER))]
    lines = ["  ".join(_padded(row, widths)).rstrip() for row in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    direction = "higher" if blend.greater_is_better else "lower"
    head = f"{blend.metric}, {direction} is better; {_folds(blend)}"
    ends = [*_left_out(blend), _choosing(blend, digits), blend.verdict]
    return "\n".join([head, "", *lines, "", *ends])


def _choosing(blend, digits):
    score, error = blend.choice["score"], blend.choice["score_se"]
    n_methods = blend.choice["n_methods"]
    if n_methods == 1:
        return f"Chosen: {blend.best}, as asked for."
    return (
        f"Choosing among the {n_methods} methods, by the other folds, scores "
        f"{_number(score, digits)} +- {_number(error, digits)}."
    )


def _folds(blend):
    source = {
        "given": "the folds given",
        "library": "the folds of the predictions",
        "drawn": f"folds drawn with seed {blend.random_state}",
    }[blend.fold_source]
    text = f"nested over {source}"
    if blend.unscored:
        text += f"; {blend.unscored} rows could not be scored"
    return text


def _cells(row, digits):
    numbers = [_number(row[key], digits) for key in _KEYS]
    members = "-" if row["n_members"] is None else str(row["n_members"])
    return (row["name"], *numbers, members)


def _number(value, digits):
    # + 0.0: no minus before a zero
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _padded(row, widths):
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _left_out(blend):
    return [f"{name}: {reason}." for name, reason in blend.skipped]
