"""What is audited, as all checks read it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._levels import sort_levels
from .._members import predict_member
from .._sklearn import _safe_indexing
from ._rows import mean_and_error, number_equal_rows, row_losses


@dataclass(frozen=True)
class Case:
    """What is audited, with y as values or class codes."""

    cross_fit: Any
    stacked: Any
    X: Any
    targets: NDArray
    weight: NDArray
    groups: NDArray | None
    weighted: bool
    rows: NDArray
    rng: Any

    @property
    def n_rows(self):
        return len(self.targets)

    @property
    def splits(self):
        return self.cross_fit.splits_

    @property
    def classes(self):
        return self.cross_fit.classes_

    @cached_property
    def levels(self):
        library = self.cross_fit.library_
        return None if library is None else library.quantile_levels

    @cached_property
    def covered(self):
        everywhere = np.ones(self.n_rows, dtype=bool)
        return np.asarray(getattr(self.cross_fit, "covered_", everywhere))

    @cached_property
    def twins(self):
        return number_equal_rows(self.X)

    @cached_property
    def clusters(self):
        return self.twins if self.groups is None else self.groups

    @cached_property
    def blocks(self):
        P = self.cross_fit.oof_predictions_
        return {name: P[:, at] for name, at in self.cross_fit.column_blocks()}

    @cached_property
    def losses(self):
        """Out-of-fold loss of each row, for each member."""
        return {name: self.lose(name, block) for name, block in self.blocks.items()}

    def lose(self, name, block):
        """Return the loss of each row of P; NaN where the row is not predicted."""
        losses = np.full(self.n_rows, np.nan)
        known = ~np.isnan(block).any(axis=1)
        method = None if self.classes is None else self.cross_fit.method_[name]
        losses[known] = row_losses(
            self.targets[known], block[known], method, self.levels
        )
        return losses

    def measure(self, values, clusters=None):
        """Return the weighted mean over the rows, its error and the clusters."""
        clusters = self.clusters if clusters is None else clusters
        return mean_and_error(values, self.weight, clusters)

    def comparable(self):
        """Name the members whose losses are of the same kind as most others'."""
        methods = self.cross_fit.method_
        if self.classes is None:
            return list(methods)
        return [name for name in methods if methods[name] == "predict_proba"]

    def predict(self, name, model, rows, fold=None):
        """Predict rows by a model, of a fold or of all rows."""
        cross_fit = self.cross_fit
        present = None if fold is None else cross_fit.fold_classes_[fold]
        block = predict_member(
            name,
            model,
            _safe_indexing(self.X, rows),
            cross_fit.method_[name],
            present,
            self.classes,
            "rows of the audit",
            self.blocks[name].shape[1],
        )
        return block if self.levels is None else sort_levels(block)[0]


def line(check, subject, value, threshold, verdict, message, advice=""):
    """Return one line of the table: what was found and, of a finding, what to do."""
    return {
        "check": check,
        "subject": subject,
        "value": None if value is None else float(value),
        "threshold": None if threshold is None else float(threshold),
        "verdict": verdict,
        "message": message,
        "advice": advice if verdict in ("warn", "fail") else "",
    }
