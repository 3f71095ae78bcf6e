"""Prediction sets of classes: time of calibration and sets, against MAPIE.

Both are given the same probabilities by a model that costs nothing, and where the rules
are the same the same random numbers; then sets must be identical.
"""

import warnings
from importlib.metadata import version

import numpy as np
from harness import median_seconds, print_header, print_row
from sklearn.base import BaseEstimator, ClassifierMixin

from ensemblekit import ConformalClassifier, conformal_set_scores, conformal_sets

try:
    from mapie.classification import SplitConformalClassifier
except ImportError:
    SplitConformalClassifier = None

ALPHAS = [0.05, 0.1, 0.2]


class Given(ClassifierMixin, BaseEstimator):
    """The columns of X are the probabilities."""

    def __init__(self, n_classes):
        self.n_classes = n_classes

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.arange(self.n_classes)

    @property
    def n_features_in_(self):
        return self.n_classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


def draw(n, n_classes, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.3), n)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return p, y


def ours(method, own, y, new):
    model = ConformalClassifier(Given(own.shape[1]), method=method, random_state=0)
    return model.calibrate(own, y).predict_set(new, ALPHAS)


def mapie(method, own, y, new):
    model = SplitConformalClassifier(
        Given(own.shape[1]),
        confidence_level=[1 - alpha for alpha in ALPHAS],
        conformity_score=method,
        prefit=True,
        random_state=0,
    ).conformalize(own, y)
    options = {"include_last_label": "randomized"} if method == "aps" else {}
    return model.predict_set(new, conformity_score_params=options)[1]


def same_rule(method, own, y, new):
    """Our sets with MAPIE's random numbers, which counts 1 - u of the own mass."""
    kwargs = {"method": method}
    calibration, sets = {}, {}
    if method == "aps":
        for options, n in ((calibration, len(own)), (sets, len(new))):
            options["uniforms"] = 1.0 - np.random.RandomState(0).uniform(size=n)
    own_scores = conformal_set_scores(own, y, **kwargs, **calibration)
    return conformal_sets(
        conformal_set_scores(new, **kwargs, **sets), own_scores, ALPHAS
    )


def compare(n, n_classes):
    print(f"{n} calibration rows, {n} new rows, {n_classes} classes, 3 alphas")
    own, y = draw(n, n_classes, 0)
    new, _ = draw(n, n_classes, 1)
    for method in ("lac", "aps"):
        seconds = median_seconds(lambda m=method: ours(m, own, y, new), 5)
        print_row(f"{method}: ensemblekit", seconds)
        if SplitConformalClassifier is None:
            continue
        theirs = median_seconds(lambda m=method: mapie(m, own, y, new), 5)
        equal = (same_rule(method, own, y, new) == mapie(method, own, y, new)).all()
        note = f"{theirs / seconds:.1f} x; sets identical: {bool(equal)}"
        print_row(f"{method}: MAPIE {version('mapie')}", theirs, note)


def main():
    print_header("Prediction sets: calibrate and predict_set, medians of 5")
    if SplitConformalClassifier is None:
        print("MAPIE is not installed: skipped\n")
    warnings.simplefilter("ignore")
    for n, n_classes in ((5000, 3), (5000, 20), (20000, 10), (2000, 200)):
        compare(n, n_classes)


if __name__ == "__main__":
    main()
