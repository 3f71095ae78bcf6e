"""Search ensembles by a population: QO-ES and QDO-ES.

Purucker et al., "Q(D)O-ES: Population-based Quality (Diversity) Optimisation for Post
Hoc Ensemble Selection in AutoML", AutoML 2023, with its defects corrected.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels

ARCHIVES = {"quality": 0, "diversity": 1}
ELITES = {"combined_dynamic": 0, "deterministic": 1, "tournament": 2}
CROSSOVERS = {"average": 0, "two_point": 1}
MUTATIONS = {"add": 0, "all": 1}
EVALUATIONS_PER_MEMBER = 50

_TIE = 1e-12
_LARGEST_SIZE = 50.0  # upper end of the cells' first bounds
_ATTEMPTS = 200  # calls of ask for one batch; the first is mostly enough


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes
    ----------
    counts : ndarray of shape (n_members,), int64
        The best ensemble: picks of each member.
    loss : float
    archive_counts : ndarray of shape (n_elites, n_members), int64
        The elites, from the lowest loss to the highest.
    archive_losses : ndarray of shape (n_elites,), float64
    archive_descriptors : ndarray of shape (n_elites, 2), float64
    archive_cells : ndarray of shape (n_elites,), int64
        Cell of each elite: 7 times its position along the first descriptor plus that
        along the second; the number of its slot in an archive of quality.
    bounds : ndarray of shape (2, 8), float64
        Bounds of the cells along each descriptor.
    loss_path : ndarray of shape (n_batches + 1,), float64
        Lowest loss of all evaluated so far: of the first solutions, then by batch.
    n_evaluations : int
        Ensembles evaluated, those of one member included.
    n_init_evaluations : int
        Ensembles evaluated besides: beginnings of the greedy path.
    """

    counts: np.ndarray
    loss: float
    archive_counts: np.ndarray
    archive_losses: np.ndarray
    archive_descriptors: np.ndarray
    archive_cells: np.ndarray
    bounds: np.ndarray
    loss_path: np.ndarray
    n_evaluations: int
    n_init_evaluations: int


def search(
    scores,
    descriptors,
    start_picks=(),
    *,
    archive="quality",
    n_evaluations=None,
    batch_size=40,
    crossover="average",
    elite="combined_dynamic",
    mutation="all",
    definition="corrected",
    seed=0,
):
    """Search for the ensemble of lowest loss, and for diverse ones that are near it.

    The search works on the members in the order of their own losses, so that it does
    not depend on the order they are given in, but for ties.

    Parameters
    ----------
    scores : object
        ``scores.n_members``, and ``scores.of(counts)`` -> (b,) losses of the ensembles
        with weights ``counts / counts.sum()``, where counts is (b, n_members).
    descriptors : pair of (None or ndarray of shape (n_members, n_members))
        What spans the archive of diversity: None is the number of members, a matrix
        the mean of its entries over pairs of members (1 for one member alone).
    start_picks : sequence of int, default=()
        A greedy path. All its beginnings are evaluated and enter the archive, so that
        the result is never worse; they do not count for `n_evaluations`.
    archive : {"quality", "diversity"}, default="quality"
        49 elites of lowest loss, or the best one in each of 7 x 7 cells.
    n_evaluations : int or None, default=None
        Ensembles evaluated, n_members of them single members; >= n_members. None is 50
        for each member.
    batch_size : int, default=40
    crossover : {"average", "two_point"}, default="average"
    elite : {"combined_dynamic", "deterministic", "tournament"}, \
            default="combined_dynamic"
    mutation : {"all", "add"}, default="all"
        Add a member; or also remove one, or swap two.
    definition : {"corrected", "published"}, default="corrected"
        The published rules add only, keep single members and greedy paths out of the
        archive, never exchange the last member, adapt to mean losses and choose the
        merged archive, or a single member, by the authors' order. Its software defects
        (equal children, rounded counts, elites that were never evaluated) stay out.
    seed : int, default=0

    Returns
    -------
    found : Found

    Raises
    ------
    ValueError
        If `n_evaluations` is less than the number of members.
    """
    m = scores.n_members
    budget = EVALUATIONS_PER_MEMBER * m if n_evaluations is None else n_evaluations
    if budget < m:
        raise ValueError(
            f"n_evaluations={budget} is less than the {m} distinct members; each is "
            "evaluated first. Raise it, or leave it at None for 50 for each member."
        )
    published = definition == "published"
    rules = [
        ARCHIVES[archive],
        ELITES[elite],
        CROSSOVERS[crossover],
        MUTATIONS["add" if published else mutation],
        int(published),
    ]
    run = _Run(scores, budget, np.random.default_rng(seed), published)
    run.begin(descriptors, rules, start_picks)
    run.evolve(batch_size)
    return run.finish()


