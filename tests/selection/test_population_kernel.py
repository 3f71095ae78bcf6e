import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit.kernels import mixtures as mixture_losses
from ensemblekit.kernels import population

from . import oracles_population as oracle

EPS = np.finfo(float).eps
ELITES = ("dynamic", "deterministic", "tournament")


class Both:
    """A kernel's state and its twin, told the same."""

    def __init__(self, m, seed, capacity=2000, **rules):
        self.rng, self.m = np.random.default_rng(seed), m
        matrix = self.rng.uniform(size=(m, m))
        matrix = (matrix + matrix.T) / 2
        self.twin = oracle.Population(m, [matrix, None], [1.0, 50.0], **rules)
        codes = [
            ("quality", "diversity").index(rules["archive"]),
            ELITES.index(rules["elite"]),
            ("average", "two_point").index(rules["crossover"]),
            ("add", "all").index(rules["moves"]),
            int(rules["published"]),
            0,
            population.SIZE,
        ]
        hashing = self.rng.integers(1, population.PRIME, (2, m))
        self.state = population.start(
            matrix[None], np.array([1.0, 50.0]), hashing, np.array(codes), capacity
        )
        self.gram = np.cov(self.rng.normal(size=(m, m + 3)))

    def losses(self, batch):
        shares = batch / batch.sum(axis=1, keepdims=True)
        # Rounded, so that ties happen.
        return np.round(((shares @ self.gram) * shares).sum(axis=1), 2)

    def enter(self, batch, archived=True):
        new = population.admit(self.state, batch)
        rows = [tuple(row) for row in batch.tolist()]
        assert_array_equal(new, self.twin.admit(rows))
        losses = self.losses(batch[new])
        self.state = population.enter(self.state, batch[new], losses, archived)
        kept = [row for row, is_new in zip(rows, new, strict=True) if is_new]
        self.twin.enter(kept, losses, archived)
        self.compare()

    def advance(self, b):
        batch, origin = np.zeros((b, self.m), np.int32), np.zeros((b, 4), np.int64)
        rows, sources, filled = [], [], 0
        while filled < b:
            draws = self.rng.random((b // 2 + 1, population.DRAWS))
            filled = population.ask(self.state, draws, batch, origin, filled)
            self.twin.ask(draws, b, rows, sources)
            assert len(rows) == filled
        assert_array_equal(batch, rows)
        assert_array_equal(origin, sources)
        losses = self.losses(batch)
        self.state = population.tell(self.state, batch, losses, origin)
        self.twin.tell(rows, losses, sources)
        self.compare()

    def compare(self):
        cells = {c: s for c, s in enumerate(self.state.cells) if s >= 0}
        assert cells == self.twin.archive
        chances = self.twin.chances
        assert_allclose(
            self.state.chances, [chances["cross"], chances["mutate"], chances["random"]]
        )
        for s in cells.values():
            counts, loss, traits = self.twin.log[s]
            assert_array_equal(population.solution(self.state, s), counts)
            assert self.state.losses[s] == loss
            assert_allclose(self.state.traits[s], traits, rtol=1e-12)


@pytest.mark.parametrize("archive", ["quality", "diversity"])
@pytest.mark.parametrize("elite", ELITES)
@pytest.mark.parametrize("crossover", ["average", "two_point"])
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("m", [2, 3, 8])
def test_every_proposal_is_the_twins(archive, elite, crossover, published, m):
    rules = {"archive": archive, "elite": elite, "crossover": crossover}
    for seed, moves in enumerate(("add", "all")):
        both = Both(m, seed, moves=moves, published=published, **rules)
        both.enter(np.eye(m, dtype=np.int32), archived=not published)
        both.enter(both.rng.integers(1, 4, (5, m)).astype(np.int32))
        for b in (7, 40, 1, 13, 25, 3, *[4] * 9, 25):
            both.advance(b)
            assert len(set(both.twin.seen)) == len(both.twin.log)


def test_the_log_grows_as_needed():
    rules = {"archive": "quality", "elite": "dynamic", "crossover": "average"}
    both = Both(60, 0, moves="all", published=False, **rules)
    both.state = both.state._replace(
        members=both.state.members[:64].copy(), counts=both.state.counts[:64].copy()
    )
    both.enter(np.eye(60, dtype=np.int32))
    both.enter(both.rng.integers(0, 4, (9, 60)).astype(np.int32))
    for _ in range(5):
        both.advance(20)


COUNTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2).filter(
    lambda pairs: any(a for a, _ in pairs) and any(b for _, b in pairs)
)
DRAW = st.floats(0, 1, exclude_max=True)


@settings(max_examples=400, deadline=None)
@given(COUNTS, DRAW, st.booleans())
def test_two_point_children(pairs, draw, published):
    first, second = np.array(pairs, np.int32).T.copy()
    expected = oracle.two_point(first, second, draw, published)
    if expected is None:
        return
    one, two = population.two_point_crossover(first, second, draw, published)
    assert_array_equal([one, two], expected)
    assert_array_equal(one + two, first + second)
    if (first != second).any():
        assert (one != two).any()
    inside = (one == second) & (first != second)
    outside = (one == first) & (first != second)
    if inside.any() and outside.any():
        for child in (one, two):
            assert (child != first).any()
            assert (child != second).any()


def test_every_slice_is_drawn_equally_often():
    first, second = np.array([1, 2, 3, 4], np.int32), np.array([5, 6, 7, 8], np.int32)
    draws = (np.arange(9000) + 0.5) / 9000
    children = [population.two_point_crossover(first, second, d)[0] for d in draws]
    kinds, times = np.unique(children, axis=0, return_counts=True)
    assert len(kinds) == 9  # of 4 members: 10 slices but the whole
    assert (times == 1000).all()
    # The published rule never exchanges the last member.
    published = [
        population.two_point_crossover(first, second, d, True)[0] for d in draws
    ]
    assert {child[3] for child in published} == {4}
    assert {child[3] for child in children} == {4, 8}


@settings(max_examples=300, deadline=None)
@given(COUNTS)
def test_average_children(pairs):
    first, second = np.array(pairs, np.int32).T
    assert_array_equal(population.average_crossover(first, first), first)
    child = population.average_crossover(first, second)
    assert_array_equal(child, oracle.average(first, second))
    assert_array_equal(child, population.average_crossover(second, first))


def mixtures(P, y, counts):
    p = P @ (counts / counts.sum(axis=1, keepdims=True)).T
    return np.where(y[:, None] == 1, p, 1.0 - p)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 1024, 1025, 3001])
