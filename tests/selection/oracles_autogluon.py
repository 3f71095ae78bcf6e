"""AutoGluon's EnsembleSelection, written out from its published rules, pick by pick.

autogluon_paths.npz keeps what `select` gives for 500 libraries of each loss, so that no
change here or in NumPy goes unseen. It is written again by
``python -m tests.selection.oracles_autogluon``.
"""

from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss as sklearn_log_loss

LOSSES = ("log_loss", "auc", "zero_one", "squared_error")
STORED = Path(__file__).with_name("autogluon_paths.npz")
N_LIBRARIES, N_ROUNDS = 500, 25
VARIANTS = (
    "plain",
    "single",
    "rounded",
    "doubled",
    "constant",
    "certain",
    "one",
    "few",
)


def make_library(loss, seed):
    """Members, y, and their description: the variants cycle with the seed."""
    rng = np.random.default_rng([seed, LOSSES.index(loss)])
    variant = VARIANTS[seed % len(VARIANTS)]
    n, m = int(rng.integers(20, 300)), int(rng.integers(2, 14))
    n_classes = 2
    if loss in ("log_loss", "zero_one") and rng.random() < 0.5:
        n_classes = int(rng.integers(3, 6))
    n = 7 if variant == "few" else n
    m = 1 if variant == "one" else m
    if loss == "squared_error":
        y = rng.normal(size=n)
        members = [y + rng.normal(0, rng.uniform(0.3, 1.5), n) for _ in range(m)]
        if variant == "certain":
            members = [y + 1e-6 * (p - y) for p in members]
    else:
        y = np.r_[np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)]
        truth = (y[:, None] == np.arange(n_classes)) * 2.0
        members = []
        for _ in range(m):
            logits = rng.uniform(0.3, 1.5) * truth + rng.normal(size=(n, n_classes))
            logits *= 30.0 if variant == "certain" else 1.0
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            members.append(p[:, 1].copy() if n_classes == 2 else p)
    if variant == "rounded":
        if n_classes > 2:  # shares of 20: they sum to 1
            members = [rng.multinomial(20, p) / 20.0 for p in members]
        else:
            members = [np.round(p, 2) for p in members]
    if variant == "doubled":
        members = [p.copy() for p in members for _ in range(2)]
    if variant == "constant":
        members[-1] = np.full_like(members[-1], 1.0 / n_classes)
    if variant == "single":
        members = [p.astype(np.float32) for p in members]
    return members, y, loss


def error(y, mixture, loss):
    """0 minus the score, or 1 minus it: 0 is perfect."""
    if loss == "squared_error":
        return np.sqrt(((y - mixture) ** 2).mean())
    if loss == "zero_one":
        labels = (mixture > 0.5) * 1 if mixture.ndim == 1 else np.argmax(mixture, 1)
        return 1 - np.average(y == labels)
    if loss == "log_loss":
        return log_loss(y, mixture)
    return 1 - area(y, mixture)


def log_loss(y, mixture):
    if mixture.ndim == 1:
        p = np.clip(mixture, 1e-15, 1 - 1e-15)
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    eps = np.finfo(mixture.dtype).eps
    p = np.clip(mixture, eps, 1 - eps)
    return np.average(-np.log(p)[np.arange(len(y)), y])


def area(y, score):
    order = np.argsort(score, kind="mergesort")[::-1]
    score, y = score[order], y[order]
    ends = np.r_[np.where(np.diff(score))[0], len(y) - 1]
    tps = np.cumsum(y)[ends]
    fps = 1 + ends - tps
    tps, fps = np.r_[0, tps], np.r_[0, fps]
    return np.trapezoid(tps / tps[-1], fps / fps[-1])


def select(members, y, loss, ensemble_size, tie_breaker="random"):
    """Picks, the path of rounded errors, and a draw of the random stream after it."""
    state = np.random.RandomState(0)
    ensemble = np.zeros(members[0].shape)
    picks, path, used, rounding = [], [], set(), False
    for i in range(ensemble_size):
        s = len(picks)
        weighted = np.zeros(members[0].shape)
        if s > 0:
            ensemble *= (s - 1) / s
            ensemble += members[picks[-1]] / s
            weighted = (s / float(s + 1)) * ensemble
        scores = np.zeros(len(members))
        for j, p in enumerate(members):
            candidate = weighted + (1.0 / float(s + 1)) * p
            if candidate.ndim > 1:
                candidate /= candidate.sum(axis=1)[:, np.newaxis]
            scores[j] = error(y, candidate, loss)
            if rounding:
                scores[j] = np.round(scores[j], 6)
        best = np.flatnonzero(np.isclose(scores, np.nanmin(scores), 1e-12, 0))
        if len(best) > 1 and used & set(best):
            best = np.array([j for j in best if j in used])
        by_log_loss = tie_breaker == "second_metric" and loss != "squared_error"
        if len(best) > 1 and by_log_loss:
            seconds = [
                log_loss(y, weighted + (1.0 / float(s + 1)) * members[j]) for j in best
            ]
            best = best[np.isclose(seconds, np.nanmin(seconds), 1e-12, 0)]
        b = state.choice(best)
        score = scores[b]
        if i == 0 and abs(score) > 1e-4:
            rounding = True
            score = np.round(score, 6)
        picks.append(int(b))
        path.append(score)
        used.add(b)
        if len(members) == 1:
            break
    size = path.index(min(path)) + 1
    return picks[:size], path[:size], state.randint(1 << 30)


def check_log_loss():
    """The formula above against scikit-learn's."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 50)
    y = rng.integers(0, 3, 50)
    return log_loss(y, p) - sklearn_log_loss(y, p, labels=[0, 1, 2])


def store():
    """Write the paths of all libraries.

    For each loss: picks (500, 25), filled up with -1; paths (500, 25), with NaN; draws
    (500,), an integer below 2**30 drawn from the random stream after the last round.
    """
    arrays = {}
    for loss in LOSSES:
        picks = np.full((N_LIBRARIES, N_ROUNDS), -1, np.int16)
        paths = np.full((N_LIBRARIES, N_ROUNDS), np.nan)
        draws = np.empty(N_LIBRARIES, np.int32)
        for seed in range(N_LIBRARIES):
            own, path, draws[seed] = select(*make_library(loss, seed), N_ROUNDS)
            picks[seed, : len(own)], paths[seed, : len(own)] = own, path
        arrays |= {f"{loss}_picks": picks, f"{loss}_paths": paths}
        arrays[f"{loss}_draws"] = draws
    np.savez_compressed(STORED, **arrays)


def load(loss):
    """Return picks, paths and draws as `store` wrote them."""
    with np.load(STORED, allow_pickle=False) as arrays:
        return tuple(arrays[f"{loss}_{part}"] for part in ("picks", "paths", "draws"))


if __name__ == "__main__":
    store()
