"""The progress of a blend: a bar on a terminal, lines elsewhere, the time left."""

import sys

import pytest

from ensemblekit.blending import blend
from ensemblekit.commands._progress_bar import Progress

from ..blending.libraries import regression

# Two methods, two folds and all rows; the first takes 1 s, the second 99 s.
CALLS = [
    (at, f"{method}: {where}")
    for fold, where in enumerate(["fold 1 of 2", "fold 2 of 2", "all rows"])
    for at, method in [(100.0 * fold, "mean"), (100.0 * fold + 1.0, "greedy, fast")]
]


def follow(monkeypatch, capsys, terminal):
    """Return what is written after each call, on a clock of its own."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    now = [0.0]
    progress = Progress(clock=lambda: now[0])
    written = []
    for done, (at, name) in enumerate([*CALLS, (300.0, "")]):
        now[0] = at
        progress(done, 6, name)
        captured = capsys.readouterr()
        assert captured.out == ""
        written.append(captured.err)
    return written


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    written = follow(monkeypatch, capsys, terminal=True)
    assert written == [
        "\r\033[K[                    ] 0/6 0:00  mean: fold 1 of 2",
        "\r\033[K[###                 ] 1/6 0:01  greedy, fast: fold 1 of 2",
        "\r\033[K[######              ] 2/6 1:40, 3:20 left  mean: fold 2 of 2",
        "\r\033[K[##########          ] 3/6 1:41, 3:19 left  greedy, fast: fold 2 of 2",
        "\r\033[K[#############       ] 4/6 3:20, 1:40 left  mean: all rows",
        "\r\033[K[################    ] 5/6 3:21, 1:39 left  greedy, fast: all rows",
        "\r\033[K",
    ]


def test_plain_lines_elsewhere(monkeypatch, capsys):
    written = follow(monkeypatch, capsys, terminal=False)
    assert written == [
        *("", ""),
        "2/6 1:40, 3:20 left  mean: fold 2 of 2\n",
        "",
        "4/6 3:20, 1:40 left  mean: all rows\n",
        *("", ""),
    ]


def test_a_long_name_stays_on_its_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Progress(clock=lambda: 0.0)(0, 3, "m" * 200 + "\n: fold 1 of 2")
    line = capsys.readouterr().err.removeprefix("\r\033[K")
    assert len(line) == 78
    assert "\n" not in line


def test_hours_are_told(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    now = iter([0.0, 3723.0])
    Progress(clock=lambda: next(now))(1, 3, "mean: fold 1 of 2")
    assert "1/3 1:02:03  mean" in capsys.readouterr().err


@pytest.mark.parametrize("n_folds", [2, 3])
def test_a_blend_names_method_and_fold(n_folds):
    names = []
    library = regression(60)
    blend(
        library,
        methods=["mean"],
        folds=[k % n_folds for k in range(60)],
        progress=lambda done, total, name: names.append(name),
    )
    places = [f"fold {k + 1} of {n_folds}" for k in range(n_folds)]
    assert names == [
        *(f"{m}: {p}" for p in [*places, "all rows"] for m in ("best member", "mean")),
        "",
    ]
