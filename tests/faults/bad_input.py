"""Cases of bad or odd input: each changes a good call of fit in one place."""

from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, LeaveOneOut, ShuffleSplit, TimeSeriesSplit

N = 40


def _cell(value):
    def put(X):
        X = X.copy()
        X[3, 1] = value
        return X

    return put


def _frame(change):
    return lambda X: change(pd.DataFrame(X, columns=list("abcd")))


def _with_column(values):
    return _frame(lambda frame: frame.assign(a=values))


def _dtype(name):
    return lambda X: (4 * X).astype(name)


ROWS = {
    **{
        name: _dtype(name)
        for name in (
            *("bool", "int8", "uint8", "int64", "uint64", "float16", "float32"),
            *("longdouble", "complex64", "complex128", "object", "str", "bytes"),
            *(">f8", ">i4", "datetime64[s]", "timedelta64[s]"),
        )
    },
    "object of words": lambda X: np.full(X.shape, "word", dtype=object),
    "object with None": lambda X: _cell(None)(X.astype(object)),
    "object with lists": lambda X: np.array([[[1], [2]]] * N, dtype=object),
    "structured": lambda X: np.zeros(N, dtype=[("a", "f8"), ("b", "i4")]),
    "Fortran": np.asfortranarray,
    "negative strides": lambda X: X[::-1, ::-1],
    "every other": lambda X: np.repeat(X, 2, axis=0)[::2],
    "broadcast": lambda X: np.broadcast_to(X[:, :1], X.shape),
    "masked": lambda X: np.ma.masked_array(X, mask=X > 2.0),
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X)),
    "ragged": lambda X: [row[: 1 + i % 3].tolist() for i, row in enumerate(X)],
    "frame": _frame(lambda f: f),
    "frame, other index": _frame(lambda f: f.set_index(np.arange(N)[::-1])),
    "frame, double index": _frame(lambda f: f.set_index(np.zeros(N, dtype=int))),
    "frame, double names": _frame(lambda f: f.set_axis(list("aabc"), axis=1)),
    "frame, mixed names": _frame(lambda f: f.set_axis(["a", 1, "b", 2.0], axis=1)),
    "frame, nullable": _frame(lambda f: f.convert_dtypes()),
    "frame, with NA": _with_column(pd.array([None] + [1.0] * (N - 1), "Float64")),
    "frame, category": _with_column(pd.Categorical(["x", "y"] * (N // 2))),
    "frame, words": _with_column(["x", "y"] * (N // 2)),
    "frame, dates": _with_column([datetime(2020, 1, 1)] * N),
    "frame, objects": _with_column([object()] * N),
    "frame, sparse": _frame(lambda f: f.astype(pd.SparseDtype("float", 0.0))),
    "frame, no column": _frame(lambda f: f[[]]),
    "polars": lambda X: pl.DataFrame(X),
    "polars, words": lambda X: pl.DataFrame({"a": ["x"] * N}),
    "polars, lazy": lambda X: pl.DataFrame(X).lazy(),
    "series": lambda X: pd.Series(X[:, 0]),
    **{
        kind: getattr(sparse, f"{kind}_array")
        for kind in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
    },
    "csr with NaN": lambda X: sparse.csr_array(_cell(np.nan)(X)),
    "csr, unsorted": lambda X: sparse.csr_array(X)[:, ::-1],
    "no rows": lambda X: X[:0],
    "one row": lambda X: X[:1],
    "no columns": lambda X: X[:, :0],
    "fewer rows": lambda X: X[:-1],
    "more rows": lambda X: np.vstack([X, X]),
    "1-D": lambda X: X[:, 0],
    "3-D": lambda X: X[:, :, None],
    "0-D": lambda X: np.float64(3.0),
    "nothing": lambda X: None,
    "word": lambda X: "X",
    "number": lambda X: 7,
    "dict": lambda X: {"a": 1},
    "generator": lambda X: (row for row in X),
    **{
        f"cell {value}": _cell(value)
        for value in (np.nan, np.inf, -np.inf, 1e300, -1e308, 5e-324)
    },
    **{
        f"times {scale:g}": lambda X, scale=scale: X * scale
        for scale in (1e-320, 1e-300, 1e-100, 1e100, 1e300, 1e307)
    },
    "all NaN": lambda X: X * np.nan,
    "zeros": lambda X: X * 0.0,
    "equal columns": lambda X: X[:, [0, 0, 0, 0]],
    "equal rows": lambda X: np.tile(X[:1], (N, 1)),
    "wide": lambda X: np.tile(X, (1, 300)),
}

TARGETS = {
    "list": list,
    "column": lambda y: y[:, None],
    "two columns": lambda y: np.column_stack([y, y]),
    "fewer": lambda y: y[:-1],
    "more": lambda y: np.append(y, y),
    "none": lambda y: None,
    "empty": lambda y: y[:0],
    "0-D": lambda y: 1,
    "word": lambda y: "y",
    "NaN": lambda y: np.append(y[1:].astype(float), np.nan),
    "inf": lambda y: np.append(y[1:].astype(float), np.inf),
    "constant": lambda y: np.ones(N),
    "constant words": lambda y: ["a"] * N,
    "words": lambda y: np.where(y > 0, "yes", "no"),
    "objects": lambda y: np.where(y > 0, "yes", "no").astype(object),
    "bytes": lambda y: np.where(y > 0, b"yes", b"no"),
    "mixed": lambda y: np.array(["a", 1] * (N // 2), dtype=object),
    "with None": lambda y: np.array([None, 1] * (N // 2), dtype=object),
    "bool": lambda y: y > 0,
    "complex": lambda y: y + 1j,
    "dates": lambda y: np.where(y > 0, 1, 0).astype("datetime64[s]"),
    "float16": lambda y: y.astype(np.float16),
    "longdouble": lambda y: y.astype(np.longdouble),
    "series": lambda y: pd.Series(y, index=np.arange(N)[::-1]),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "with NA": lambda y: pd.array([None] + [1] * (N - 1), "Int64"),
    "category": lambda y: pd.Series(y > 0).astype("category"),
    "polars": lambda y: pl.Series(y),
    "frame": lambda y: pd.DataFrame({"y": y}),
    "sparse": lambda y: sparse.csr_array(y[:, None]),
    "read-only": lambda y: np.broadcast_to(y[:1], N),
    "huge": lambda y: y * 1e300,
    "too huge": lambda y: (y + 3.0) * 1e307,
    "tiny": lambda y: y * 1e-300,
    "subnormal": lambda y: y * 1e-322,
    "large integers": lambda y: np.where(y > 0, 2**62, -(2**62)),
    "unsigned": lambda y: np.where(y > 0, 2**63, 1).astype(np.uint64),
    "one row of a class": lambda y: np.arange(N) == 7,
    "two rows of a class": lambda y: np.arange(N) < 2,
    "each row its own": lambda y: np.arange(N),
    "class in one fold": lambda y: np.where(np.arange(N) < 9, 2, y > 0),
    "negative": lambda y: -(y > 0).astype(int) - 5,
    "fractions": lambda y: np.where(y > 0, 0.5, 0.25),
}

WEIGHTS = {
    "ones": np.ones,
    "integers": lambda n: np.arange(n),
    "bool": lambda n: np.arange(n) % 2 == 0,
    "list": lambda n: [1.0] * n,
    "series": lambda n: pd.Series(np.ones(n), index=np.arange(n)[::-1]),
    "zeros": np.zeros,
    "one not zero": lambda n: np.eye(n)[3],
    "negative": lambda n: np.linspace(-1.0, 1.0, n),
    "NaN": lambda n: np.append(np.ones(n - 1), np.nan),
    "inf": lambda n: np.append(np.ones(n - 1), np.inf),
    "huge": lambda n: np.full(n, 1e300),
    "tiny": lambda n: np.full(n, 1e-300),
    "subnormal": lambda n: np.full(n, 5e-324),
    "one huge": lambda n: np.append(np.ones(n - 1), 1e250),
    "one tiny": lambda n: np.append(np.ones(n - 1), 1e-250),
    "fewer": lambda n: np.ones(n - 1),
    "more": lambda n: np.ones(n + 1),
    "column": lambda n: np.ones((n, 1)),
    "two columns": lambda n: np.ones((n, 2)),
    "scalar": lambda n: 2.0,
    "word": lambda n: "weights",
    "words": lambda n: np.array(["a"] * n),
    "complex": lambda n: np.ones(n) + 1j,
    "objects": lambda n: np.array([object()] * n),
    "float16": lambda n: np.full(n, 6e4, np.float16),
    "zero in a fold": lambda n: np.where(np.arange(n) < n // 3, 0.0, 1.0),
}

GROUPS = {
    "one group": lambda n: np.zeros(n),
    "two groups": lambda n: np.arange(n) % 2,
    "each its own": np.arange,
    "words": lambda n: np.array(["a", "b", "c", "d"] * (n // 4)),
    "NaN": lambda n: np.append(np.arange(n - 1.0), np.nan),
    "fewer": lambda n: np.arange(n - 1),
    "matrix": lambda n: np.ones((n, 2)),
    "scalar": lambda n: 3,
    "None inside": lambda n: [None, *range(n - 1)],
}

_halves = np.arange(N // 2), np.arange(N // 2, N)
OPTIONS = {
    **{
        f"cv={cv!r}": {"cv": cv}
        for cv in (-1, 0, 1, 2, N, N + 1, 2.5, "5", True, [], [()], [(1, 2, 3)], ())
    },
    "cv, one split": {"cv": [_halves]},
    "cv, overlap": {"cv": [(np.arange(N), np.arange(5))]},
    "cv, empty train": {"cv": [(np.arange(0), np.arange(N))]},
    "cv, empty test": {"cv": [(np.arange(N), np.arange(0))]},
    "cv, out of range": {"cv": [(np.arange(N), np.arange(N, N + 5))]},
    "cv, fractions": {"cv": [(np.arange(9.0), np.arange(9.0, N))]},
    "cv, masks": {"cv": [(np.arange(N) < 20, np.arange(N) >= 20)]},
    "cv, short masks": {"cv": [(np.ones(9, bool), np.zeros(9, bool))]},
    "cv, negative rows": {"cv": [(np.arange(9), -np.arange(1, 9))]},
    "cv, twice": {"cv": [(np.arange(20), np.array([30, 30]))]},
    "cv, words": {"cv": [("a", "b")]},
    "cv, generator": {"cv": (pair for pair in (_halves, _halves[::-1]))},
    "cv, spent": {"cv": iter(())},
    "cv, too many": {"cv": KFold(N + 1)},
    "cv, each row": {"cv": LeaveOneOut()},
    "cv, time": {"cv": TimeSeriesSplit(3)},
    "cv, shuffles": {"cv": ShuffleSplit(3, random_state=0)},
    **{
        f"{key}={value!r}": {key: value}
        for key, values in {
            "n_repeats": (0, -1, 1.5, "2", None, 2),
            "refit": ("some", None, 1),
            "early_stopping": ("outer", (1,), (1, 2, 3), ([[1.0]], [1.0]), None),
            "memory": (5, b"x"),
            "on_error": ("ignore", None),
            "min_members": (0, -1, 3, 1.0, None),
            "on_unsupported": ("warn",),
            "time_limit": (0, -1, np.nan, "1", 1e-9, np.inf),
            "n_jobs": (0, 1.5, "2"),
            "random_state": ("a", -1, 1.5, 2**40),
            "verbose": ("yes", -1),
        }.items()
        for value in values
    },
}

_two = SimpleNamespace  # an object without fit


def members_of(task):
    """Lists of estimators that are no good, or odd."""
    kind = LogisticRegression if task == "classification" else Ridge
    other = Ridge if task == "classification" else LogisticRegression
    one = kind()
    return {
        "empty": [],
        "all dropped": [("a", "drop")],
        "one": [("a", one)],
        "one dropped": [("a", one), ("b", "drop")],
        "the same twice": [("a", one), ("b", one)],
        "20 equal": [(f"m{i}", kind()) for i in range(20)],
        "repeated name": [("a", one), ("a", kind())],
        "empty name": [("", one)],
        "name with __": [("a__b", one)],
        "name of a parameter": [("cv", one)],
        "name of another": [("combiner", one)],
        "number as name": [(1, one)],
        "None as name": [(None, one)],
        "odd name": [("\n<b>é", one)],
        "long name": [("a" * 5000, one)],
        "no pair": [one],
        "triple": [("a", one, 1)],
        "list pair": [["a", one]],
        "class": [("a", kind)],
        "None": [("a", None)],
        "word": [("a", "keep")],
        "no estimator": [("a", _two())],
        "other task": [("a", other())],
        "both tasks": [("a", one), ("b", other())],
        "tuple": (("a", one),),
        "dict": {"a": one},
        "generator": (pair for pair in [("a", one)]),
        "text": "members",
        "bad parameter": [("a", kind(tol=-1.0))],
    }
