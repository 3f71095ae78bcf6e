"""Members that are good but for one fault, and what they are asked to break."""

import sys

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

MARK = 0.0123456789  # in the first column of rows that no fit has seen
LEVELS = (0.1, 0.5, 0.9)


def _first_row(value):
    def spoil(out):
        out = out.astype(float)
        out[0] = value
        return out

    return spoil


def _negative(out):
    """Rows still sum to 1: the sums alone miss it."""
    out = out.copy()
    out[:, 0], out[:, 1], out[:, 2:] = -3.0, 4.0, 0.0
    return out


def _boom(out):
    raise RuntimeError("member boom")


# Each takes a good output, and returns one that must not be used.
PROBABILITY_FAULTS = {
    "raise": _boom,
    "nan": _first_row(np.nan),
    "inf": _first_row(np.inf),
    "neg": _negative,
    "short": lambda out: out[:-1],
    "onecol": lambda out: out[:, :1],
}
VALUE_FAULTS = {
    "raise": _boom,
    "nan": _first_row(np.nan),
    "inf": _first_row(-np.inf),
    "text": lambda out: out.astype(str),
    "short": lambda out: out[:-1],
    "twocol": lambda out: np.column_stack([out, out]),
}
LABEL_FAULTS = {
    "raise": _boom,
    "nan": _first_row(np.nan),
    "inf": _first_row(np.inf),
    "neg": _first_row(-3.0),
    "short": lambda out: out[:-1],
    "column": lambda out: out[:, None],
}
QUANTILE_FAULTS = {
    "raise": _boom,
    "nan": _first_row(np.nan),
    "inf": _first_row(np.inf),
    "text": lambda out: out.astype(str),
    "short": lambda out: out[:-1],
    "onecol": lambda out: out[:, :1],
}
MORE_FAULTS = {
    "extra row": lambda out: np.vstack([out, out[-1:]]),
    "extra column": lambda out: np.column_stack([out, np.zeros(len(out))]),
    "transposed": lambda out: np.ascontiguousarray(out.T),
    "object": lambda out: out.astype(object),
    "text": lambda out: out.astype(str),
    "sparse": sparse.csr_array,
    "none": lambda out: None,
    "ragged": lambda out: [[0.5, 0.5], [1.0], *out[2:].tolist()],
    "scalar": lambda out: 0.5,
    "complex": lambda out: out + 0j,
    "sum": lambda out: out * (1.0 + 1e-4),
    "last row": lambda out: np.vstack([out[:-1], out[-1:] + 0.01]),
    "assertion": lambda out: _raise(AssertionError()),
    "type error": lambda out: _raise(TypeError("cannot")),
    "recursion": lambda out: _recur(0),
    "overflow": lambda out: _raise(OverflowError("too large")),
    "stop": lambda out: _raise(StopIteration("done")),
    "memory": lambda out: _raise(MemoryError("no room")),
}


def _raise(error):
    raise error


def _recur(depth):
    return _recur(depth + 1)


class _Bad(BaseEstimator):
    """Sees the later columns; has its fault always, or in new rows alone."""

    def __init__(self, fault=None, method="predict_proba", when="always"):
        self.fault = fault
        self.method = method
        self.when = when

    def fit(self, X, y):
        if self.method == "fit" and (self.when == "always" or len(X) == self.when):
            raise RuntimeError("member boom")
        self.model_ = self._inner().fit(X[:, 3:], y)
        self.n_features_in_ = X.shape[1]
        return self

    def _answer(self, method, X, out):
        wanted = method == self.method
        if wanted and (self.when == "always" or X[0, 0] == MARK):
            return self.fault(out)
        return out

    def predict(self, X):
        return self._answer("predict", X, self.model_.predict(X[:, 3:]))


class BadClassifier(ClassifierMixin, _Bad):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return super().fit(X, y)

    def _inner(self):
        return LogisticRegression()

    def predict_proba(self, X):
        out = self.model_.predict_proba(X[:, 3:])
        return self._answer("predict_proba", X, out)


class BadRegressor(RegressorMixin, _Bad):
    def _inner(self):
        return LinearRegression()

    def predict_quantiles(self, X):
        centre = self.model_.predict(X[:, 3:])[:, None]
        out = centre + np.array([-1.0, 0.0, 1.0])
        return self._answer("predict_quantiles", X, out)


class GoodClassifier(BadClassifier):
    """Sees the first columns."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.model_ = LogisticRegression().fit(X[:, :3], y)
        return self

    def predict(self, X):
        return self.model_.predict(X[:, :3])

    def predict_proba(self, X):
        return self.model_.predict_proba(X[:, :3])


class GoodRegressor(BadRegressor):
    def fit(self, X, y):
        self.model_ = LinearRegression().fit(X[:, :3], y)
        return self

    def predict(self, X):
        return self.model_.predict(X[:, :3])

    def predict_quantiles(self, X):
        return self.predict(X)[:, None] + np.array([-0.8, 0.1, 0.9])


class Permuted(GoodClassifier):
    """Names its classes in another order, and its columns alike."""

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = self.classes_[::-1]
        return self

    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class Listing(GoodClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X).tolist()


class Nameless(GoodClassifier):
    """Has no classes_."""

    def fit(self, X, y):
        super().fit(X, y)
        del self.classes_
        return self


class Reusing(GoodClassifier):
    """Answers with a buffer that the next call overwrites, in any copy of it."""

    buffer = np.empty((1000, 3))

    def predict_proba(self, X):
        out = super().predict_proba(X)
        place = self.buffer[: out.shape[0], : out.shape[1]]
        place[:] = out
        return place


class ReusingRegressor(GoodRegressor):
    buffer = np.empty(1000)

    def predict(self, X):
        place = self.buffer[: len(X)]
        place[:] = super().predict(X)
        return place


class Stale(GoodClassifier):
    """Predicts the rows it was trained on, whatever it is asked."""

    def fit(self, X, y):
        super().fit(X, y)
        self.known_ = super().predict_proba(X)
        return self

    def predict_proba(self, X):
        return self.known_


class Spoiling(GoodClassifier):
    """Writes into what it is handed, before it uses that."""

    def __init__(self, where="X in fit"):
        self.where = where

    def fit(self, X, y):
        if self.where == "X in fit":
            _overwrite(X)
        if self.where == "y in fit":
            y[:] = y[::-1].copy()
        return super().fit(np.asarray(X), y)

    def predict_proba(self, X):
        if self.where == "X in predict":
            _overwrite(X)
        return super().predict_proba(np.asarray(X))


class SpoilingRegressor(GoodRegressor):
    def fit(self, X, y):
        y[:] = 0.0
        return super().fit(X, y)


def _overwrite(X):
    if hasattr(X, "iloc"):
        X.iloc[:, :] = np.asarray(X) * 2.0 + 1.0
    else:
        X *= 2.0
        X += 1.0


class Exiting(GoodClassifier):
    def fit(self, X, y):
        sys.exit(3)


class Weighing(GoodClassifier):
    """Writes into its weights."""

    def fit(self, X, y, sample_weight):
        sample_weight[:] = 1e6
        return super().fit(X, y)


class WrongClasses(GoodClassifier):
    """Says something untrue in classes_."""

    def __init__(self, classes=(0, 0)):
        self.classes = classes

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = np.asarray(self.classes)
        return self
