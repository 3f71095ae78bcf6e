"""blend: every combiner that applies, scored on rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._sklearn import Integral
from ..library import PredictionLibrary
from . import _nested as nested
from ._nested import Rows
from ._result import Blend
from ._summary import summarise
from .methods import BEST_MEMBER, MEAN, ON_REQUEST, methods_for
from .metrics import find_metric

__all__ = ["Blend", "blend", "find_folds", "select_methods"]


def blend(
    bank: Any,
    *,
    metric: str | None = None,
    methods: str | Sequence[str] = "all",
    folds: ArrayLike | None = None,
    random_state: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Blend:
    """Combine out-of-fold predictions in every way that applies, and compare honestly.

    Each method is fitted without each fold of rows in turn and scored on that fold (its
    nested score), and fitted on all rows for predictions of new ones. The score on the
    rows that it was fitted on, which most tools print, stands beside it as the naive
    score. Take it where predictions of models trained elsewhere lie in files or arrays;
    `StackedRegressor` and `StackedClassifier` serve where the models are at hand.

    Parameters
    ----------
    bank : PredictionLibrary or Bank
        Out-of-fold predictions of the members with their targets; a bank is what
        `ensemblekit.files.read_bank` makes of files.
    metric : str, default=None
        ``"rmse"``, ``"mse"``, ``"mae"``, ``"r2"``, ``"log_loss"``, ``"brier"``,
        ``"roc_auc"``, ``"accuracy"``, ``"balanced_accuracy"``, ``"f1"``,
        ``"f1_macro"``, ``"f1_weighted"``, ``"matthews_corrcoef"``, ``"cohen_kappa"``,
        ``"qwk"`` (quadratic weighted kappa), or another scorer of scikit-learn; of
        quantiles ``"pinball"``, the mean over rows and levels. None means ``"rmse"``,
        ``"log_loss"`` or ``"pinball"``.
    methods : "all" or sequence of str, default="all"
        Names of the methods to try; ``"all"`` means those that take minutes at most at
        this size (`Blend.skipped` names the others). The mean and the best member are
        always tried, to compare with, but named best only if asked for.
    folds : array-like of shape (n_samples,), int, default=None
        Folds to score by; None means those of the library or, where it has none, 5
        shuffled folds, stratified by class. Give folds where rows come in groups.
    random_state : int, default=0
        Of the folds drawn and of the methods that draw.
    progress : callable, default=None
        Called as ``progress(done, total, name)`` before each fit, with a name such as
        ``"greedy: fold 2 of 5"``, and at the end.

    Returns
    -------
    result : Blend

    Raises
    ------
    ValueError
        If the metric is unknown or of another task, a method is unknown, or rows are
        too few for folds.

    Notes
    -----
    Time: the fits of all methods, once for each fold and once more. Memory: P, a copy
    of a fold's training rows, and for each method a prediction of all rows.

    Standard errors are those of the jackknife over folds; with 5 folds they are rough.
    One optimism is left: the members that predicted the other folds' rows had been
    trained on the rows scored.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=300)
    >>> members = {name: y + rng.normal(size=300) for name in "abcd"}
    >>> library = PredictionLibrary.from_arrays(members, y)
    >>> result = blend(library, methods=["convex", "linear stack"])
    >>> result.best
    'linear stack'
    >>> [(row["name"], round(row["score"], 3)) for row in result.rows]
    [('linear stack', 0.44), ('mean', 0.501), ('convex', 0.507), ('best member', 0.927)]
    """
    library = getattr(bank, "library", bank)
    _check(library, random_state)
    classes = library.classes
    n_classes = 0 if classes is None else len(classes)
    levels = library.quantile_levels
    found = find_metric(metric, library.task, n_classes, levels)
    every = methods_for(found, library.task, n_classes, random_state)
    tried, skipped = select_methods(every, methods, library.P.size)
    rows_folds, source = find_folds(library, folds, random_state)
    rows = Rows.of(library, rows_folds)
    attempts = nested.attempt_all(tried, rows, found, progress)
    asked = {m.name for m in tried} if methods == "all" else set(_listed(methods))
    return summarise(
        library, found, attempts, asked, skipped, rows, source, random_state
    )


def _check(library, random_state):
    if not isinstance(library, PredictionLibrary):
        raise TypeError(
            f"blend takes a PredictionLibrary or a bank of files; got "
            f"{type(library).__name__}."
        )
    if not isinstance(random_state, Integral) or random_state < 0:
        raise ValueError(f"random_state is {random_state!r}; expected an int >= 0.")


def select_methods(every, names, size):
    """Return the methods to try, and (name, reason) of those left out for their size.

    Raises
    ------
    ValueError
        If a name is unknown, or what it needs is not installed.
    """
    known = [method.name for method in every]
    names = names if isinstance(names, str) and names == "all" else _listed(names)
    strangers = [n for n in names if n not in known] if names != "all" else []
    if strangers:
        raise ValueError(
            f"Unknown method {strangers[0]!r}. Expected 'all', or some of: "
            f"{'; '.join(known)}."
        )
    if names != "all":
        kept = {*names, MEAN, BEST_MEMBER}
        tried = [method for method in every if method.name in kept]
        _refuse_lacking(tried)
        return tried, []
    reasons = [(method.name, _why_not(method, size)) for method in every]
    skipped = [(name, reason) for name, reason in reasons if reason is not None]
    left_out = dict(skipped)
    return [method for method in every if method.name not in left_out], skipped


def _refuse_lacking(methods):
    for method in methods:
        if method.lacks:
            raise ValueError(
                f"The method {method.name!r} needs {method.lacks}, which is not "
                f"installed: run pip install 'ensemblekit[{method.lacks}]'."
            )


def _why_not(method, size):
    """Return why a method is not tried unless asked for, or None."""
    if size > method.most:
        return _too_slow(method, size)
    if method.lacks:
        return (
            f"left out, as {method.lacks} is not installed "
            f"(pip install 'ensemblekit[{method.lacks}]')"
        )
    return None


def _too_slow(method, size):
    if method.most == ON_REQUEST:
        return "left out, as it calls a slow scorer very often; ask for it by name"
    return (
        f"left out at {size:.3g} predictions (more than {method.most:.3g}); "
        "ask for it by name"
    )


def _listed(names):
    return [names] if isinstance(names, str) else list(names)


def find_folds(library, folds, seed):
    """Return the fold of each row, and where it comes from."""
    if folds is not None:
        own = np.asarray(folds)
        if own.shape != (library.n_samples,) or own.dtype.kind not in "iu":
            raise ValueError(
                f"folds must hold one whole number for each of the "
                f"{library.n_samples} rows; got shape {own.shape} of {own.dtype}."
            )
        source = "given"
    elif library.folds is not None:
        own, source = library.folds, "library"
    else:
        return nested.draw_folds(library, seed), "drawn"
    if len(np.unique(own)) < 2:
        raise ValueError("All rows are in one fold; nested scores need at least two.")
    return own, source
