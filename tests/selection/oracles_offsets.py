"""Slow twins of the decision offsets: every threshold, scored by scikit-learn."""

import warnings

import numpy as np
from sklearn import metrics

SCORES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": lambda y, p, **kw: metrics.f1_score(y, p, pos_label=1, **kw),
    "f1_macro": lambda y, p, **kw: metrics.f1_score(y, p, average="macro", **kw),
    "f1_weighted": lambda y, p, **kw: metrics.f1_score(y, p, average="weighted", **kw),
    "matthews_corrcoef": metrics.matthews_corrcoef,
    "cohen_kappa": metrics.cohen_kappa_score,
}


def score(metric, y, labels, weight):
    """scikit-learn's figure on the rows with weight; 0 where it is 0 / 0."""
    rows = weight > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = SCORES[metric](y[rows], labels[rows], sample_weight=weight[rows])
    return float(np.nan_to_num(found))


def decide(E, offsets):
    """The first class of the highest sum, row by row."""
    return np.array([int(np.argmax(row + offsets)) for row in E])


def best_threshold(E, y, weight, metric):
    """The best figure of any threshold on the second of two classes."""
    margin = E[:, 1] - E[:, 0]
    figures = []
    for threshold in [-np.inf, *np.unique(margin[weight > 0])]:
        labels = (margin > threshold).astype(int)
        figures.append(score(metric, y, labels, weight))
    return max(figures)


def best_single_move(E, y, weight, score, offsets):
    """The best figure, score(labels), of any change of one class's offset."""
    n_classes, best = E.shape[1], -np.inf
    for k in range(n_classes):
        others = np.delete(np.arange(n_classes), k)
        t = (E[:, others] + offsets[others]).max(axis=1) - E[:, k]
        t = np.unique(t[weight > 0])
        between = t[:-1][np.diff(t) > 1e-9] + 0.5 * np.diff(t)[np.diff(t) > 1e-9]
        for value in [t[0] - 1, *between, t[-1] + 1]:
            moved = offsets.copy()
            moved[k] = value
            best = max(best, score(decide(E, moved)))
    return best


def cross_fit(E, y, weight, folds, metric, tune):
    """The documented rule, written plainly: offsets, score without, with, error."""
    names = sorted(set(folds.tolist()))
    chosen = {
        f: tune(E[folds != f], y[folds != f], weight[folds != f], metric) for f in names
    }
    plain = decide(E, np.zeros(E.shape[1]))
    tuned = np.array(
        [int(np.argmax(E[i] + chosen[folds[i]])) for i in range(len(E))], dtype=int
    )

    def gain(rows):
        return score(metric, y[rows], tuned[rows], weight[rows]) - score(
            metric, y[rows], plain[rows], weight[rows]
        )

    everywhere = np.ones(len(y), bool)
    left_out = np.array([gain(folds != f) for f in names])
    k = len(names)
    error = np.sqrt((k - 1) / k * ((left_out - left_out.mean()) ** 2).sum())
    median = np.median([chosen[f] for f in names], axis=0)
    total = gain(everywhere)
    kept = median if total > 0 and total >= error else np.zeros(E.shape[1])
    without = score(metric, y, plain, weight)
    return kept, without, without + total, error
