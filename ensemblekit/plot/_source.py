"""What displays read from: fitted estimators, matrices of predictions, libraries."""

from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .. import layout
from ..combine import _base
from ..library import PredictionLibrary


def find_fitted(estimator: Any, attribute: str, expected: str) -> Any:
    """Return the estimator, or the combiner inside of it, that has an attribute.

    Stacks are those here and scikit-learn's.

    expected : what would have it, for the message

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If none has the attribute.
    """
    check_is_fitted(estimator)
    inside = estimator
    while not hasattr(inside, attribute):
        final = getattr(inside, "final_estimator_", None)
        inside = getattr(inside, "combiner_", final)
        if inside is None:
            raise ValueError(
                f"{type(estimator).__name__} has no {attribute}; expected {expected}."
            )
    return inside


def require_method(estimator: Any, method: str, expected: str) -> None:
    """Refuse an estimator that is not fitted, or cannot predict what is drawn.

    expected : what could, for the message
    """
    check_is_fitted(estimator)
    if not hasattr(estimator, method):
        raise ValueError(
            f"{type(estimator).__name__} has no {method}; expected {expected}."
        )


def member_names(estimator: Any, n_members: int) -> list[str]:
    """Return the members' names: a stack's, or those of the columns of P."""
    cross_fit = getattr(estimator, "cross_fit_", None)
    if cross_fit is not None:
        return [str(name) for name in cross_fit.method_]
    theirs = getattr(estimator, "named_estimators_", None)
    if theirs is not None:
        return [name for name, member in theirs.items() if not _is_dropped(member)]
    names = list(_base.column_names(estimator))
    if len(names) % n_members:
        return default_names(n_members)
    # A member's name is that of its first column.
    return [str(name) for name in names[:: len(names) // n_members]]


def _is_dropped(member: Any) -> bool:
    return isinstance(member, str) and member == "drop"


def default_names(n_members: int) -> list[str]:
    """Return names for members that have none."""
    return [f"member{m}" for m in range(n_members)]


def check_names(names: Any, n_members: int) -> list[str]:
    """Return one name for each member; None numbers them."""
    if names is None:
        return default_names(n_members)
    names = [str(name) for name in names]
    if len(names) != n_members:
        raise ValueError(
            f"names has {len(names)} entries; expected {n_members}, one for each "
            "member."
        )
    return names


def check_array(
    values: Any, label: str, ndim: int = 1, *, infinite: bool = False
) -> Any:
    """Return float64 numbers of so many dimensions, with one at least.

    Raises
    ------
    ValueError
        If there are others, or NaN, or infinity unless it is allowed.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"{label} has shape {array.shape}; expected {ndim} dimension"
            f"{'s' if ndim > 1 else ''} with one entry at least."
        )
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        row = int(np.argmax(bad.reshape(len(array), -1).any(axis=1)))
        raise ValueError(f"{label} is NaN or infinite at row {row}; expected numbers.")
    return array


def as_library(y: Any, P: Any, combiner: Any, names: Any = None) -> PredictionLibrary:
    """Return P and y, or a library as P, as a library for the combiner's task.

    Raises
    ------
    ValueError
        If y is missing, or given with a library.
    """
    if isinstance(P, PredictionLibrary):
        if y is not None or names is not None:
            raise ValueError("A library holds y and names itself; give None for them.")
        return P
    P, y = np.asarray(P), np.asarray(y)
    classes = np.unique(y) if is_classifier(combiner) else None
    levels = getattr(combiner, "quantile_levels", None) if classes is None else None
    if classes is not None:
        n_outputs = layout.n_outputs_for(len(classes))
    else:
        n_outputs = 1 if levels is None else len(levels)
    if P.ndim != 2:
        raise ValueError(
            f"P has shape {P.shape}; expected (n_samples, n_members * n_outputs)."
        )
    n_members = layout.count_members(P, n_outputs)
    return PredictionLibrary(
        P, y, check_names(names, n_members), classes=classes, quantile_levels=levels
    )


def task_of(y: Any, P: Any) -> str:
    """Return the task of a library, or the one that y alone shows."""
    if isinstance(P, PredictionLibrary):
        return P.task
    labels = np.asarray(y).dtype.kind in "OUb"
    return "classification" if labels else "regression"


def fit_on(combiner: Any, library: PredictionLibrary, rows: Any = slice(None)) -> Any:
    """Fit a combiner on some rows of a library, with their weights."""
    params = {}
    if library.sample_weight is not None and has_fit_parameter(
        combiner, "sample_weight"
    ):
        params["sample_weight"] = library.sample_weight[rows]
    return combiner.fit(library.P[rows], library.y[rows], **params)


def fit_either(y: Any, P: Any, combiner: Any, kinds: Any, names: Any) -> Any:
    """Return the combiner fitted on predictions.

    combiner : cloned; None makes one of the kinds, for values or for classes
    """
    if combiner is None:
        combiner = kinds[task_of(y, P) == "classification"]()
    library = as_library(y, P, combiner, names)
    return fit_on(clone(combiner), library)
