"""What cross-fitting asks of one member: fit, predict, and check what it says."""

from functools import partial
from inspect import signature
from time import perf_counter

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from ._shielded import call_shielded
from ._sklearn import _check_method_params, _check_response_method, take_rows
from .exceptions import MemberError, MemberTypeError, describe_rows

_AUTO = ["predict_proba", "decision_function", "predict"]
_TOLERANCE = {np.dtype(np.float64): 1e-6}


def check_members(estimators):
    """Return the (name, estimator) pairs that take part; ``"drop"`` leaves one out.

    Raises
    ------
    ValueError, TypeError
        If the list is empty, or an item is no pair of a name and an estimator.
    """
    for item in estimators:
        if not (
            isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
        ):
            raise TypeError(
                f"estimators holds {item!r}; expected pairs of a name and an estimator."
            )
    members = [
        (name, member)
        for name, member in estimators
        if not (isinstance(member, str) and member == "drop")
    ]
    reserved = {"splitter", "combiner"} & {name for name, _ in members}
    if reserved:
        raise ValueError(f"Member names {sorted(reserved)} are reserved; use others.")
    if not members:
        raise ValueError(
            "estimators is empty; expected at least one (name, estimator) pair."
        )
    for name, member in members:
        if isinstance(member, type) or not all(
            hasattr(member, method) for method in ("fit", "get_params")
        ):
            raise TypeError(
                f"Member {name!r} is {member!r}; expected an estimator instance with "
                "fit and get_params."
            )
        if get_tags(member).input_tags.pairwise:
            raise ValueError(
                f"Member {name!r} takes a precomputed kernel, whose columns would have "
                "to follow the folds. Give it the features and the kernel's name."
            )
    return members


def find_task(members):
    """Return ``"classification"`` or ``"regression"``; members of both are refused.

    Raises
    ------
    ValueError
        If some members are classifiers and some are not.
    """
    classifiers = [name for name, member in members if is_classifier(member)]
    if classifiers and len(classifiers) < len(members):
        others = [name for name, _ in members if name not in classifiers]
        raise ValueError(
            f"Members {classifiers} are classifiers but {others} are not; a library "
            "serves one task."
        )
    return "classification" if classifiers else "regression"


def find_method(name, member, method, task):
    """Return the name of the method that gives the member's predictions.

    Raises
    ------
    ValueError
        If the member lacks the method.
    """
    if task == "regression" and method != "predict_quantiles":
        method = "predict"
    wanted = _AUTO if method == "auto" else method
    if method == "predict_quantiles":
        member = last_step(member)  # pipelines do not pass this one on
    try:
        return _check_response_method(member, wanted).__name__
    except AttributeError as error:
        raise ValueError(f"Member {name!r} has no method {method!r}.") from error


def last_step(member):
    """Return the estimator that ends a pipeline; any other as it is."""
    return named_last_step(member)[1]


def named_last_step(member):
    """Return what the names of its parameters begin with, and the last step."""
    prefix = ""
    while isinstance(member, Pipeline):
        step, member = member.steps[-1]
        prefix += f"{step}__"
    return prefix, member


def weight_parameter(label, estimator):
    """Return the name under which the estimator's fit takes sample weights.

    Parameters
    ----------
    label : str
        What the estimator is, for the message: ``"Member 'near'"``.
    estimator : estimator
        Of pipelines the last step counts; a fit that passes keywords on is trusted.

    Raises
    ------
    ValueError
        If it takes none.
    """
    prefix, last = named_last_step(estimator)
    given = signature(last.fit).parameters.values()
    passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in given)
    if not (passes_on or has_fit_parameter(last, "sample_weight")):
        raise ValueError(
            f"{label} ({type(last).__name__}) takes no sample_weight in fit. Leave it "
            "out, or fit without sample_weight."
        )
    return f"{prefix}sample_weight"


def is_frozen(member):
    """Say whether fit leaves the member as it is (all of it was trained elsewhere).

    A pipeline is frozen where each of its steps is, or has nothing to learn.
    """
    if isinstance(member, Pipeline):
        return all(_learns_nothing(step) for _, step in member.steps)
    return isinstance(member, FrozenEstimator)


def _learns_nothing(step):
    if step is None or step == "passthrough" or is_frozen(step):
        return True
    return hasattr(step, "transform") and not get_tags(step).requires_fit


def ends_frozen(member):
    """Say whether the model that ends the member was trained elsewhere."""
    return isinstance(last_step(member), FrozenEstimator)


def holds_frozen(member):
    """Say whether any part of the member was trained elsewhere."""
    parts = [member, *member.get_params(deep=True).values()]
    return any(isinstance(part, FrozenEstimator) for part in parts)