class _Run:
    """One search: counts are in the order of the members' own losses inside."""

    state: Any

    def __init__(self, scores, budget, rng, published):
        self.scores = scores
        self.budget = budget
        self.rng = rng
        self.published = published
        self.n_evaluations = self.n_init_evaluations = 0
        self.loss_path = []
        # One member has no other mixtures than itself.
        self.is_over = scores.n_members == 1

    def begin(self, descriptors, rules, start_picks):
        """Evaluate single members, the greedy path and random pairs."""
        m = self.scores.n_members
        singles = np.eye(m, dtype=np.int32)
        losses = self.scores.of(singles)
        self.order = np.argsort(losses, kind="stable")
        picks = np.array([] if self.published else start_picks, np.int64)
        picks = np.argsort(self.order)[picks]
        self._make_state(descriptors, rules, len(picks))
        kernels.population.admit(self.state, singles)
        self._enter(singles, losses[self.order], archived=not self.published)
        self.n_evaluations = m
        self._enter_path(picks)
        self._enter_pairs()
        self._note_best()

    def evolve(self, batch_size):
        """Ask for batches, evaluate them and tell their losses."""
        while self.n_evaluations < self.budget and not self.is_over:
            batch, origin = self._ask(min(batch_size, self.budget - self.n_evaluations))
            self.is_over = len(batch) == 0
            losses = self._losses(batch)
            self.state = kernels.population.tell(self.state, batch, losses, origin)
            self.n_evaluations += len(batch)
            self._note_best()

    def finish(self):
        """Choose the best ensemble and name the results."""
        elites, cells = self._elites()
        archive = self._as_given(elites)
        merged = archive.sum(axis=0, dtype=np.int64)
        merged //= np.gcd.reduce(merged)
        merged_loss = float(self.scores.of(merged[None])[0])
        choose = self._choose_published if self.published else self._choose
        counts, loss = choose(archive, elites, merged, merged_loss)
        return Found(
            counts=counts.astype(np.int64),
            loss=loss,
            archive_counts=archive.astype(np.int64),
            archive_losses=self.state.losses[elites],
            archive_descriptors=self.state.traits[elites],
            archive_cells=cells,
            bounds=self.state.bounds,
            loss_path=np.array(self.loss_path),
            n_evaluations=self.n_evaluations,
            n_init_evaluations=self.n_init_evaluations,
        )

    def _make_state(self, descriptors, rules, n_picks):
        matrices = [matrix for matrix in descriptors if matrix is not None]
        positions = iter(range(len(matrices)))
        sizes = [matrix is None for matrix in descriptors]
        traits = [-1 if is_size else next(positions) for is_size in sizes]
        m = self.scores.n_members
        similarity = np.zeros((len(matrices), m, m))
        for k, matrix in enumerate(matrices):
            similarity[k] = matrix[np.ix_(self.order, self.order)]
        self.state = kernels.population.start(
            similarity,
            np.where(sizes, _LARGEST_SIZE, 1.0),
            self.rng.integers(1, kernels.population.PRIME, (2, m)),
            np.array(rules + traits),
            self.budget + n_picks,
        )

    def _enter_path(self, picks):
        """Evaluate the beginnings of the greedy path."""
        path = np.zeros((len(picks), len(self.order)), np.int32)
        path[np.arange(len(picks)), picks] = 1
        path = np.cumsum(path, axis=0, dtype=np.int32)
        path = path[kernels.population.admit(self.state, path)]
        self._enter(path, self._losses(path))
        self.n_init_evaluations = len(path)

    def _enter_pairs(self):
        """Evaluate pairs of members, each member at most once."""
        m = len(self.order)
        n_pairs = min(m // 2, self.budget - self.n_evaluations)
        members = self.rng.permutation(m)[: 2 * n_pairs].reshape(n_pairs, 2)
        pairs = np.zeros((n_pairs, m), np.int32)
        np.put_along_axis(pairs, members, 1, axis=1)
        pairs = pairs[kernels.population.admit(self.state, pairs)]
        self._enter(pairs, self._losses(pairs))
        self.n_evaluations += len(pairs)

    def _enter(self, batch, losses, archived=True):
        self.state = kernels.population.enter(self.state, batch, losses, archived)

    def _ask(self, n_wanted):
        batch = np.zeros((n_wanted, len(self.order)), np.int32)
        origin = np.zeros((n_wanted, 4), np.int64)
        shape = (2 * n_wanted, kernels.population.DRAWS)
        filled = 0
        for _ in range(_ATTEMPTS):
            draws = self.rng.random(shape)
            filled = kernels.population.ask(self.state, draws, batch, origin, filled)
            if filled == n_wanted:
                break
        return batch[:filled], origin[:filled]

    def _losses(self, batch):
        if len(batch) == 0:
            return np.empty(0)
        given = np.empty_like(batch)
        given[:, self.order] = batch
        return np.asarray(self.scores.of(given), np.float64)

    def _as_given(self, solutions):
        """Return the counts of solutions, with members in the order given."""
        given = np.zeros((len(solutions), len(self.order)), np.int32)
        for row, s in zip(given, solutions, strict=True):
            row[self.order] = kernels.population.solution(self.state, s)
        return given

    def _logged(self):
        return self.state.losses[: self.n_evaluations + self.n_init_evaluations]

    def _note_best(self):
        self.loss_path.append(float(self._logged().min()))

    def _elites(self):
        """Return the archive's solutions from the lowest loss on, and their cells."""
        cells = np.flatnonzero(self.state.cells >= 0)
        if len(cells) == 0:  # the published archive of one member
            return np.zeros(1, np.int64), np.zeros(1, np.int64)
        elites = self.state.cells[cells]
        ranking = np.argsort(self.state.losses[elites], kind="stable")
        return elites[ranking], cells[ranking]

    def _choose(self, archive, elites, merged, merged_loss):
        """Return the lowest loss; ties: fewer members, then the lowest indices."""
        losses = self._logged()
        lowest = min(losses.min(), merged_loss)
        limit = lowest + _TIE * abs(lowest)
        ties = [*self._as_given(np.flatnonzero(losses <= limit))]
        tied_losses = [*losses[losses <= limit]]
        if merged_loss <= limit:
            ties.append(merged)
            tied_losses.append(merged_loss)
        best = min(range(len(ties)), key=lambda t: _simplicity(ties[t]))
        return ties[best], float(tied_losses[best])

    def _choose_published(self, archive, elites, merged, merged_loss):
        losses = self._logged()
        counts, loss = archive[0], losses[elites[0]]
        if merged_loss < loss:
            counts, loss = merged, merged_loss
        if losses[0] <= loss:  # the best single member is the first of all
            counts, loss = self._as_given([0])[0], losses[0]
        return counts, float(loss)


def _simplicity(counts):
    members = np.flatnonzero(counts)
    return len(members), members.tolist(), counts.sum()
