"""An audit of a cross-fit: can its held-out predictions be what they say they are?"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._sklearn import _check_y, _num_samples, check_input_features, check_sample_weight
from . import _checks, _strategies
from ._case import Case
from ._rows import value_codes

__all__ = ["AuditReport", "audit"]

_ORDER = ("fail", "warn", "unknown", "ok")
_WIDTH = 110


@dataclass(frozen=True)
class AuditReport:
    """The lines of an audit; ``print`` shows them as a table.

    Attributes
    ----------
    rows : list of dict
        One for each check and subject: ``check`` and ``subject`` (str; a member, a
        column, the combiner or ``"all"``), ``value`` and ``threshold`` (float, or None
        where there is none), ``verdict`` (``"ok"``, ``"warn"``, ``"fail"`` or
        ``"unknown"``, where the check was not made), ``message`` (str, what was found)
        and ``advice`` (str, what to do; empty where nothing is).
    """

    rows: list[dict[str, Any]]

    @property
    def verdict(self) -> str:
        """The worst verdict: ``"fail"``, ``"warn"``, else ``"ok"``."""
        found = {row["verdict"] for row in self.rows}
        return next((word for word in ("fail", "warn") if word in found), "ok")

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The rows that warn or fail, the worst first."""
        found = [row for row in self.rows if row["verdict"] in ("warn", "fail")]
        return sorted(found, key=lambda row: row["verdict"] != "fail")

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict and the rows, of which JSON can be made.

        Returns
        -------
        content : dict
            ``verdict`` (str) and ``rows`` (list of dict), of plain values.
        """
        return {"verdict": self.verdict, "rows": [dict(row) for row in self.rows]}

    def __str__(self):
        table = [("", "check", "subject", "value", "limit", "")]
        table += [_cells(row) for row in self.rows]
        widths = [
            max(map(len, column)) for column in list(zip(*table, strict=True))[:5]
        ]
        return "\n".join([*_lines(table, widths), "", *self._summary()])

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        names = ("verdict", "check", "subject", "value", "limit", "message", "advice")
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
            for cells in ([*_cells(row), row["advice"]] for row in self.rows)
        )
        return (
            f"<table><caption>{escape(self._headline())}</caption><thead><tr>{head}"
            f"</tr></thead><tbody>{body}</tbody></table>"
        )

    def _headline(self):
        count = dict.fromkeys(_ORDER, 0)
        for row in self.rows:
            count[row["verdict"]] += 1
        said = ", ".join(f"{n} {word}" for word, n in count.items() if n)
        return f"Audit: {self.verdict} ({said})"

    def _summary(self):
        yield self._headline()
        for row in self.findings:
            subject = "" if row["subject"] == "all" else f" ({row['subject']})"
            text = f"- {row['check']}{subject}: {row['advice']}"
            yield from wrap(text, _WIDTH, subsequent_indent="  ")


def _cells(row):
    numbers = [
        "-" if row[key] is None else f"{row[key]:.3g}" for key in ("value", "threshold")
    ]
    return row["verdict"], row["check"], row["subject"], *numbers, row["message"]


def _lines(table, widths):
    """Align the columns; the message is wrapped beside them."""
    indent = sum(widths) + 2 * len(widths)
    for row in table:
        texts = [
            cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False)
        ]
        numbers = [c.rjust(w) for c, w in zip(row[3:5], widths[3:], strict=True)]
        first, *rest = wrap(row[5], max(_WIDTH - indent, 40)) or [""]
        yield "  ".join([*texts, *numbers, first]).rstrip()
        yield from (" " * indent + words for words in rest)


def audit(
    fitted: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: Sequence | ArrayLike | None = None,
    permute: bool = False,
    max_rows: int = 10_000,
    random_state: Any = 0,
) -> AuditReport:
    """Audit a cross-fit, or a stack, for leaks of held-out targets.

    Nothing is fitted but the combiner, once per fold; `permute` fits the members too.

    Parameters
    ----------
    fitted : CrossFit, StackedClassifier, StackedRegressor or \
            StackedQuantileRegressor
        After its fit.
    X, y : as for its fit
        The same rows in the same order.
    sample_weight : array-like of shape (n_samples,), default=None
        As for its fit; None takes the weights that were given there.
    groups : array-like of shape (n_samples,), default=None
        What belongs together, whether the fit was told or not: persons, days. Standard
        errors are then those of sums over groups.
    permute : bool, default=False
        Also fit all members on permuted targets: n_members * n_splits fits.
    max_rows : int, default=10000
        Rows, drawn at random, that members predict again and columns are read of.
    random_state : int, RandomState or None, default=0
        Of the draw and of the permutation.

    Returns
    -------
    report : AuditReport

    Raises
    ------
    ValueError, TypeError
        If `fitted` is no such estimator, is not fitted, or X, y, weights or groups are
        not of the rows it was fitted on.

    Notes
    -----
    The checks, and where each draws the line. A loss is log loss, squared error or
    pinball loss of a row on held-out predictions; a member that predicts labels or
    decision values loses 1 for a wrong label. ``z`` is 3, or more where a check makes
    more than 7 tests: one-sided, and so that all of a check alarm falsely with at most
    1 % (Bonferroni, Student's t). Standard errors are of paired differences row by
    row, summed over groups, or over equal rows, first.

    - splits: rows trained on and held out by one split; fails above 0.
    - coverage: share of the rows held out; warns below 0.5, or if a class is missing.
    - prefit: members trained elsewhere; warns.
    - early stopping: members stopped by the rows that score them; warns.
    - reproduced: largest difference between stored predictions and those of the first
      fold's models, over the largest prediction; fails above 1e-6.
    - gap: loss on held-out rows less that by models which trained on the row. Large is
      no fault; it warns below ``-z`` standard errors, and where predictions are
      equal with and without the row, though they err.
    - far ahead: loss of the best member over that of the second; warns below 0.02, if
      more than ``z`` standard errors apart. So does, rightly, the only member of the
      right form on targets almost without noise.
    - duplicates: share of the held-out rows with an equal row in training; warns from
      0.001, fails from 0.01 if 95 % of them have equal targets too and a member's loss
      on them is lower than on others by ``z`` standard errors.
    - groups: share of held-out rows with others of their group in training; fails
      above 0.
    - column: largest share of the target's variance that a column explains by itself
      (rows in bins of ten, each predicted by the others); warns above 0.95.
    - combiner: loss of the best single member less that of the combiner, of each row
      as fitted on the other folds; warns below ``-z`` standard errors. The member was
      chosen by the same rows, which favours it a little.
    - permuted: gain over the best constant answer on permuted targets, which nobody
      can have; fails above ``z`` standard errors. With `groups` the targets of
      whole groups are moved, so that a leak through groups shows.

    What it cannot see: columns chosen, or made, by y on all rows before the fit, unless
    one explains y by itself; rows that are nearly equal; time that runs backward.

    Cost: one more prediction by each member of at most `max_rows` rows, a pass over X,
    and n_splits fits of the combiner.

    References
    ----------
    .. [1] Kaufman, Rosset, Perlich, Stitelman, "Leakage in Data Mining: Formulation,
       Detection, and Avoidance", ACM TKDD 6, 2012.
    .. [2] Ojala, Garriga, "Permutation Tests for Studying Classifier Performance",
       JMLR 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from ensemblekit import CrossFit
    >>> X, y = load_diabetes(return_X_y=True)
    >>> members = [("ridge", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3))]
    >>> report = audit(CrossFit(members).fit(X, y), X, y)
    >>> report.verdict
    'ok'
    >>> report.rows[0]["message"]
    'no rows trained on and held out at once'
    """
    case = _make_case(
        fitted, X, y, sample_weight, groups, max_rows, check_random_state(random_state)
    )
    checks = [
        _checks.check_splits,
        _checks.check_coverage,
        _checks.check_prefit,
        _checks.check_early_stopping,
        _checks.check_reproduced,
        _checks.check_gap,
        _checks.check_far_ahead,
        _checks.check_duplicates,
        _checks.check_groups,
        _checks.check_columns,
        _strategies.check_ensemble,
    ]
    rows = [row for check in checks for row in check(case)]
    return AuditReport(rows + _strategies.check_permuted(case, permute))


def _make_case(fitted, X, y, sample_weight, groups, max_rows, rng):
    cross_fit = getattr(fitted, "cross_fit_", fitted)
    if not hasattr(cross_fit, "column_blocks"):
        raise TypeError(
            f"fitted is {type(fitted).__name__}; expected a fitted CrossFit or "
            "stacked estimator."
        )
    cross_fit._require("audit")
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}; expected at least 1.")
    X = check_input_features(cross_fit, X, reset=False)
    n_rows = _num_samples(X)
    _check_length("X", n_rows, len(cross_fit.oof_predictions_))
    weight = cross_fit._weight if sample_weight is None else sample_weight
    targets = _check_targets(cross_fit, y, n_rows)
    cross_fit._check_same(X, y, weight)
    return Case(
        cross_fit=cross_fit,
        stacked=None if cross_fit is fitted else fitted,
        X=X,
        targets=targets,
        weight=check_sample_weight(weight, X),
        groups=None if groups is None else _number_groups(groups, n_rows),
        weighted=weight is not None,
        rows=np.sort(rng.permutation(n_rows)[:max_rows]),
        rng=rng,
    )


def _check_length(label, n_given, n_rows):
    if n_given != n_rows:
        raise ValueError(
            f"{label} has {n_given} rows; the fit had {n_rows}. Give those of the fit."
        )


def _check_targets(cross_fit, y, n_rows):
    """Return y as values or class codes, compared with what is kept of the fit's."""
    classes, library = cross_fit.classes_, cross_fit.library_
    y = _check_y(y, y_numeric=classes is None)
    _check_length("y", len(y), n_rows)
    if classes is not None and not np.isin(y, classes).all():
        raise ValueError(
            f"y has labels {np.setdiff1d(y, classes).tolist()} that were not there in "
            "fit."
        )
    covered = getattr(cross_fit, "covered_", np.ones(n_rows, dtype=bool))
    if library is not None and not np.array_equal(library.y, y[covered]):
        raise ValueError(
            "y differs from that of the fit; give the same rows, in order."
        )
    return y.astype(np.float64) if classes is None else np.searchsorted(classes, y)


def _number_groups(groups, n_rows):
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"groups has {groups.ndim} dimensions; expected one.")
    _check_length("groups", len(groups), n_rows)
    missing = np.array([value is None or value != value for value in groups.tolist()])
    if missing.any():
        raise ValueError(
            f"groups is missing at row {int(missing.argmax())}; give each row a group."
        )
    return value_codes(groups)