def with_seed(member, seed):
    """Clone the member; set each of its ``random_state`` parameters that is None."""
    member = clone(member)
    if seed is not None:
        unset = {
            key: int(seed)
            for key, value in member.get_params(deep=True).items()
            if value is None and key.rpartition("__")[2] == "random_state"
        }
        member.set_params(**unset)
    return member


def with_levels(name, member, levels):
    """Set each parameter ``quantile_levels`` of the member that is None.

    Raises
    ------
    ValueError
        If one holds other levels than `levels`, or it was trained elsewhere on others.
    """
    wanted = np.asarray(levels).tolist()
    found = {
        key: value
        for key, value in member.get_params(deep=True).items()
        if key.rpartition("__")[2] == "quantile_levels"
    }
    unset = [key for key, value in found.items() if value is None]
    found["quantile_levels_"] = getattr(last_step(member), "quantile_levels_", None)
    for key, value in found.items():
        if value is not None and not np.array_equal(value, wanted):
            raise ValueError(
                f"{name} has {key}={np.asarray(value).tolist()}; expected {wanted}, "
                "the levels asked for here. Leave them None to have them set."
            )
    member.set_params(**dict.fromkeys(unset, tuple(wanted)))
    return member


def combined_quantiles(combiner, P, levels, **extras):
    """Return the combiner's quantiles; it is told the levels if it asks for them."""
    predict = combiner.predict_quantiles
    if "quantile_levels" in signature(predict).parameters:
        return predict(P, levels, **extras)
    return predict(P, **extras)


def fit_member(name, member, X, y, train, params, classes, where, fit=None):
    """Fit a clone on the rows `train` (None: all rows).

    Classifiers are given codes 0..k-1 of the k classes among those rows, so that a
    class missing from a fold disturbs no member; frozen members keep their labels.
    `fit(member, X, y, params)`, if given, takes the place of the member's own fit.

    Returns
    -------
    model : fitted estimator
    seconds : float

    Raises
    ------
    MemberError
        If fit raises; the cause is chained.
    """
    start = perf_counter()
    try:
        y = y if train is None else y[train]
        if classes is not None:
            present, y = np.unique(y, return_inverse=True)
            _check_class_weight(member, classes[present])
        if train is not None:  # last, for the rows of X are what takes memory
            params = _check_method_params(X, params, indices=train)
            X = take_rows(X, train)
        fit = fit or _fit
        if train is None:  # these rows are everybody's, those of a fold a copy
            model = call_shielded(partial(fit, member), X, y, params)
        else:
            model = fit(member, X, y, params)
    except Exception as error:
        raise _named(name, f"fit on {where}", error) from error
    return model, perf_counter() - start


def _fit(member, X, y, params):
    return member.fit(X, y, **params)


def _check_class_weight(member, labels):
    """Refuse class weights by label where members see other codes than the labels."""
    if ends_frozen(member) or np.array_equal(labels, np.arange(len(labels))):
        return
    for key, value in member.get_params(deep=True).items():
        if key.rpartition("__")[2] == "class_weight" and isinstance(value, dict):
            raise ValueError(
                f"{key} names labels, but members are given the codes 0 to "
                f"{len(labels) - 1} of the labels {labels.tolist()}. Use "
                f"{key}='balanced' or sample_weight."
            )


def predict_member(name, model, X, method, present, classes, where, n_outputs=1):
    """Return the model's predictions as columns of P.

    Parameters
    ----------
    name : str
    model : fitted estimator
    X : rows to predict
    method : str
        ``"predict_proba"``, ``"decision_function"``, ``"predict"``, or
        ``"predict_quantiles"``.
    present : ndarray of int or None
        Codes of the classes the model was trained on; None means all.
    classes : ndarray or None
        All labels; None for regression.
    where : str
        For messages.
    n_outputs : int, default=1
        Columns of a regression member.

    Returns
    -------
    block : ndarray of shape (n_rows, n_columns), float64 or float32

    Raises
    ------
    MemberError
        If predicting raises, or the result breaks the contract of a member: numbers,
        one row each, the right columns, finite, probabilities where they are due.
    """
    doing = f"{method} on {where}"
    try:
        # A copy: the memory may be the model's, which another call overwrites.
        block = np.array(call_shielded(partial(respond, model, method), X))
    except Exception as error:
        raise _named(name, doing, error) from error
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if classes is None:
        block = block[:, None] if block.ndim == 1 else block
        return _check_block(name, doing, block, n_rows, n_outputs)
    present = np.arange(len(classes)) if present is None else present
    known = np.asarray(getattr(model, "classes_", np.arange(len(present))))
    codes = _model_codes(name, doing, model, known, present, classes)
    if method == "predict":
        return _label_codes(name, doing, block, n_rows, known, codes)
    if method == "decision_function":
        return _check_scores(name, doing, block, n_rows, codes, len(classes))
    block = _check_probabilities(name, doing, block, n_rows, len(codes))
    if len(codes) < len(classes):
        full = np.zeros((n_rows, len(classes)), dtype=block.dtype)
        full[:, codes] = block
        block = full
    elif codes.tolist() != list(range(len(classes))):
        block = block[:, np.argsort(codes)]
    return block[:, 1:].copy() if len(classes) == 2 else block


