"""Geometry of the charts; the templates write the SVG, the style sheet the colours.

Own SVG instead of matplotlib's: a heat map of 40 members takes 15 KB, not 200 KB, and
colours that are classes follow the reader's light or dark page.
"""

from bisect import bisect_right
from math import ceil, floor, log10

# Correlations of errors differ above 0.9, where linear steps would not show it.
HEAT_STEPS = (-0.2, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.9999)
WIDTH, HEIGHT = 560, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 40
_NUMBERS = 14  # members up to which a heat map shows its numbers


def heat_map(matrix):
    """Return cells of the lower triangle as one path for each class of colour."""
    paths: dict = {}
    numbers = []
    for row, values in enumerate(matrix):
        for column, value in enumerate(values[:row]):
            step = heat_class(value)
            paths.setdefault(step, []).append(f"M{column} {row}h1v1h-1z")
            numbers.append({"x": column, "y": row, "value": value, "step": step})
    return {
        "size": len(matrix),
        "paths": {step: "".join(cells) for step, cells in sorted(paths.items())},
        "numbers": numbers if len(matrix) <= _NUMBERS else [],
    }


def heat_class(value):
    """Return 0 (errors that cancel) up to 10 (a duplicate); -1 for no value."""
    return -1 if value is None else bisect_right(HEAT_STEPS, value)


def heat_legend():
    """Return class and label of each step."""
    edges = [f"{edge:g}".replace("-", "\u2212") for edge in HEAT_STEPS]
    labels = [f"< {edges[0]}", *(f"≥ {edge}" for edge in edges)]
    return list(enumerate(labels))


def step_line(steps, losses):
    """Return the path of a loss over steps, with its axes."""
    known = [(x, y) for x, y in zip(steps, losses, strict=True) if y is not None]
    if not known:
        return None
    frame = _Frame([x for x, _ in known], [y for _, y in known], whole=True)
    (x, y), *rest = [frame.place(*point) for point in known]
    path = f"M{x:g} {y:g}" + "".join(f"H{px:g}V{py:g}" for px, py in rest)
    return {**frame.axes(), "path": path, "points": [(x, y), *rest][:1000]}


def band_points(points, *, diagonal):
    """Return points with bands, beside the diagonal or the line of no bias."""
    values = [p[key] for p in points for key in ("observed", "low", "high")]
    values = [v for v in values if v is not None]
    xs = [p["predicted"] for p in points]
    frame = _Frame(
        xs + (values if diagonal else []), values + (xs if diagonal else [0])
    )
    low, high = frame.x_range
    ends = [(low, low), (high, high)] if diagonal else [(low, 0.0), (high, 0.0)]
    marks = []
    for point in points:
        x, y = frame.place(point["predicted"], point["observed"])
        has_band = point["low"] is not None
        band = (
            [frame.place(0, point[k])[1] for k in ("low", "high")] if has_band else []
        )
        marks.append({"x": x, "y": y, "band": band, **point})
    return {
        **frame.axes(),
        "reference": [frame.place(*end) for end in ends],
        "marks": marks,
    }


def score_range(rows, greater_is_better):
    """Return the range of the small intervals in a leaderboard, None without scores.

    Far-off members do not squeeze the others: they are drawn at the edge.
    """
    rows = [row for row in rows if row["score"] is not None]
    if not rows:
        return None
    sign = -1.0 if greater_is_better else 1.0
    ends = [(sign * row["score"], row["score_se"] or 0.0) for row in rows]
    best = min(loss - error for loss, error in ends)
    middle = sorted(loss for loss, _ in ends)[len(ends) // 2]
    worst = max(loss + error for loss, error in ends)
    if middle > best:
        worst = min(worst, best + 4.0 * (middle - best))
    worst = worst if worst > best else best + 1.0
    return tuple(sorted((sign * best, sign * worst)))


def interval(row, ends, width=96):
    """Return the place of a score and of its error bar in a small chart."""
    low, high = ends
    score, error = row["score"], row["score_se"] or 0.0
    places = [
        3.0 + (width - 6.0) * min(max((value - low) / (high - low), 0.0), 1.0)
        for value in (score - error, score, score + error)
    ]
    return {
        "left": f"{places[0]:.3g}",
        "at": f"{places[1]:.3g}",
        "right": f"{places[2]:.3g}",
        "off": not low <= score <= high,
    }


def weight_bars(weights, n_shown=40):
    """Return the largest weights with the places of bars, from zero, and of bands."""
    values = weights["values"]
    bands = weights["intervals"] or [[value, value] for value in values]
    order = sorted(range(len(values)), key=lambda m: -abs(values[m] or 0.0))
    used = [m for m in order if values[m] or bands[m][1]][:n_shown]
    low = min([0.0] + [min(values[m], bands[m][0]) for m in used])
    high = max([0.0] + [max(values[m], bands[m][1]) for m in used])
    scale = 200.0 / ((high - low) or 1.0)
    return [
        {
            "name": weights["names"][m],
            "value": values[m],
            "band": weights["intervals"] and weights["intervals"][m],
            "x": f"{scale * (min(values[m], 0.0) - low):.4g}",
            "width": f"{scale * abs(values[m]):.4g}",
            "ends": [f"{scale * (end - low):.4g}" for end in bands[m]],
        }
        for m in used
    ]


class _Frame:
    """Axes with round ticks around some points."""

    def __init__(self, xs, ys, whole=False):
        self.x_ticks, self.y_ticks = ticks(xs, whole=whole), ticks(ys)
        self.x_range = _span(xs, margin=0.0 if whole else 0.03)
        self.y_range = _span(ys, margin=0.05)

    def place(self, x, y):
        """Return pixels, rounded to tenths."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        across = _LEFT + width * (x - x0) / (x1 - x0)
        return round(across, 1), round(_TOP + height * (y1 - y) / (y1 - y0), 1)

    def axes(self):
        """Return ticks as (pixel, label) within the range."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return {
            "x_ticks": [
                (self.place(t, y0)[0], f"{t:g}") for t in self.x_ticks if x0 <= t <= x1
            ],
            "y_ticks": [
                (self.place(x0, t)[1], f"{t:g}") for t in self.y_ticks if y0 <= t <= y1
            ],
            "box": (_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM),
        }


def ticks(values, n_ticks=5, whole=False):
    """Return about five round numbers between the least and the greatest value."""
    low, high = _span(values)
    raw = (high - low) / n_ticks
    power = 10.0 ** floor(log10(raw))
    step = next(power * s for s in (1.0, 2.0, 5.0, 10.0) if power * s >= raw * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def _span(values, margin=0.0):
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        half = abs(low) * 0.05 or 0.5
        low, high = low - half, high + half
    return low - margin * (high - low), high + margin * (high - low)
