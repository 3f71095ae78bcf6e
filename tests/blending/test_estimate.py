"""Time and memory are told before a long run, and only then."""

import re

from ensemblekit.blending import _estimate
from ensemblekit.blending._estimate import estimate

from .libraries import regression


def test_a_short_run_needs_no_estimate():
    assert estimate(regression(), None, "all", 0) is None


def test_a_long_run_is_told(monkeypatch):
    for name, value in {"_LONG": 1, "_WARM": 20, "_FEW": 30, "_MORE": 50}.items():
        monkeypatch.setattr(_estimate, name, value)
    text = estimate(regression(), "mae", ["convex", "greedy"], 0)
    assert text.startswith("4 members x 120 rows: 4 methods x 6 fits, about ")
    assert re.search(r"about \d+ s and 0\.6 GB of memory, P included\.$", text)


def test_times_are_read_easily():
    assert [_estimate._time(s) for s in (0.1, 89, 600, 9000)] == [
        *("1 s", "89 s", "10 minutes", "2.5 hours"),
    ]
