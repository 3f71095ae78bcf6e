import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ensemblekit import evaluate_loss, kernels
from ensemblekit.selection import greedy, population
from ensemblekit.selection.descriptors import (
    configuration_similarity,
    loss_correlation,
)
from ensemblekit.selection.scores import LogScores


class Scores:
    """Losses by `evaluate_loss`; remembers what was asked."""

    def __init__(self, loss, P, y):
        self.n_members, self.loss, self.P, self.y = P.shape[1], loss, P, y
        self.asked = []

    def of(self, counts):
        assert (counts >= 0).all()
        assert (counts.sum(axis=1) > 0).all()
        self.asked += [tuple(row) for row in counts.tolist()]
        return np.array([self.once(row) for row in counts])

    def once(self, row):
        mixture = self.P @ (row / row.sum())
        if self.loss != "squared_error":
            mixture = np.column_stack([1 - mixture, mixture])
        return evaluate_loss(self.loss, self.y, mixture)


class QuickScores(Scores):
    """Log losses by the kernel."""

    def of(self, counts):
        self.asked += [tuple(row) for row in counts.tolist()]
        arrays = self.P, 2.0 * self.y - 1.0, 1.0 - self.y, np.empty(0)
        return kernels.mixtures.log_losses(*arrays, counts, 2.2e-16)


def greedy_picks(scores, n_rounds):
    """Members that greedy selection picks, through the scores alone."""
    counts = np.zeros(scores.n_members, np.int32)
    picks: list[int] = []
    while len(picks) < n_rounds:
        losses = scores.of(counts + np.eye(len(counts), dtype=np.int32))
        lowest = losses.min()
        picks.append(int(np.argmax(losses <= lowest + 1e-12 * abs(lowest))))
        counts[picks[-1]] += 1
        if lowest == 0.0:
            break
    return np.array(picks, np.int64)


def descriptors_of(P, y):
    similarity = loss_correlation(P, np.ones(len(y)), -y.astype(float), np.ones(len(y)))
    return [similarity, None]


