"""Members that write down their fits, for tests that count."""

import os
import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


def write_line(path, line):
    """Append a line in one system call, whoever else writes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def count_lines(path):
    """Return how many lines were written; 0 where there is no file."""
    try:
        with open(path) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


class LoggedRegressor(RegressorMixin, BaseEstimator):
    """Predicts slope * first feature + noise by its seed + mean; logs each fit."""

    def __init__(self, log=None, slope=1.0, sleep=0.0, random_state=None, fails=False):
        self.log = log
        self.slope = slope
        self.sleep = sleep
        self.random_state = random_state
        self.fails = fails

    def fit(self, X, y, sample_weight=None):
        if self.log is not None:
            write_line(self.log, f"fit {self.slope}")
        if self.fails:
            raise RuntimeError("member boom")
        time.sleep(self.sleep)
        rng = np.random.default_rng(self.random_state)
        self.mean_ = float(np.average(y, weights=sample_weight)) + rng.normal()
        return self

    def predict(self, X):
        return self.slope * np.asarray(X)[:, 0] + self.mean_


class LoggedClassifier(ClassifierMixin, BaseEstimator):
    """Logistic curve of the first feature around a drawn centre; logs each fit."""

    def __init__(self, log=None, slope=1.0, random_state=None):
        self.log = log
        self.slope = slope
        self.random_state = random_state

    def fit(self, X, y):
        if self.log is not None:
            write_line(self.log, f"fit {self.slope}")
        self.classes_ = np.unique(y)
        rng = np.random.default_rng(self.random_state)
        self.centre_ = float(np.mean(np.asarray(X)[:, 0])) + 0.1 * rng.normal()
        return self

    def predict_proba(self, X):
        score = self.slope * (np.asarray(X)[:, [0]] - self.centre_)
        scores = np.exp(score * np.linspace(-1.0, 1.0, len(self.classes_)))
        return scores / scores.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
