"""Habits that all displays share."""

import subprocess
import sys

import numpy as np
import pytest

from ensemblekit import plot
from ensemblekit.plot import _axes

figure = pytest.importorskip("matplotlib.figure")

DISPLAYS = {
    "CoverageDisplay": lambda: plot.CoverageDisplay(
        {
            key: np.array([value])
            for key, value in {
                "group": "a",
                "n_rows": 4,
                "coverage": 0.8,
                "low": 0.3,
                "high": 0.9,
                "expected_low": 0.5,
                "expected_high": 1.0,
                "as_expected": True,
            }.items()
        },
        0.1,
    ),
    "ArchiveDisplay": lambda: plot.ArchiveDisplay([2.0, 1.0], [1, 3]),
    "FrontierDisplay": lambda: plot.FrontierDisplay([1.0, 2.0], [3.0, 1.0]),
    "DiversityDisplay": lambda: plot.DiversityDisplay(np.eye(3)),
    "LossPathDisplay": lambda: plot.LossPathDisplay([2.0, 1.0], ["a", "b"]),
    "QuantileFanDisplay": lambda: plot.QuantileFanDisplay(
        [[1.0, 2.0], [2.0, 3.0]], [0.1, 0.9], [1.0, 2.0]
    ),
    "ReliabilityDisplay": lambda: plot.ReliabilityDisplay([0.5], [0.4], [10]),
    "RiskCoverageDisplay": lambda: plot.RiskCoverageDisplay([0.5, 1], [0, 0.1], 10),
    "WeightsDisplay": lambda: plot.WeightsDisplay([0.4, 0.6]),
}


def test_every_display_is_here():
    assert set(DISPLAYS) == set(plot.__all__)
    assert all(hasattr(getattr(plot, name), "from_predictions") for name in DISPLAYS)


@pytest.mark.parametrize("name", DISPLAYS)
def test_axes_given_are_drawn_on_and_pyplot_is_left_alone(name):
    ax = figure.Figure().subplots()
    display = DISPLAYS[name]()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.has_data()
    assert display.plot().ax_ is not ax
    display.figure_.canvas.draw()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_import_loads_neither_matplotlib_nor_pandas():
    code = "import sys, sklearn.ensemble; before = set(sys.modules);"
    code += "import ensemblekit.plot;"
    code += "print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "ensemblekit" in loaded
    assert not loaded & {"matplotlib", "pandas", "numba", "jinja2"}


def luminance(colour):
    channels = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255.0
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("page", ["#ffffff", "#1b1b1f"])
@pytest.mark.parametrize("colour", [*_axes.SERIES, _axes.GREY])
def test_colours_are_seen_on_white_and_on_dark_pages(colour, page):
    low, high = sorted([luminance(colour), luminance(page)])
    assert (high + 0.05) / (low + 0.05) >= 3.0  # WCAG 1.4.11


def test_names_on_axes_are_distinct_short_and_on_one_line():
    ax = figure.Figure().subplots()
    long = ["a" * 40 + letter + "b" * 40 for letter in "xyz"]
    _axes.name_ticks(ax.xaxis, range(5), [*long, "two\nlines", long[0]])
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert len(set(names)) == 4
    assert names[0] == names[4]
    assert all(len(name) <= 28 and "\n" not in name for name in names)


def test_thinning_keeps_both_ends():
    assert _axes.thin(3).tolist() == [0, 1, 2]
    kept = _axes.thin(100_000, 500)
    assert len(kept) == 500
    assert kept[[0, -1]].tolist() == [0, 99_999]
