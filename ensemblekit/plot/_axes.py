"""What the displays share: axes, colours, and names that fit.

Colours are of Okabe and Ito's palette, which colour-blind people tell apart; all have a
contrast of 3 at least to white and to dark pages. Text and frames keep matplotlib's own
colours, so that its styles work.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
GREY = "#808080"
SKY = "#56B4E9"  # for surfaces, on which ink is read
SERIES = (BLUE, VERMILLION, GREEN, PURPLE)

# A curve of more points is no finer on paper, and a large file.
_MAX_POINTS = 500
_LONGEST_NAME = 28


def make_axes(
    ax: Any, height: float | None = None, width: float | None = None
) -> tuple[Any, Any]:
    """Return axes, made if None, and their figure.

    height, width : in inches, of a figure that is made; None is matplotlib's default
    """
    if ax is None:
        try:
            from matplotlib import rcParams
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "Displays are drawn by matplotlib, which is not installed. Install it "
                "with: pip install 'ensemblekit[report]'"
            ) from error
        usual = rcParams["figure.figsize"]
        # Not through pyplot: no window, no figure left in its list.
        figure = Figure((width or usual[0], height or usual[1]), layout="constrained")
        ax = figure.subplots()
        ax.spines[["top", "right"]].set_visible(False)
    return ax, ax.figure


def ink() -> Any:
    """Return the colour that text has."""
    from matplotlib import rcParams

    return rcParams["text.color"]


def next_colour(ax: Any) -> str:
    """Return the colour of one more display on the same axes."""
    n_before = getattr(ax, "_ensemblekit_series", 0)
    ax._ensemblekit_series = n_before + 1
    return SERIES[n_before % len(SERIES)]


def shorten(name: Any, longest: int = _LONGEST_NAME) -> str:
    """Return a name on one line, cut in its middle where it is long.

    Names of members often differ at their ends alone: ``lgbm_v1``, ``lgbm_v2``.

    Examples
    --------
    >>> shorten("gradient boosting of all features, fold 3", 20)
    'gradient b…s, fold 3'
    """
    text = "".join(c if c.isprintable() else " " for c in str(name))
    if len(text) <= longest:
        return text
    head = longest // 2
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def name_ticks(axis: Any, positions: ArrayLike, names: Any, **text: Any) -> None:
    """Write names at an axis; ``$`` in them is no formula.

    Of names that are alike when shortened each gets its number.
    """
    short = [shorten(name) for name in names]
    if len(set(short)) < len(set(map(str, names))):
        numbers = {name: n for n, name in enumerate(dict.fromkeys(names), 1)}
        short = [f"{numbers[n]}: {shorten(n, _LONGEST_NAME - 5)}" for n in names]
    axis.set_ticks(positions, short, parse_math=False, **text)


def thin(n_points: int, most: int = _MAX_POINTS) -> NDArray:
    """Return positions of at most `most` points, evenly spaced, both ends among them.

    Examples
    --------
    >>> thin(9, 5).tolist()
    [0, 2, 4, 6, 8]
    """
    return np.unique(np.linspace(0, n_points - 1, min(n_points, most)).round()).astype(
        np.int64
    )


def legend(ax: Any, **options: Any) -> None:
    """Add a legend whose frame lets the data through; names are no formulas."""
    box = ax.legend(frameon=True, framealpha=0.7, fontsize="small", **options)
    for text in box.get_texts():
        text.set_parse_math(False)


def title(ax: Any, text: str) -> None:
    """Set a title as large as the other text, which may hold names."""
    ax.set_title(text, fontsize="medium", parse_math=False)


def share(value: float) -> str:
    """Return a share as per cent, without a fraction that says nothing.

    Examples
    --------
    >>> share(0.9), share(0.975)
    ('90 %', '97.5 %')
    """
    return f"{100.0 * value:.3g} %"
