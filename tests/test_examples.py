"""The examples run as they are, and print something; plot_*.py draw one figure."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


GALLERY = [path for path in EXAMPLES if path.stem.startswith("plot_")]
OTHERS = [path for path in EXAMPLES if path not in GALLERY]
SHORT = 60  # lines of a file of the gallery


@pytest.fixture
def pyplot(monkeypatch):
    """Return pyplot without windows, and without figures afterwards."""
    pytest.importorskip("matplotlib", reason="the gallery needs matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: None)
    plt.close("all")
    yield plt
    plt.close("all")


def run(path):
    runpy.run_path(str(path), run_name="__main__")


def test_there_is_a_gallery():
    assert len(GALLERY) >= 11


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_example_runs(path, capsys):
    run(path)
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_example_of_the_gallery_prints_and_draws(path, capsys, pyplot):
    run(path)
    assert capsys.readouterr().out
    (number,) = pyplot.get_fignums()
    for ax in pyplot.figure(number).axes:
        assert ax.get_xlabel() or ax.get_title(), "an axis without a word"
        assert ax.has_data()


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_example_of_the_gallery_is_short(path):
    assert len(path.read_text().splitlines()) <= SHORT