@pytest.mark.parametrize("m", [1, 5, 400])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_losses(n, m, weighted, dtype):
    rng = np.random.default_rng(n + m)
    P, y = rng.random((n, m)).astype(dtype), rng.integers(0, 2, n)
    weight = rng.integers(0, 3, n) + (np.arange(n) == 0.0) if weighted else np.empty(0)
    counts = rng.integers(0, 4, (7, m)).astype(np.int32)
    counts[:, 0] += 1
    counts[:, m // 2 + 1 :: 3] = 0
    found = mixture_losses.log_losses(
        P, 2.0 * y - 1.0, 1.0 - y, weight.astype(float), counts, EPS
    )
    logs = np.log(np.maximum(mixtures(P.astype(float), y, counts), EPS))
    expected = -np.average(logs, axis=0, weights=weight if weighted else None)
    assert_allclose(found, expected, rtol=2e-14)


def test_log_losses_of_certain_mistakes():
    n = 4096
    P, y = np.zeros((n, 3)), np.ones(n)
    arrays = P, 2.0 * y - 1.0, 1.0 - y, np.empty(0)
    counts = np.array([[1, 0, 2]], np.int32)
    assert mixture_losses.log_losses(*arrays, counts, 1e-15)[0] == pytest.approx(
        34.538776394910684, rel=1e-15
    )


@pytest.mark.parametrize("m", [1, 2, 30])
def test_quadratic_losses(m):
    rng = np.random.default_rng(m)
    residuals = rng.normal(size=(50, m))
    counts = rng.integers(0, 5, (20, m)).astype(np.int32)
    counts[:, -1] += 1
    found = mixture_losses.quadratic_losses(residuals.T @ residuals / 50, counts)
    mixed = residuals @ (counts / counts.sum(axis=1, keepdims=True)).T
    assert_allclose(found, (mixed**2).mean(axis=0), rtol=1e-12)


def test_a_perfect_mixture_has_no_negative_loss():
    gram = np.array([[1.0, -1.0 - 1e-16], [-1.0 - 1e-16, 1.0]])
    counts = np.array([[1, 1]], np.int32)
    assert mixture_losses.quadratic_losses(gram, counts)[0] == 0.0
