"""Checks of an audit that fit: the combiner against one member, a permuted target."""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import clone

from .._levels import weighted_quantiles
from ..combine._convex_classifier import ConvexClassifier
from ..combine._convex_regressor import ConvexRegressor
from ..combine._quantile_aggregator import QuantileAggregator
from ..leaderboard import cross_fitted_predictions
from ..library import PredictionLibrary
from ._case import line
from ._rows import critical_value, mean_and_error, row_losses

_METHODS = {"classification": "predict_proba", "regression": None, "quantile": None}


def check_ensemble(case):
    """The combiner, cross-fitted on stored predictions, is no worse than one member."""
    reason = _not_scorable(case)
    if reason:
        message = f"not checked: {reason}"
        return [line("combiner", "all", None, None, "unknown", message)]
    library = coded_library(case.cross_fit, case.splits)
    combiner = _combiner(case, library)
    ours = _combined_losses(case, combiner, library)
    weight, clusters = case.weight[case.covered], case.clusters[case.covered]
    single, best = _single_losses(library, weight)
    gain, error, n = mean_and_error(single - ours, weight, clusters)
    limit = -critical_value(library.n_members, n) * error
    both = ~np.isnan(single - ours) & (weight > 0.0)
    if not both.any():
        message = "not checked: each fold's training rows lack a class"
        return [line("combiner", "all", None, None, "unknown", message)]
    message = (
        f"{type(combiner).__name__} {_mean(ours, weight, both):.4g}, best single "
        f"member ({best!r}) {_mean(single, weight, both):.4g}"
    )
    if gain < limit:
        advice = "The member alone is better: use it, or another combiner."
        return [line("combiner", "all", gain, limit, "warn", message, advice)]
    if not gain > -limit:
        message += ": no proven gain"
    return [line("combiner", "all", gain, limit, "ok", message)]


def _not_scorable(case):
    if case.cross_fit.library_ is None:
        return "not all members predict probabilities"
    if len(case.cross_fit.method_) < 2:
        return "there is one member"
    stacked = case.stacked
    if stacked is not None and getattr(stacked, "passthrough", False):
        return "the combiner reads X too (passthrough)"
    combiner = getattr(stacked, "combiner_", None)
    if combiner is None or case.classes is None:
        return None
    lacks = not hasattr(combiner, "predict_proba")
    return "the combiner predicts no probabilities" if lacks else None


def coded_library(cross_fit, splits):
    """Return the library with class codes, and with folds whatever the splits."""
    library = cross_fit.library_
    folds, classes = library.folds, library.classes
    if folds is None:
        folds = _first_folds(splits)
    codes = None if classes is None else np.arange(len(classes))
    targets = library.y if classes is None else np.searchsorted(classes, library.y)
    return PredictionLibrary(
        library.P,
        targets,
        library.names,
        classes=codes,
        quantile_levels=library.quantile_levels,
        folds=folds,
        sample_weight=library.sample_weight,
    )


def _first_folds(splits):
    """Return the first fold in which each covered row is held out."""
    n_rows = 1 + max(test.max() for _, test in splits if len(test))
    folds = np.full(n_rows, -1)
    for fold in reversed(range(len(splits))):
        folds[splits[fold][1]] = fold
    return folds[folds >= 0]


def _combiner(case, library):
    if case.stacked is not None:
        return clone(case.stacked.combiner_)
    if library.task == "quantile":
        return QuantileAggregator(quantile_levels=library.quantile_levels)
    return ConvexRegressor() if library.classes is None else ConvexClassifier()


def _combined_losses(case, combiner, library):
    """Loss of each row of the library by the combiner fitted on the other folds."""
    weighted = library.sample_weight is not None and getattr(
        case.stacked, "_weighted", True
    )
    prediction = cross_fitted_predictions(combiner, library, weighted=weighted)
    prediction = prediction.reshape(library.n_samples, -1)
    if library.classes is not None and len(library.classes) == 2:
        prediction = prediction[:, 1:]
    return _losses(library, prediction)


