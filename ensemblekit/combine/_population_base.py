"""What the population-based selections share: scores, start, search, results."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .. import kernels, layout
from .._sklearn import Integral, Interval, StrOptions
from ..convex.fit import first_copies
from ..selection import greedy, population
from ..selection.descriptors import configuration_similarity, loss_correlation
from ._scores_base import class_scores, plain, value_scores

_GREEDY_ROUNDS = 50
_DESCRIPTORS = ("configuration_similarity", "ensemble_size", "loss_correlation")
_POSITIVE = Interval(Integral, 1, None, closed="left")

PARAMETERS: dict = {
    "n_evaluations": [_POSITIVE, None],
    "batch_size": [_POSITIVE],
    "crossover": [StrOptions(set(population.CROSSOVERS))],
    "elite": [StrOptions(set(population.ELITES))],
    "mutation": [StrOptions(set(population.MUTATIONS))],
    "definition": [StrOptions({"corrected", "published"})],
    "random_state": ["random_state"],
}
"""Constraints of the parameters that all of them have."""

DIVERSITY_PARAMETERS: dict = {
    "descriptors": [StrOptions({"auto"}), "array-like"],
    "configurations": ["array-like", dict, None],
}

REGRESSION_LOSSES = {"squared_error", "absolute_error", "huber"}
CLASSIFICATION_LOSSES = {"log_loss", "brier", "zero_one", "auc"}


@dataclass(frozen=True)
class Rows:
    """What a combiner was given, checked; of equal members only the first.

    P : (n, n_members * n_outputs); y : targets or class codes; weight : (n,) float64
    n_classes : int, 0 for regression
    members : (n_members,) positions among the members given; n_given : their number
    """

    P: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    n_classes: int
    members: np.ndarray
    n_given: int

    @property
    def n_outputs(self):
        """Return the number of columns of one member."""
        return layout.n_outputs_for(self.n_classes) if self.n_classes else 1

    @cached_property
    def errors(self):
        """Return base, sign, offset of residuals, or true-class probabilities."""
        if self.n_classes:
            return layout.true_class(self.P, self.y, self.n_classes)
        return self.P, np.ones(len(self.y)), -self.y


def distinct_rows(P, y, weight, n_classes=0):
    """Return `Rows` without the members that are copies of an earlier one."""
    n_outputs = layout.n_outputs_for(n_classes) if n_classes else 1
    n_given = layout.count_members(P, n_outputs)
    members = np.unique(first_copies(P, n_outputs, weight))
    if len(members) < n_given:
        P = layout.from_cube(layout.to_cube(P, n_outputs)[members])
    # Read for each of thousands of evaluations: in the order that kernels read.
    return Rows(np.ascontiguousarray(P), y, weight, n_classes, members, n_given)


def fit_population(combiner, archive, rows, names, configurations=None):
    """Search, and set the fitted attributes of a combiner."""
    seed = check_random_state(combiner.random_state).randint(np.iinfo(np.int32).max)
    given = combiner, rows.P, rows.y, plain(rows.weight)
    scores = class_scores(*given) if rows.n_classes else value_scores(*given)
    picks = []
    if combiner.definition == "corrected":
        picks = greedy.select(scores, greedy.Rules(_GREEDY_ROUNDS)).picks
    found = population.search(
        scores,
        [_similarity(name, rows, configurations) for name in names],
        np.array(picks, np.int64),
        archive=archive,
        n_evaluations=combiner.n_evaluations,
        batch_size=combiner.batch_size,
        crossover=combiner.crossover,
        elite=combiner.elite,
        mutation=combiner.mutation,
        definition=combiner.definition,
        seed=seed,
    )
    counts = _spread(found.counts[None], rows)[0]
    combiner.weights_ = counts / counts.sum()
    combiner.loss_ = found.loss
    combiner.loss_path_ = found.loss_path
    combiner.n_evaluations_ = found.n_evaluations
    combiner.n_init_evaluations_ = (
        found.n_init_evaluations + len(picks) * scores.n_members
    )
    combiner.archive_ = _archive(found, rows, names, archive)


def read_descriptors(descriptors, configurations):
    """Return the names of the two descriptors.

    Raises
    ------
    ValueError
        If they are not two different ones, or configurations miss for theirs.
    """
    if isinstance(descriptors, str):  # "auto"
        other = "ensemble_size" if configurations is None else _DESCRIPTORS[0]
        return ["loss_correlation", other]
    names = [str(name) for name in descriptors]
    if len(names) != 2 or len(set(names)) != 2 or not set(names) <= set(_DESCRIPTORS):
        raise ValueError(
            f"descriptors={names} are not two different ones out of "
            f"{', '.join(_DESCRIPTORS)}."
        )
    if _DESCRIPTORS[0] in names and configurations is None:
        raise ValueError(
            "descriptor 'configuration_similarity' needs the members' "
            "hyper-parameters; give configurations, a dict for each member."
        )
    return names


def _similarity(name, rows, configurations):
    if name == "loss_correlation":
        base, sign, offset = rows.errors
        return loss_correlation(base, sign, offset, rows.weight)
    if name == "configuration_similarity":
        similarity = configuration_similarity(configurations, rows.n_given)
        return similarity[np.ix_(rows.members, rows.members)]
    return None


def _spread(counts, rows):
    """Return counts over all members given; copies of an earlier one have 0."""
    spread = np.zeros((len(counts), rows.n_given), np.int64)
    spread[:, rows.members] = counts
    return spread


def _archive(found, rows, names, archive):
    counts = _spread(found.archive_counts, rows)
    menu = Bunch(
        counts=counts,
        weights=counts / counts.sum(axis=1, keepdims=True),
        losses=found.archive_losses,
        descriptors=found.archive_descriptors,
        descriptor_names=names,
    )
    if archive == "diversity":
        side = kernels.population.SIDE
        menu.cells = np.column_stack(np.divmod(found.archive_cells, side))
        menu.bounds = found.bounds
    return menu
