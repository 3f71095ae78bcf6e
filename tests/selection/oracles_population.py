"""A slow, obvious population search: tuples, sets and dicts, from the definition.

It reads the same uniform numbers at the same positions as the kernel, so that the two
have to agree in every proposal. Keyword arguments: archive "quality" or "diversity",
elite "dynamic", "deterministic" or "tournament", crossover "average" or "two_point",
moves "add" or "all", published.
"""

import math
from itertools import combinations

import numpy as np

N_TRIALS, MUTATIONS = 8, 8
TICKETS = MUTATIONS + 2 * (N_TRIALS + 1)


def reduced(counts):
    return tuple(c // math.gcd(*counts) for c in counts)


def average(first, second):
    return tuple(math.ceil((a + b) / 2) for a, b in zip(first, second, strict=True))


def two_point(first, second, draw, published=False):
    """Return the two children, or None where there is no slice to exchange."""
    union = [j for j, (a, b) in enumerate(zip(first, second, strict=True)) if a + b]
    u = len(union)
    if u < (3 if published else 2):
        return None
    slices = list(combinations(range(u if published else u + 1), 2))
    if not published:
        slices.remove((0, u))
    begin, end = slices[int(draw * len(slices))]
    inside = set(union[begin:end])
    one = tuple(second[j] if j in inside else first[j] for j in range(len(first)))
    two = tuple(first[j] if j in inside else second[j] for j in range(len(first)))
    return one, two


class Population:
    def __init__(self, m, traits, highest, **rules):
        self.m, self.traits, self.rules = m, traits, rules
        self.bounds = [np.linspace(0, top, 8) for top in highest]
        self.log, self.archive, self.seen = [], {}, set()
        self.told, self.remapped = [], False
        self.chances = {"cross": 0.5, "mutate": 0.5, "random": 0.5}
        self.batches, self.rejected = [], 0

    # What is evaluated.
    def admit(self, batch):
        new = []
        for counts in batch:
            new.append(reduced(counts) not in self.seen)
            self.seen.add(reduced(counts))
        return new

    def enter(self, batch, losses, archived=True):
        for counts, loss in zip(batch, losses, strict=True):
            self.offer(counts, loss, archived)

    def offer(self, counts, loss, archived=True):
        members = [j for j, c in enumerate(counts) if c]
        self.log.append((counts, loss, [self.describe(members, t) for t in (0, 1)]))
        if not archived:
            return False
        s = len(self.log) - 1
        self.told.append(s)
        if self.rules["archive"] == "quality":
            return self.replace_worst(s)
        entered = self.place(s)
        if len(self.told) % (self.m if self.remapped else self.m + 40) == 0:
            self.remap()
        return entered

    def describe(self, members, axis):
        matrix = self.traits[axis]
        if matrix is None:
            return len(members)
        if len(members) == 1:
            return 1.0
        return np.mean([matrix[i][j] for i, j in combinations(members, 2)])

    def loss(self, s):
        return self.log[s][1]

    def replace_worst(self, s):
        if len(self.archive) < 49:
            self.archive[len(self.archive)] = s
            return True
        worst = max(range(49), key=lambda cell: self.loss(self.archive[cell]))
        if self.loss(s) < self.loss(self.archive[worst]):
            self.archive[worst] = s
            return True
        return False

    def place(self, s):
        cell = 0
        for value, bounds in zip(self.log[s][2], self.bounds, strict=True):
            value = np.clip(value + 1e-6, bounds[0], bounds[-1] - 1e-6)
            cell = 7 * cell + max(0, np.searchsorted(bounds[:7], value) - 1)
        if cell in self.archive and self.loss(s) >= self.loss(self.archive[cell]):
            return False
        self.archive[cell] = s
        return True

    def remap(self):
        self.remapped, n = True, len(self.told)
        for axis in (0, 1):
            values = sorted(self.log[s][2][axis] for s in self.told)
            self.bounds[axis] = np.array(
                [values[int(q * n / 7)] for q in range(7)] + [values[-1]], float
            )
        old, self.archive = self.archive, {}
        for cell in sorted(old):
            self.place(old[cell])
        for s in self.told:
            self.place(s)

    # What is proposed.
    def ask(self, draws, n_wanted, batch, origin):
        elites = [self.archive[cell] for cell in sorted(self.archive)]
        elites.sort(key=self.loss)
        self.wanted = n_wanted
        for draw in draws:
            if len(batch) < n_wanted:
                self.propose([self.log[s][0] for s in elites], draw, batch, origin)

    def propose(self, elites, draw, batch, origin):
        crossing = len(elites) > 1 and draw[0] < self.chances["cross"]
        parents, n_random, n_best = self.choose(elites, 1 + crossing, draw)
        if not crossing:
            child = self.mutate(parents[0], draw[MUTATIONS:])
            self.accept(child, (0, -1, n_random, n_best), batch, origin)
            return
        for position, child in enumerate(self.cross(*parents, draw[5])):
            if sum(child) == 0:
                continue
            mutated = self.rejected >= 50 or draw[6 + position] < self.chances["mutate"]
            if mutated:
                child = self.mutate(child, draw[MUTATIONS + 9 * position :])
            elif reduced(child) in self.seen:
                self.rejected += 1
                continue
            self.accept(child, (1, int(mutated), n_random, n_best), batch, origin)

    def accept(self, child, source, batch, origin):
        if len(batch) < self.wanted:
            self.seen.add(reduced(child))
            batch.append(child)
            origin.append(source)

    def choose(self, elites, n_parents, draw):
        if self.rules["elite"] == "deterministic":
            return elites[:n_parents], 0, 0
        if self.rules["elite"] == "tournament":
            return self.tournament(elites, n_parents, draw[TICKETS:]), 0, 0
        parents, n_random = [], 0
        for p in range(n_parents):
            if draw[1 + 2 * p] < self.chances["random"]:
                parents.append(elites[int(draw[2 + 2 * p] * len(elites))])
                n_random += 1
            else:
                parents.append(elites[0])
        return parents, n_random, n_parents - n_random

    def tournament(self, elites, n_parents, draw):
        ranks, drawn = list(range(len(elites))), []
        for t in range(min(10 * n_parents, len(elites))):
            other = t + int(draw[t] * (len(elites) - t))
            ranks[t], ranks[other] = ranks[other], ranks[t]
            drawn.append(ranks[t])
        drawn.sort()
        winners = []
        for p in range(n_parents):
            shares = np.cumsum(0.8 * 0.2 ** np.arange(len(drawn)))
            place = int(np.searchsorted(shares / shares[-1], draw[20 + p], "right"))
            winners.append(drawn.pop(min(place, len(drawn) - 1)))
        return [elites[rank] for rank in winners]

    def cross(self, first, second, draw):
        children = None
        if self.rules["crossover"] == "two_point":
            children = two_point(first, second, draw, self.rules["published"])
        return children or [average(first, second)]

    def changed(self, counts, *steps):
        """Return the vector after (member, step) pairs, or None if it is not new."""
        changed = list(counts)
        for j, step in steps:
            changed[j] += step
        return None if reduced(changed) in self.seen else tuple(changed)

    def mutate(self, counts, draw):
        move = int(draw[0] * 3) if self.rules["moves"] == "all" else 0
        draw, child = draw[1 : 1 + N_TRIALS], None
        members = [j for j, c in enumerate(counts) if c]
        if move == 1 and sum(counts) > 1:
            for number in draw:
                j = members[int(number * len(members))]
                child = child or self.changed(counts, (j, -1))
        if move == 2 and members:
            for out, into in zip(draw[::2], draw[1::2], strict=True):
                out, into = members[int(out * len(members))], int(into * self.m)
                if out != into:
                    child = child or self.changed(counts, (out, -1), (into, 1))
        return child or self.add(counts, draw)

    def add(self, counts, draw):
        for number in draw:
            j = int(number * self.m)
            child = self.changed(counts, (j, 1))
            if child:
                return child
        step = 1
        while True:
            for t in range(self.m):
                child = self.changed(counts, ((j + t) % self.m, step))
                if child:
                    return child
            step += 2

    # What is learned.
    def tell(self, batch, losses, origin):
        rows = []
        for counts, loss, source in zip(batch, losses, origin, strict=True):
            rows.append((*source, loss, self.offer(counts, loss)))
        self.batches.append(rows)
        self.rejected = 0
        rows = [row for batch in self.batches[-10:] for row in batch]
        crossed = [row for row in rows if row[0]]
        self.adapt("cross", crossed, [row for row in rows if not row[0]])
        self.adapt(
            "mutate", [r for r in crossed if r[1]], [r for r in crossed if not r[1]]
        )
        self.adapt(
            "random",
            [row for row in rows for _ in range(row[2])],
            [row for row in rows for _ in range(row[3])],
        )

    def adapt(self, chance, one, other):
        if self.rules["published"]:
            if min(len(one), len(other)) <= 2:
                return
            first = np.mean([row[4] for row in one])
            value = 1 - first / (first + np.mean([row[4] for row in other]))
        else:
            first, second = (
                (sum(row[5] for row in arm) + 1) / (len(arm) + 2)
                for arm in (one, other)
            )
            value = first / (first + second)
        margin = 0.05 if chance == "random" else 0.1
        self.chances[chance] = min(max(value, margin), 1 - margin)
