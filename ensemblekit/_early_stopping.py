"""Early stopping of members inside folds: their validation rows and their rounds."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length

from ._boosters import find_booster, splits_rows_itself
from ._inner_split import FRACTION, inner_split
from ._sklearn import (
    _check_method_params,
    _num_samples,
    _safe_indexing,
    process_routing,
    routing_enabled,
)


def stops_early(member, n_rows=None):
    """Say whether the member takes validation rows from outside to stop boosting.

    Parameters
    ----------
    member : estimator
        Of a pipeline, the last step counts.
    n_rows : int, default=None
        Rows it is fitted on, which decide where scikit-learn is told ``"auto"``; None
        means many.
    """
    booster = find_booster(_last(member))
    return booster is not None and booster.stops(n_rows)


def fit_early(
    member,
    X,
    y,
    params,
    *,
    validation="inner",
    groups=None,
    seed=None,
    fraction=FRACTION,
):
    """Fit a member on a fold's training rows, with validation rows if it takes any.

    Steps before the last of a pipeline are fitted on rows that are trained on, and
    transform the validation rows. A pipeline's `memory` is not used.

    Parameters
    ----------
    member : estimator
        A clone that is the caller's own: it is fitted, and what is printed while it
        stops early is switched off where its parameters leave it open.
    X : array-like, sparse matrix or data frame of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
        Class codes 0..k-1, each there, or numbers.
    params : dict
        Metadata of its fit; arrays of n_rows are divided as the rows are.
    validation : "inner", (X_val, y_val) or (X_val, y_val, extras), default="inner"
        ``"inner"`` divides the rows given; scikit-learn's own histogram boosting does
        that itself unless there are groups. Rows of classes that are not in y are left
        out. Extras are the validation rows' part of what `params` holds, or their
        sample weights.
    groups : array-like of shape (n_rows,), default=None
        Stay whole in an inner split.
    seed : int, default=None
        Of the inner split; None is a seed of its own, the same each time.
    fraction : float, default=0.1
        Of the rows, held for validation by an inner split.

    Returns
    -------
    model : estimator
        The member, fitted.

    Raises
    ------
    ValueError
        If there are too few rows to divide, or no validation rows.
    """
    inner = isinstance(validation, str)
    if inner and validation != "inner":
        raise ValueError(
            f"validation is {validation!r}; expected 'inner' or rows (X_val, y_val)."
        )
    booster = find_booster(_last(member))
    if booster is None or not booster.stops(_num_samples(X)):
        return member.fit(X, y, **params)
    if _brings_rows(params) or not booster.open(inner, groups is not None):
        return member.fit(X, y, **params)
    if inner:
        train, held = inner_split(
            y,
            stratify=is_classifier(member),
            groups=groups,
            weight=_find_weight(member, params),
            fraction=fraction,
            seed=seed,
        )
        extras = _check_method_params(X, params, indices=held)
        params = _check_method_params(X, params, indices=train)
        rows = _safe_indexing(X, held), y[held], extras
        X, y = _safe_indexing(X, train), y[train]
    else:
        rows = _known_rows(validation, y if is_classifier(member) else None)
        _check_weight(_find_weight(member, rows[-1]))
    return _fit_steps(member, X, y, params, *rows)


def rounds_of(model):
    """Return the number of boosting rounds that a fitted model stopped at.

    LightGBM and XGBoost predict with these and no more. scikit-learn keeps the rounds
    that it waited in vain, which are counted. None where it did not stop early.
    """
    booster = find_booster(_last(model))
    return None if booster is None else booster.rounds()


def with_rounds(member, rounds):
    """Return an unfitted clone with that many rounds and early stopping switched off.

    Parameters
    ----------
    member : estimator
    rounds : int or None
        None leaves their number as it is.
    """
    member = clone(member)
    last = _last(member)
    booster = find_booster(last)
    if booster is not None and booster.asks():
        last.set_params(**booster.fixed(rounds))
    return member


def refit_rounds(rounds_per_fold, n_folds):
    """Return the rounds for a fit on all rows, of those found on a share of them.

    ``round(mean * k / (k - 1))``: more rows bear more rounds. A heuristic.

    Parameters
    ----------
    rounds_per_fold : list of int or None
        Those that are None are left out; None is returned where all are.
    n_folds : float
        k, so that each fold trains on (k - 1) / k of the rows. Not above 1: as if they
        trained on all.

    Examples
    --------
    >>> refit_rounds([40, 44, 36, 40, 40], 5)
    50
    """
    found = [rounds for rounds in rounds_per_fold if rounds is not None]
    if not found:
        return None
    growth = n_folds / (n_folds - 1) if n_folds > 1 else 1.0
    return max(1, round(np.mean(found) * growth))


def recode(codes, present):
    """Return positions in `present`, the codes of a fold's classes; -1 for others.

    Examples
    --------
    >>> recode(np.array([0, 3, 1]), np.array([1, 3]))
    array([-1,  1,  0])
    """
    positions = np.clip(np.searchsorted(present, codes), 0, len(present) - 1)
    return np.where(np.asarray(present)[positions] == codes, positions, -1)


def describe_limits(label, member, *, validation="inner", groups=False):
    """Say in sentences what of early stopping the member cannot do as it was asked.

    Parameters
    ----------
    label : str
        ``"Member 'near'"``.
    member : estimator
    validation : "inner" or other
        Where validation rows come from.
    groups : bool, default=False
        Whether there are groups.

    Returns
    -------
    sentences : list of str
    """
    last = _last(member)
    if splits_rows_itself(last) and (groups or validation != "inner"):
        problem = "and takes no others"
        if groups:
            problem = "which does not keep groups together"
        return [
            f"{label} ({type(last).__name__}) splits off its own validation rows, "
            f"{problem}."
        ]
    booster = find_booster(last)
    if booster is None or not booster.asks():
        return []
    found = booster.limit(validation == "inner", groups)
    return [f"{label} ({type(last).__name__}) {found}"] if found else []


def unreached_parts(member):
    """Name the parameters of a member that ask for early stopping out of our reach.

    These are models inside other estimators, such as one for each quantile level: they
    need validation rows, and there is no way to hand them any.

    Returns
    -------
    names : list of str
        As of ``get_params``.
    """
    if not hasattr(member, "get_params"):
        return []
    reached = _last(member)
    found = []
    for name, part in member.get_params(deep=True).items():
        booster = None if part is reached else find_booster(part)
        if booster is not None and booster.needs():
            found.append(name)
    return found


def _last(member):
    """Return the step that ends plain pipelines; subclasses with a fit of their own
    are left to it.
    """
    while isinstance(member, Pipeline) and type(member).fit is Pipeline.fit:
        member = member.steps[-1][1]
    return member


def _brings_rows(params):
    """Say whether the caller has handed over validation rows by name."""
    names = {key.rpartition("__")[2] for key in params}
    return bool(names & {"eval_set", "eval_X", "X_val"})


def _find_weight(member, params):
    """Return the weights that reach the model, not those of a step before it."""
    prefix = ""
    while isinstance(member, Pipeline):
        step, member = member.steps[-1]
        prefix += f"{step}__"
    return params.get(f"{prefix}sample_weight", params.get("sample_weight"))


def _known_rows(validation, y):
    """Return the validation rows whose class, of classes, is among those of y."""
    X_val, y_val, *rest = validation
    extras: Any = rest[0] if rest and rest[0] is not None else {}
    if not isinstance(extras, dict):
        extras = _Extras(sample_weight=np.asarray(extras))
    y_val = np.asarray(y_val)
    check_consistent_length(X_val, y_val)
    if y is not None and not (known := np.isin(y_val, y)).all():
        rows = np.flatnonzero(known)
        extras = type(extras)(_check_method_params(X_val, extras, indices=rows))
        X_val, y_val = _safe_indexing(X_val, rows), y_val[rows]
    if len(y_val) == 0:
        raise ValueError(
            "Early stopping has no validation rows of the classes that are trained on."
        )
    return X_val, y_val, extras


def _check_weight(weight):
    if weight is not None and not np.any(np.asarray(weight) > 0):
        raise ValueError(
            "Early stopping has validation rows of weight zero alone; expected a "
            "positive one."
        )


class _Extras(dict):
    """Metadata of validation rows that is meant for the last step, by its own names."""


def _fit_steps(member, X, y, params, X_val, y_val, extras):
    """Fit a pipeline as its own fit does; validation rows follow the training rows."""
    if not isinstance(member, Pipeline):
        booster = find_booster(member)
        rows = booster.arguments(_plain(X_val), y_val, _row_wise(extras, y_val), params)
        return member.fit(X, y, **params, **rows)
    routed = _step_params(member, params)
    for name, step in member.steps[:-1]:
        if step is None or step == "passthrough":
            continue
        X = _fit_transform(step, X, y, routed[name])
        X_val = step.transform(X_val, **routed[name].get("transform", {}))
    name, last = member.steps[-1]
    if not isinstance(extras, _Extras):
        extras = _step_params(member, extras)[name]["fit"]
    _fit_steps(last, X, y, routed[name]["fit"], X_val, y_val, extras)
    return member


def _fit_transform(step, X, y, params):
    if hasattr(step, "fit_transform"):
        return step.fit_transform(X, y, **params["fit_transform"])
    return step.fit(X, y, **params["fit"]).transform(X, **params.get("transform", {}))


def _step_params(pipeline, params):
    """Return, for each step, the metadata of its methods."""
    if routing_enabled():
        return process_routing(pipeline, "fit", **params)
    given: dict[str, dict[str, Any]] = {name: {} for name, _ in pipeline.steps}
    for key, value in params.items():
        step, _, name = key.partition("__")
        if not name or step not in given:
            raise ValueError(
                f"Pipeline.fit got {key!r}; expected the name of a step before it, "
                f"such as '{pipeline.steps[-1][0]}__{key}'."
            )
        given[step][name] = value
    return {step: {"fit": own, "fit_transform": own} for step, own in given.items()}


def _row_wise(extras, y_val):
    """Keep what has one value for each validation row."""
    return {
        key: value
        for key, value in extras.items()
        if not isinstance(value, str | Real)
        and hasattr(value, "__len__")
        and len(value) == len(y_val)
    }


def _plain(X):
    """Return lists as arrays, which boosters' validation rows have to be."""
    return np.asarray(X) if isinstance(X, list | tuple) else X
