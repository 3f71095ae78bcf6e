"""Small libraries to blend."""

import numpy as np
from scipy.special import ndtri

from ensemblekit import PredictionLibrary
from ensemblekit.blending._csv import to_csv
from ensemblekit.blending.outputs import apply_to_columns

NAMES = ["anna", "ben", "cleo", "dora"]


def regression(n=120, seed=0, **options):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    P = y[:, None] + rng.normal(size=(n, 4)) * [0.5, 0.8, 1.0, 1.5]
    return PredictionLibrary(P, y, NAMES, P_test=P[:7] + 0.1, **options)


def classification(n_classes=2, n=120, seed=0, labels=("no", "yes", "zz"), **options):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_classes, n)
    cube = rng.dirichlet(np.ones(n_classes), (n, 4))
    cube[np.arange(n), :, codes] += [0.8, 0.5, 0.3, 0.1]
    cube /= cube.sum(axis=2, keepdims=True)
    P = cube[:, :, 1] if n_classes == 2 else cube.reshape(n, -1)
    classes = np.array(labels[:n_classes])
    return PredictionLibrary(
        P, classes[codes], NAMES, classes=classes, P_test=P[:7], **options
    )


LEVELS = [0.1, 0.5, 0.9]


def quantiles(n=120, seed=0, levels=LEVELS, **options):
    """Four members of different error and width."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    parts = [(0.5, 0.5), (0.5, 1.5), (1.0, 0.3), (0.8, 0.8)]
    P = np.hstack(
        [
            (y + error * rng.normal(size=n))[:, None] + spread * ndtri(levels)
            for error, spread in parts
        ]
    )
    return PredictionLibrary(
        P, y, NAMES, quantile_levels=levels, P_test=P[:7] + 0.1, **options
    )


def apply_to_csv(weights, predictions, **options):
    """The text that the command writes."""
    return to_csv(apply_to_columns(weights, predictions, **options))