def respond(model, method, X):
    """Call a method of a model; pipelines do not pass on all of them themselves."""
    while method == "predict_quantiles" and isinstance(model, Pipeline):
        if len(model.steps) > 1:
            X = model[:-1].transform(X)
        model = model.steps[-1][1]
    return getattr(model, method)(X)


def _model_codes(name, doing, model, known, present, classes):
    """Position in `classes` of each class the model knows, in the model's order."""
    frozen = ends_frozen(model)
    labels = classes if frozen else np.arange(len(present))
    # Nearly always; lists of a few numbers are compared sooner than arrays.
    if known.dtype.kind in "iu" and known.tolist() == labels.tolist():
        return np.arange(len(classes)) if frozen else present
    comparable = frozen or known.dtype.kind in "iufb"
    if comparable and known.ndim == 1 and np.isin(known, labels).all():
        codes = np.searchsorted(labels, known)
        if len(np.unique(codes)) == len(codes):
            return codes if frozen else present[codes]
    raise MemberError(
        name,
        doing,
        f"its classes_ are {known.tolist()}; expected distinct labels that are among "
        f"{labels.tolist()}.",
    )


def _label_codes(name, doing, labels, n_rows, known, codes):
    if labels.shape != (n_rows,) or not np.isin(labels, known).all():
        raise MemberError(
            name,
            doing,
            f"expected {n_rows} labels out of classes_; got an array of shape "
            f"{labels.shape} of {labels.dtype}.",
        )
    order = np.argsort(known)
    positions = order[np.searchsorted(known, labels, sorter=order)]
    return codes[positions].astype(np.float64)[:, None]


def _check_scores(name, doing, scores, n_rows, codes, n_classes):
    if len(codes) < n_classes:
        raise MemberError(
            name,
            doing,
            f"the training rows hold {len(codes)} of {n_classes} classes, and decision "
            "values of the others are unknown. Use members with predict_proba.",
        )
    scores = scores[:, None] if scores.ndim == 1 else scores
    n_columns = 1 if n_classes == 2 else n_classes
    return _check_block(name, doing, scores, n_rows, n_columns)


def _check_block(name, doing, block, n_rows, n_columns):
    _check_shape(name, doing, block, n_rows, n_columns)
    _check_finite(name, doing, block)
    return block if block.dtype.kind == "f" else block.astype(np.float64)


def _check_shape(name, doing, block, n_rows, n_columns):
    if block.dtype.kind not in "fiub":
        raise MemberTypeError(
            name, doing, f"expected numbers; got an array of {block.dtype}."
        )
    if block.shape != (n_rows, n_columns):
        raise MemberError(
            name,
            doing,
            f"expected {n_rows} rows and {n_columns} columns of predictions; got shape "
            f"{block.shape}.",
        )


def _check_finite(name, doing, block):
    if not np.isfinite(block).all():
        bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
        raise MemberError(
            name,
            doing,
            f"expected finite predictions; got NaN or infinity ({describe_rows(bad)}).",
        )


def _check_probabilities(name, doing, block, n_rows, n_columns):
    _check_shape(name, doing, block, n_rows, n_columns)
    block = block if block.dtype.kind == "f" else block.astype(np.float64)
    low, high = block.min(), block.max()
    if not (low >= -1e-9 and high <= 1 + 1e-9):  # NaN and infinity are among these
        _check_finite(name, doing, block)
        raise MemberError(
            name,
            doing,
            f"expected probabilities; got values from {low:.4g} to {high:.4g}.",
        )
    tolerance = _TOLERANCE.get(block.dtype, 1e-3)
    away = np.abs(block @ np.ones(n_columns, block.dtype) - 1.0)
    if away.max() <= tolerance:
        return block
    raise MemberError(
        name,
        doing,
        "expected probabilities that sum to 1; got other sums in "
        f"{describe_rows(np.flatnonzero(away > tolerance))}.",
    )


def _named(name, doing, error):
    kind = MemberTypeError if isinstance(error, TypeError) else MemberError
    return kind(name, doing, f"{type(error).__name__}: {error}")