def _losses(library, block):
    known = ~np.isnan(block).any(axis=1)
    losses = np.full(library.n_samples, np.nan)
    losses[known] = row_losses(
        library.y[known],
        block[known].astype(np.float64),
        _METHODS[library.task],
        library.quantile_levels,
    )
    return losses


def _single_losses(library, weight):
    """Loss of each row by the member of the least loss, and its name."""
    losses = np.array([_losses(library, block) for block in library.cube])
    best = int(np.argmin(losses @ weight))
    return losses[best], library.names[best]


def _mean(values, weight, rows):
    return float(np.average(values[rows], weights=weight[rows]))


def check_permuted(case, permute):
    """On targets that were permuted no strategy can beat chance."""
    if not permute:
        n_fits = len(case.cross_fit.method_) * len(case.splits)
        message = f"not checked: permute=True takes {n_fits} fits"
        return [line("permuted", "all", None, None, "unknown", message)]
    targets = _permuted(case)
    losses = _permuted_losses(case, targets)
    advice = "Held-out targets reach its fit: look for state that fits share."
    if case.groups is not None:
        advice = "It knows held-out rows by their groups: hold groups out together."
    lines = []
    for name, ours in losses.items():
        chance = _chance_losses(case, targets, _method(case, name))
        gain, error, n = case.measure(chance - ours)
        limit = critical_value(len(losses), n) * error
        message = f"{gain / error if error else 0.0:+.1f} standard errors from chance"
        verdict = "fail" if gain > limit else "ok"
        lines.append(line("permuted", name, gain, limit, verdict, message, advice))
    return lines


def _method(case, name):
    if case.classes is None:
        return None
    return case.cross_fit.method_.get(name, "predict_proba")


def _permuted(case):
    """Permute the targets; of groups whole runs are moved.

    Rows in an order of groups get the targets of another order of groups: targets of
    one group mostly stay together, and a leak through groups shows.
    """
    if case.groups is None:
        return case.rng.permutation(case.targets)
    targets = np.empty_like(case.targets)
    givers, takers = _grouped_order(case), _grouped_order(case)
    targets[takers] = case.targets[givers]
    return targets


def _grouped_order(case):
    places = case.rng.permutation(case.groups.max() + 1)[case.groups]
    return np.lexsort((case.rng.permutation(case.n_rows), places))


def _permuted_losses(case, targets):
    """Fit the members anew; return each one's losses and those of the combiner."""
    labels = case.classes is not None and "predict" in case.cross_fit.method_.values()
    cross_fit = clone(case.cross_fit).set_params(
        cv=case.splits, refit="selected" if labels else "none"
    )
    y = targets if case.classes is None else case.classes[targets]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a permuted fold lacks
        params = {"sample_weight": case.weight} if case.weighted else {}
        cross_fit.fit(case.X, y, **params)
    control = replace(case, cross_fit=cross_fit, targets=targets)
    losses = dict(control.losses)
    if case.stacked is not None and _not_scorable(case) is None:
        library = coded_library(cross_fit, case.splits)
        combiner = clone(case.stacked.combiner_)
        losses["ensemble"] = np.full(case.n_rows, np.nan)
        combined = _combined_losses(case, combiner, library)
        losses["ensemble"][control.covered] = combined
    return losses


def _chance_losses(case, targets, method):
    """Losses of the best answer without X: the mean, the shares, or the majority.

    Of all rows: the mean of the training rows lies off that of the held-out rows,
    which makes it worse than chance.
    """
    if case.levels is not None:
        answer = weighted_quantiles(targets, case.weight, case.levels)
    elif case.classes is None:
        answer = np.average(targets, weights=case.weight, keepdims=True)
    else:
        shares = np.bincount(targets, case.weight, minlength=len(case.classes))
        answer = shares / shares.sum()
        if method != "predict_proba":
            method, answer = "predict", answer.argmax()[None]
        elif len(answer) == 2:
            answer = answer[1:]
    block = np.tile(np.asarray(answer, dtype=np.float64), (case.n_rows, 1))
    return row_losses(targets, block, method, case.levels)
