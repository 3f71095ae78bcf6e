"""Medians in one process, one thread, workload and versions printed."""

import platform
import resource
import statistics
import subprocess
import sys
from importlib.metadata import version
from time import perf_counter

import numpy as np


def print_header(title):
    packages = ("numpy", "scipy", "scikit-learn", "numba", "cvxpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(f"{title}\nPython {platform.python_version()}, {versions}; one BLAS thread\n")


def median_seconds(function, repeats=7):
    """Median wall time of `function`, after one call that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return statistics.median(times)


def cpu_of_process(code):
    """CPU seconds of a fresh Python process that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_row(label, seconds, note=""):
    print(f"  {label:<46}{1e3 * seconds:>12.2f} ms  {note}")


def correlated_members(n_samples, n_members, seed=0):
    """Eight families of strongly correlated members: P (n, m) and y (n,)."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n_samples)
    y = signal + 0.5 * rng.normal(size=n_samples)
    families = rng.normal(size=(n_samples, 8))
    which = rng.integers(0, 8, n_members)
    P = signal[:, None] * rng.uniform(0.8, 1.02, n_members)
    P += families[:, which] * rng.uniform(0.15, 0.5, n_members)
    P += rng.normal(size=P.shape) * rng.uniform(0.02, 0.4, n_members)
    return P, y


def correlated_probabilities(n_samples, n_members, seed=0):
    """Binary members: probabilities of class 1 (n, m) and labels (n,)."""
    rng = np.random.default_rng(seed)
    logit = 1.6 * rng.normal(size=n_samples) - 0.5
    y = (rng.uniform(size=n_samples) < 1 / (1 + np.exp(-logit))).astype(int)
    families = 0.7 * rng.normal(size=(n_samples, 8))
    scores = logit[:, None] * rng.uniform(0.6, 1.5, n_members)
    scores += families[:, np.arange(n_members) % 8] * rng.uniform(0.4, 1.0, n_members)
    scores += rng.normal(size=scores.shape) * rng.uniform(0.3, 1.2, n_members)
    return 1 / (1 + np.exp(-scores)), y


def correlated_class_probabilities(n_samples, n_members, n_classes, seed=0):
    """Members of eight families: P (n, m * K), member by member, and codes (n,)."""
    rng = np.random.default_rng(seed)
    shape = n_samples, n_classes
    logits = 1.8 * rng.normal(size=shape)
    y = (logits + rng.gumbel(size=shape)).argmax(axis=1)
    families = 0.7 * rng.normal(size=(8, *shape))
    P = np.empty((n_samples, n_members * n_classes))
    for j in range(n_members):
        scores = logits * rng.uniform(0.6, 1.5)
        scores += families[j % 8] * rng.uniform(0.4, 1.0)
        scores += rng.normal(size=shape) * rng.uniform(0.3, 1.2)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        own = P[:, j * n_classes : (j + 1) * n_classes]
        np.divide(scores, scores.sum(axis=1, keepdims=True), out=own)
    return P, y
