"""F8: memory is counted before it is taken, and the error names what is too large."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor

from ensemblekit import CrossFit, StackedRegressor, _memory_limit

X = np.zeros((60, 2))
Y = np.arange(60) % 3


@pytest.fixture
def tight(monkeypatch):
    """Leave so many bytes."""

    def leave(n_bytes):
        monkeypatch.setattr(_memory_limit, "available_bytes", lambda: n_bytes)
        monkeypatch.setattr(_memory_limit, "_SMALL", 0)

    return leave


class Counting(ClassifierMixin, BaseEstimator):
    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1.0 / len(self.classes_))


def test_refused_before_any_fit(tight):
    members = [("a", Counting()), ("b", Counting())]
    tight(60 * 2 * 3 * 8)
    with pytest.raises(MemoryError, match=r"P \(60 rows x 6 columns\) takes .* GB"):
        CrossFit(members, cv=3).fit(X, Y)
    assert Counting.n_fits == 0
    tight(10 * 60 * 2 * 3 * 8)
    CrossFit(members, cv=3).fit(X, Y)
    assert Counting.n_fits == 6


def test_repeats_count(tight):
    """Each fold's block is kept until all are there."""
    members = [("a", DummyClassifier())]
    tight(8 * 60 * 3 * 8)
    CrossFit(members, cv=3).fit(X, Y)
    with pytest.raises(MemoryError, match="P "):
        CrossFit(members, cv=3, n_repeats=10, random_state=0).fit(X, Y)


def test_new_rows_count(tight):
    stacked = StackedRegressor([("a", DummyRegressor())], cv=3).fit(X, Y)
    rows = np.zeros((1000, 2))
    stacked.predict(rows)
    tight(8000)
    with pytest.raises(MemoryError, match=r"P \(1000 rows x 1 columns\)"):
        stacked.predict(rows)


def test_a_member_more_counts(tight):
    folds = CrossFit([("a", DummyRegressor())], cv=3).fit(X, Y)
    tight(100)
    with pytest.raises(MemoryError, match="P "):
        folds.add("b", DummyRegressor(), X, Y)
    assert list(folds.method_) == ["a"]


def test_unknown_memory_refuses_nothing(tight):
    tight(None)
    CrossFit([("a", DummyRegressor())], cv=3).fit(X, Y)


def group(tmp_path, **files):
    for name, text in files.items():
        path = (
            tmp_path
            / {
                "max": "memory.max",
                "current": "memory.current",
                "stat": "memory.stat",
                "old_limit": "memory/memory.limit_in_bytes",
                "old_usage": "memory/memory.usage_in_bytes",
                "old_stat": "memory/memory.stat",
            }[name]
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return _memory_limit._of_container(tmp_path)


def test_containers(tmp_path):
    assert group(tmp_path) is None
    assert group(tmp_path, max="max\n", current="500\n") is None
    assert group(tmp_path, max="1000\n", current="700\n") == 300
    stat = "anon 100\ninactive_file 200\nactive_file 7\n"
    assert group(tmp_path, max="1000\n", current="700\n", stat=stat) == 500


def test_containers_of_old(tmp_path):
    unlimited = f"{2**63 - 4096}\n"
    assert group(tmp_path, old_limit=unlimited, old_usage="700\n") is None
    stat = "inactive_file 5\ntotal_inactive_file 100\n"
    known = {"old_limit": "1000\n", "old_usage": "700\n", "old_stat": stat}
    assert group(tmp_path, **known) == 400


def test_this_machine_has_some():
    n_bytes = _memory_limit.available_bytes()
    assert n_bytes is None or 1e6 < n_bytes < 1e15


LIMITED = """
import resource
import numpy as np
from sklearn.linear_model import Ridge
from ensemblekit import CrossFit

class Zero(Ridge):
    def fit(self, X, y):
        print("fitted", flush=True)
        self.n_ = len(X)
        return self

    def predict_quantiles(self, X):
        return np.zeros((len(X), 99))

X, y = np.zeros((200_000, 1)), np.zeros(200_000)
levels = np.linspace(0.01, 0.99, 99)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 400_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
members = [(f"m{i}", Zero()) for i in range({n_members})]
try:
    CrossFit(members, cv=2, quantile_levels=levels).fit(X[:{n_rows}], y[:{n_rows}])
except MemoryError as error:
    print("refused:", error)
else:
    print("done")
"""


def run_limited(**sizes):
    code = LIMITED
    for key, value in sizes.items():
        code = code.replace("{" + key + "}", str(value))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_under_a_limit_of_the_address_space():
    said = run_limited(n_rows=200_000, n_members=4)
    assert "refused: P (200000 rows x 396 columns) takes 1.9 GB" in said
    assert "fitted" not in said
    assert run_limited(n_rows=10_000, n_members=4).endswith("done\n")
    print("F8: tried 2 survived 2 lost 0")
