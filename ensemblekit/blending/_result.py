"""What a blend found: scores, predictions, code."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..combine._base import own_weights
from ..library import PredictionLibrary
from ._snippet import read_code, write_snippet
from ._table import write_table
from ._verdict import beats_mean, say_written, write_verdict

__all__ = ["FORMAT", "Blend"]

FORMAT = 1


@dataclass
class Blend:
    """What `blend` found.

    Attributes
    ----------
    task : {"regression", "classification", "quantile"}
    metric : str
    greater_is_better : bool
    reads : {"values", "probabilities", "labels", "quantiles"}
        What the metric reads of a prediction.
    names : list of str
        Members.
    classes : ndarray or None
    n_samples : int
    folds : ndarray of shape (n_samples,), int
        Folds that the scores are nested over.
    fold_source : {"given", "library", "drawn"}
    random_state : int
    rows : list of dict
        One for each method, best first: ``name``, ``score`` (nested), ``score_se``,
        ``naive``, ``optimism`` (by how much the naive score looks better),
        ``gain_over_mean``, ``gain_over_mean_se``, ``gain_over_best``,
        ``gain_over_best_se`` (paired, positive is better than the mean, than the best
        member), ``n_members`` (of weight other than 0, None where weights do not tell)
        and ``notes``. Scores in the metric's own direction, None where unknown.
    members : list of dict
        One for each member, best first: ``name``, ``score``, ``score_se``, ``weight``
        (in the best method, None where it has no weights).
    best : str
        Method of the best nested score, of those asked for; ties go to the simpler.
    choice : dict
        ``score``, ``score_se``, ``gain_over_mean``, ``gain_over_mean_se``,
        ``gain_over_best``, ``gain_over_best_se`` (and ``n_methods``, how many there
        were to choose from, ``n_folds``, those scored) of choosing the best method
        itself: each fold predicted by the method that is best on the others. Trying
        many methods flatters the best of them; this does not.
    verdict : str
        The outcome in a sentence or two: what beats the mean or the best member by more
        than chance gives, a one-sided t test of the gains of `choice` at level 0.05.
    skipped : list of (str, str)
        Methods not tried or failed, and why.
    seconds : dict of str to float
        Time of each method's fits.
    models : dict of str to estimator
        Each method fitted on all rows.
    held_out : dict of str to ndarray
        Nested predictions: what the metric reads, NaN where no fold could predict.
    unscored : int
        Rows left out of all scores, because a fold without them lacks a class.
    library : PredictionLibrary
        What was blended.
    source : mapping or None
        Arguments of `read_bank` that made the library, for `snippet`.
    """

    task: str
    metric: str
    greater_is_better: bool
    reads: str
    names: list[str]
    classes: NDArray | None
    n_samples: int
    folds: NDArray
    fold_source: str
    random_state: int
    rows: list[dict]
    members: list[dict]
    best: str
    choice: dict
    verdict: str
    skipped: list[tuple[str, str]]
    seconds: dict[str, float]
    models: dict[str, Any]
    held_out: dict[str, NDArray]
    unscored: int
    library: PredictionLibrary
    source: Mapping[str, Any] | None = None

    @property
    def weights(self) -> dict[str, float] | None:
        """Weight of each member in the best method, None where it has none."""
        return self.weights_of(self.best)

    def weights_of(self, name: str) -> dict[str, float] | None:
        """Return the weight of each member in that method, None where it has none.

        Parameters
        ----------
        name : str
            Of the method.

        Returns
        -------
        weights : dict of str to float, or None
            By the members' names.
        """
        weights = own_weights(self.models[name], len(self.names))
        if weights is None:
            return None
        return dict(zip(self.names, weights.tolist(), strict=True))

    def predict_oof(self, name: str | None = None) -> NDArray:
        """Return nested predictions of all rows.

        Parameters
        ----------
        name : str, default=None
            Of the method; None means the best.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values, probabilities, labels or quantiles, as the metric reads.
        """
        held_out = self.held_out[self._known(name)]
        if self.reads != "labels":
            return held_out
        assert self.classes is not None
        if np.isnan(held_out).any():
            raise ValueError(
                f"{self.unscored} rows have no nested label: without their fold a "
                "class is missing. Give folds that each leave rows of every class."
            )
        return self.classes[held_out.astype(np.int64)]

    def predict_test(self, name: str | None = None) -> NDArray:
        """Return predictions of the library's test rows by the model of all rows.

        Parameters
        ----------
        name : str, default=None
            Of the method; None means the best.

        Returns
        -------
        prediction : ndarray of shape (n_test,) or (n_test, n_classes)
            Values, probabilities or labels, as the metric reads.

        Raises
        ------
        ValueError
            If the library has no test predictions.
        """
        if self.library.P_test is None:
            raise ValueError("The library has no test predictions to combine.")
        return self.predict(self.library.P_test, name)

    def predict(self, P: ArrayLike, name: str | None = None) -> NDArray:
        """Return predictions of new rows: values, probabilities, labels or quantiles.

        Parameters
        ----------
        P : array-like of shape (n_rows, n_members * n_outputs)
        name : str, default=None
            Of the method; None means the best.

        Returns
        -------
        prediction : ndarray of shape (n_rows,) or (n_rows, n_classes)
            As the metric reads.
        """
        model = self.models[self._known(name)]
        if self.reads == "probabilities":
            return model.predict_proba(P)
        if self.reads == "quantiles":
            return model.predict_quantiles(P)
        return model.predict(P)

    @property
    def beats_mean(self) -> bool:
        """Whether the verdict says that the mean is beaten."""
        return beats_mean(self)

    @property
    def written(self) -> str:
        """Which method files of this blend are of, and how to have the mean instead."""
        return say_written(self)

    @property
    def snippet(self) -> str:
        """Python that fits the best method again."""
        if self.source is None:
            return write_snippet(self)
        return write_snippet(self, read_code(self.source))

    def choose(self, name: str) -> Blend:
        """Return the same blend with another method in the place of the best.

        Parameters
        ----------
        name : str
            Of the method.

        Returns
        -------
        chosen : Blend
            Of the same scores, models and predictions.
        """
        chosen = replace(self, best=self._known(name))
        weights = chosen.weights or {}
        chosen.members = [
            {**row, "weight": weights.get(row["name"])} for row in self.members
        ]
        chosen.verdict = write_verdict(chosen)
        return chosen

    def to_dict(self) -> dict:
        """Return what is known, of plain types; no times, so equal runs are equal.

        Returns
        -------
        content : dict
            Attributes but arrays and models; ``format``, ``ensemblekit`` (its version),
            ``n_folds``, ``weights`` of each method and ``snippet`` (Python).
        """
        plain = (
            *("task", "metric", "greater_is_better", "reads", "n_samples"),
            *("fold_source", "random_state", "unscored", "best", "choice"),
            *("verdict", "rows", "members"),
        )
        return {
            "format": FORMAT,
            "ensemblekit": version("ensemblekit"),
            **{key: copy.deepcopy(getattr(self, key)) for key in plain},
            "names": list(self.names),
            "classes": _as_list(self.classes),
            "quantile_levels": _as_list(self.library.quantile_levels),
            "n_folds": len(np.unique(self.folds)),
            "skipped": [list(entry) for entry in self.skipped],
            "weights": {name: self.weights_of(name) for name in self.models},
            "snippet": self.snippet,
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON.

        Returns
        -------
        text : str
            Without NaN or infinity, which JSON has not.
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    def __str__(self):
        """Return the table and the verdict."""
        return write_table(self)

    def _known(self, name):
        if name is None:
            return self.best
        if name not in self.models:
            raise ValueError(
                f"No method {name!r} was fitted; expected one of {list(self.models)}."
            )
        return name


def _as_list(values):
    return None if values is None else values.tolist()