def reduced(rows):
    return {tuple(np.array(row) // np.gcd.reduce(row)) for row in rows}


def path_loss(scores, picks):
    prefixes = np.cumsum(np.eye(scores.n_members, dtype=int)[picks], axis=0)
    return min(scores.once(row) for row in prefixes)


@pytest.mark.parametrize("archive", ["quality", "diversity"])
@pytest.mark.parametrize("remainder", range(40))
def test_every_elite_has_its_own_loss(class_predictions, archive, remainder):
    P, y, _ = class_predictions(n_members=5, n_samples=40, seed=remainder)
    scores = Scores("brier", P, y)
    budget = 5 + 2 + 120 + remainder  # members, pairs, batches
    found = population.search(
        scores, descriptors_of(P, y), archive=archive, n_evaluations=budget
    )
    assert found.n_evaluations == budget
    assert len(scores.asked) == budget + 1  # and the merged archive
    assert len(reduced(scores.asked[:-1])) == budget
    assert set(map(tuple, found.archive_counts.tolist())) <= set(scores.asked[:-1])
    assert_allclose(
        found.archive_losses, [scores.once(row) for row in found.archive_counts]
    )
    assert len(set(found.archive_cells.tolist())) == len(found.archive_cells) <= 49
    assert (np.diff(found.archive_losses) >= 0).all()
    every = [scores.once(np.array(row)) for row in scores.asked[:-1]]
    assert_allclose(found.archive_losses[0], min(every))  # the best is never lost
    assert_allclose(found.loss_path[-1], min(every))
    assert_allclose(found.loss, scores.once(found.counts))
    assert found.loss <= min(every) * (1 + 1e-12)
    assert (np.diff(found.loss_path) <= 0).all()
    assert len(found.loss_path) == 1 + -(-(budget - 7) // 40)


@pytest.mark.parametrize("archive", ["quality", "diversity"])
def test_the_worst_of_quality_and_the_best_of_each_cell_stay(
    class_predictions, archive
):
    P, y, _ = class_predictions(n_members=6, n_samples=60)
    scores = Scores("brier", P, y)
    similarity, _ = descriptors_of(P, y)
    found = population.search(scores, [similarity, None], archive=archive)
    rows = np.array(scores.asked[:-1])
    losses = np.array([scores.once(row) for row in rows])
    if archive == "quality":
        assert_allclose(found.archive_losses, np.sort(losses)[:49])
        return
    for row, (correlation, size) in zip(
        found.archive_counts, found.archive_descriptors, strict=True
    ):
        members = np.flatnonzero(row)
        pairs = similarity[np.ix_(members, members)][np.triu_indices(len(members), 1)]
        assert_allclose(correlation, pairs.mean() if len(members) > 1 else 1.0)
        assert size == len(members)
    # Of 300 ensembles 300 - 46 lie behind the last new bounds: 46 + 6 * 42 = 298.
    inside = found.archive_descriptors + 1e-6
    places = [
        np.maximum(np.searchsorted(bounds[:7], np.minimum(x, bounds[7] - 1e-6)) - 1, 0)
        for x, bounds in zip(inside.T, found.bounds, strict=True)
    ]
    assert_array_equal(7 * places[0] + places[1], found.archive_cells)


@pytest.mark.parametrize("archive", ["quality", "diversity"])
@pytest.mark.parametrize("seed", range(30))
def test_never_worse_than_greedy(class_predictions, archive, seed):
    P, y, _ = class_predictions(n_members=12, n_samples=200, seed=seed)
    scores = QuickScores("log_loss", P, y)
    picks = greedy_picks(scores, 50)
    rows = P, 2.0 * y - 1.0, 1.0 - y, np.ones(len(y))
    path = greedy.select(LogScores(*rows, 2.2e-16), greedy.Rules(50))
    assert_array_equal(picks, path.picks)
    crossover = "average" if archive == "quality" else "two_point"
    found = population.search(
        scores,
        descriptors_of(P, y),
        picks,
        archive=archive,
        crossover=crossover,
        seed=seed,
    )
    assert found.loss <= path_loss(scores, picks) * (1 + 1e-12)
    assert found.n_evaluations == 600
    assert len(set(picks)) - 1 <= found.n_init_evaluations <= 50


@pytest.mark.parametrize("loss", ["brier", "zero_one", "auc"])
@pytest.mark.parametrize("elite", population.ELITES)
def test_any_loss_and_choice_of_parents(class_predictions, loss, elite):
    P, y, _ = class_predictions(n_members=5, n_samples=60)
    scores = Scores(loss, P, y)
    picks = greedy_picks(scores, 10)
    assert len(scores.asked) == 5 * len(picks)
    for archive in population.ARCHIVES:
        found = population.search(
            scores,
            descriptors_of(P, y),
            picks,
            archive=archive,
            elite=elite,
            crossover="two_point",
            n_evaluations=100,
        )
        assert found.loss <= path_loss(scores, picks)
        assert_allclose(found.loss, scores.once(found.counts))


def test_ties_go_to_fewer_members_and_then_to_the_lowest(class_predictions):
    P, y, _ = class_predictions(n_members=5, n_samples=40)
    P[:, 2] = P[:, 4] = y  # perfect alone, and together
    found = population.search(Scores("brier", P, y), descriptors_of(P, y))
    assert_array_equal(np.flatnonzero(found.counts), [2])
    assert found.loss == 0.0


@pytest.mark.parametrize("definition", ["corrected", "published"])
@pytest.mark.parametrize("archive", ["quality", "diversity"])
def test_permuting_members_permutes_all(class_predictions, archive, definition):
    for seed in range(5):
        P, y, _ = class_predictions(n_members=9, n_samples=97, seed=seed)
        options = {"archive": archive, "definition": definition, "seed": seed}
        picks = greedy_picks(QuickScores("log_loss", P, y), 20)
        one = population.search(
            QuickScores("log_loss", P, y), descriptors_of(P, y), picks, **options
        )
        order = np.random.default_rng(seed).permutation(9)
        other = population.search(
            QuickScores("log_loss", P[:, order], y),
            descriptors_of(P[:, order], y),
            np.argsort(order)[picks],
            **options,
        )
        assert_array_equal(other.counts, one.counts[order])
        assert_array_equal(other.archive_counts, one.archive_counts[:, order])
        assert_allclose(other.loss_path, one.loss_path)


def test_the_seed_decides(class_predictions):
    P, y, _ = class_predictions(n_members=8)
    results = [
        population.search(
            QuickScores("log_loss", P, y), descriptors_of(P, y), seed=seed
        )
        for seed in (3, 3, 4)
    ]
    assert_array_equal(results[0].archive_counts, results[1].archive_counts)
    assert_array_equal(results[0].loss_path, results[1].loss_path)
    assert results[0].loss_path.tolist() != results[2].loss_path.tolist()


@pytest.mark.parametrize("archive", ["quality", "diversity"])
def test_published_rules(class_predictions, archive):
    P, y, _ = class_predictions(n_members=8, n_samples=120)
    scores = Scores("log_loss", P, y)
    found = population.search(
        scores,
        descriptors_of(P, y),
        [0, 0, 1],
        archive=archive,
        definition="published",
        n_evaluations=211,
    )
    assert found.n_evaluations == 211
    assert found.n_init_evaluations == 0  # no greedy path
    singles = scores.asked[:8]
    assert_array_equal(np.sort(singles, axis=0)[-1], np.ones(8))
    archived = [tuple(row) for row in found.archive_counts.tolist()]
    assert not set(singles) & set(archived)  # they stay outside
    pairs = np.array(scores.asked[8:12])
    assert_array_equal(pairs.sum(axis=0), np.ones(8))
    merged = scores.once(np.array(scores.asked[-1]))
    best = min(map(scores.once, map(np.array, singles)))
    assert_allclose(found.loss, min(found.archive_losses[0], merged, best))
    assert_array_equal(
        reduced([found.archive_counts.sum(axis=0)]), reduced(scores.asked[-1:])
    )


@pytest.mark.parametrize("definition", ["corrected", "published"])
@pytest.mark.parametrize("n_members", [1, 2, 3])
@pytest.mark.parametrize("archive", ["quality", "diversity"])
def test_few_members(class_predictions, definition, n_members, archive):
    P, y, _ = class_predictions(n_members=n_members)
    for crossover in population.CROSSOVERS:
        found = population.search(
            QuickScores("log_loss", P, y),
            descriptors_of(P, y),
            [0],
            archive=archive,
            crossover=crossover,
            definition=definition,
        )
        assert found.n_evaluations == (1 if n_members == 1 else 50 * n_members)
        assert found.counts.shape == (n_members,)


def test_a_budget_of_the_members_alone(class_predictions):
    P, y, _ = class_predictions(n_members=4)
    scores = Scores("brier", P, y)
    for definition in ("corrected", "published"):
        found = population.search(
            scores, descriptors_of(P, y), n_evaluations=4, definition=definition
        )
        assert found.n_evaluations == 4
    with pytest.raises(ValueError, match="n_evaluations=3 is less than the 4 distinct"):
        population.search(scores, descriptors_of(P, y), n_evaluations=3)


# Descriptors.
def test_loss_correlation_is_numpys():
    rng = np.random.default_rng(0)
    P, y = rng.random((9000, 5)), rng.integers(0, 2, 9000)
    P[:, 3] = 0.25 * y  # constant error of class 0 only
    P[:, 4] = 1.0 - 0.5 * y
    weight = rng.integers(0, 3, 9000).astype(float)
    true_class = np.where(y[:, None] == 1, P, 1.0 - P)
    expected = np.abs(np.corrcoef(np.repeat(1 - true_class, weight.astype(int), 0).T))
    found = loss_correlation(P, 2.0 * y - 1.0, 1.0 - y, weight)
    assert_allclose(found, expected, atol=1e-10)
    assert found.max() <= 1.0


def test_constant_errors_correlate_with_nothing():
    y = np.arange(6.0)
    P = np.column_stack([y + 0.1, y**2, -y])
    found = loss_correlation(P, np.ones(6), -y, np.ones(6))
    assert_array_equal(found[0], [0.0, 0.0, 0.0])
    assert_allclose(found[1, 1], 1.0)


def test_gower_similarity():
    configurations = [
        {"depth": 2, "kind": "tree", "bins": 255},
        {"depth": 6, "kind": "tree", "bins": 255},
        {"depth": 4, "kind": "forest"},
        {"alpha": 1.0, "depth": float("nan"), "kind": None},
    ]
    expected = [
        [1.0, 2 / 3, 0.25, 0.0],
        [2 / 3, 1.0, 0.25, 0.0],
        [0.25, 0.25, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
    assert_allclose(configuration_similarity(configurations, 4), expected)
    names = ("depth", "kind", "bins", "alpha")
    columns = {name: [row.get(name) for row in configurations] for name in names}
    assert_allclose(configuration_similarity(columns, 4), expected)


def test_gower_of_flags_lists_and_frames():
    pandas = pytest.importorskip("pandas")
    rows = [{"flag": True, "layers": (8, 4)}, {"flag": False, "layers": (8, 4)}]
    for configurations in (rows, pandas.DataFrame(rows)):
        found = configuration_similarity(configurations, 2)
        assert_array_equal(found, [[1.0, 0.5], [0.5, 1.0]])


def test_gower_refuses():
    with pytest.raises(
        ValueError, match="those of 2 members; expected one for each of"
    ):
        configuration_similarity([{}, {}], 3)
    with pytest.raises(ValueError, match="holds a int; expected one dict"):
        configuration_similarity([1, 2], 2)
