"""Slow, obvious twins of the kernels, written from the papers with plain numpy."""

import math
import warnings
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from scipy.optimize import linprog
from sklearn.metrics import log_loss, mean_squared_error, zero_one_loss


# Quadratic programs on the simplex.
def simplex_qp_objective(H, c, weights):
    return 0.5 * weights @ H @ weights - c @ weights


def frank_wolfe_gap(H, c, weights):
    gradient = H @ weights - c
    return gradient @ weights - gradient.min()


def simplex_qp_exhaustive(H, c):
    """Solve the KKT system of every support (m <= 10); keep the best feasible point."""
    m = len(c)
    supports = chain.from_iterable(combinations(range(m), k + 1) for k in range(m))
    points = [_stationary_point(H, c, list(support)) for support in supports]
    feasible = [point for point in points if point.min() >= 0.0]
    return min(feasible, key=lambda point: simplex_qp_objective(H, c, point))


def _stationary_point(H, c, support):
    k = len(support)
    kkt = np.ones((k + 1, k + 1))
    kkt[:k, :k] = H[np.ix_(support, support)]
    kkt[k, k] = 0.0
    point = np.zeros(len(c))
    point[support] = np.linalg.lstsq(kkt, np.append(c[support], 1.0))[0][:k]
    return point


def simplex_qp_cvxpy(H, c, tol=1e-8):
    import cvxpy as cp

    w = cp.Variable(len(c))
    objective = cp.Minimize(0.5 * cp.quad_form(w, cp.psd_wrap(H)) - c @ w)
    cp.Problem(objective, [w >= 0, cp.sum(w) == 1]).solve(
        solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol
    )
    return np.maximum(w.value, 0.0) / np.maximum(w.value, 0.0).sum()


# Squared error and the Brier score.
def cube(P, n_outputs=1):
    """Split member-major columns: (n_members, n_samples, n_outputs)."""
    return np.asarray(P, float).reshape(len(P), -1, n_outputs).transpose(1, 0, 2)


def residual_gram(P, target, weight=None, n_outputs=1):
    residuals = cube(P, n_outputs) - np.reshape(target, (len(P), n_outputs))
    weight = np.ones(len(P)) if weight is None else weight
    return np.einsum("ank,bnk,n->ab", residuals, residuals, weight) / np.sum(weight)


def mixture_error(P, target, weight, weights, n_outputs=1):
    """Weighted mean over rows of the squared error, summed over the outputs."""
    mixture = np.tensordot(weights, cube(P, n_outputs), 1)
    squares = (mixture - np.reshape(target, mixture.shape)) ** 2
    return np.average(squares.sum(axis=1), weights=weight)


# Least squares on members that are all kept.
def least_squares(
    P, y, weight, strength=0.0, centre=0.0, intercept=False, sum_to_one=True
):
    """Least sum s (P w + b - y)^2 + strength ||w - centre||^2: w and b."""
    n, k = P.shape
    columns = np.column_stack([P, np.ones((n, int(intercept)))])
    member = (np.arange(columns.shape[1]) < k).astype(float)
    H = columns.T @ (weight[:, None] * columns) + np.diag(strength * member)
    c = columns.T @ (weight * y) + strength * centre * member
    if sum_to_one:
        H = np.block([[H, member[:, None]], [member, np.zeros(1)]])
        c = np.append(c, 1.0)
    x = np.linalg.lstsq(H, c)[0]
    return x[:k], x[k] if intercept else 0.0


def leave_one_out(P, y, weight, **options):
    """Predict each row by least squares on the others."""
    predictions = np.empty(len(y))
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        w, b = least_squares(P[rest], y[rest], weight[rest], **options)
        predictions[i] = P[i] @ w + b
    return predictions


def huber(residuals, delta):
    size = np.abs(residuals)
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


def pinball_program(P, y, weight, level, sum_to_one=True):
    """Least mean pinball loss of non-negative weights and an intercept, by HiGHS."""
    n, m = P.shape
    # y - P w - b = over - under, both >= 0
    columns = np.hstack([P, np.ones((n, 1)), np.eye(n), -np.eye(n)])
    share = weight / weight.sum()
    price = np.concatenate([np.zeros(m + 1), level * share, (1 - level) * share])
    target = y
    if sum_to_one:
        columns = np.vstack([columns, np.arange(m + 1 + 2 * n) < m])
        target = np.append(y, 1.0)
    bounds = [(0, None)] * m + [(None, None)] + [(0, None)] * (2 * n)
    return linprog(price, A_eq=columns, b_eq=target, bounds=bounds).fun


def correlation(a, b, weight):
    """Weighted correlation; numpy's corrcoef for equal weights."""
    return np.cov(a, b, aweights=weight)[0, 1] / np.sqrt(
        np.cov(a, aweights=weight) * np.cov(b, aweights=weight)
    )


# Log loss of the linear pool.
def true_class_cube(P, y, n_classes):
    """Probability each member gives to the true class, (n_samples, n_members)."""
    outputs = cube(P, 1 if n_classes == 2 else n_classes)
    if n_classes == 2:
        outputs = np.concatenate([1.0 - outputs, outputs], axis=2)
    return np.array([[member[i, y[i]] for member in outputs] for i in range(len(y))])


def true_class(base, sign, offset):
    """Probability each member gives to the true class, (n_samples, n_members)."""
    return offset[:, None] + sign[:, None] * np.asarray(base, float)


def log_loss_pool(A, weight, weights):
    return np.average(-np.log(A @ weights), weights=weight)


def log_loss_pool_em(A, weight, n_steps=5000):
    """Expectation-maximisation for mixture proportions, started at uniform."""
    share = weight / weight.sum()
    weights = np.full(A.shape[1], 1.0 / A.shape[1])
    for _ in range(n_steps):
        weights = weights * ((share / (A @ weights)) @ A)
    return weights


# Convex weights: any loss, any penalty, any convex set.
@dataclass
class ConvexProblem:
    """Minimise sum_i share_i loss(M_i w + b - target_i) + penalties over w (and b).

    The parameters are those of ConvexRegressor and ConvexClassifier. For log loss M is
    the probability of the true class and target is 0.
    """

    loss: str
    P: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    delta: float = 1.0
    level: float = 0.5
    ridge: float = 0.0
    own_error: float = 0.0
    cost: np.ndarray | None = None
    fit_intercept: bool = False

    def __post_init__(self):
        self.share = self.weight / self.weight.sum()
        self.M, self.target = np.asarray(self.P, float), self.y
        if self.loss == "log_loss":
            self.M, self.target = true_class_columns(self.P, self.y), 0.0 * self.y
        if self.loss == "brier":
            n_outputs = self.y.max() + 1 if self.y.max() > 1 else 1
            self.M = cube(self.P, n_outputs).reshape(-1, self.y.size * n_outputs).T
            self.target = (
                self.y if n_outputs == 1 else np.eye(n_outputs)[self.y].ravel()
            )
            self.share = np.repeat(self.share, n_outputs)
        self.n_members = self.M.shape[1]

    def mean_loss(self, z):
        size = np.abs(z)
        if self.loss == "log_loss":
            return -self.share @ np.log(z)
        if self.loss == "huber":
            linear = self.delta * (size - self.delta / 2)
            return self.share @ np.where(size <= self.delta, z**2 / 2, linear)
        if self.loss == "pinball":
            return self.share @ np.where(
                z < 0, self.level * size, (1 - self.level) * size
            )
        return self.share @ (size if self.loss == "absolute_error" else z**2)

    def own_losses(self):
        residuals = self.M - self.target[:, None]
        if self.fit_intercept:
            residuals = residuals - self.share @ residuals
        if self.loss == "log_loss":
            residuals = np.maximum(residuals, np.finfo(float).eps)
        return np.array([self.mean_loss(column) for column in residuals.T])

    def penalties(self):
        """Strength of the squared distance from uniform, and price of each weight."""
        own = self.own_losses()
        strength = self.ridge * (0.5 if self.loss == "log_loss" else own.min())
        cost = 0.0 if self.cost is None else self.cost
        return strength, self.own_error * own + own.min() * cost

    def value(self, w, b=0.0):
        strength, price = self.penalties()
        distance = np.sum((w - 1 / self.n_members) ** 2)
        loss = self.mean_loss(self.M @ w + b - self.target)
        return loss + strength * distance + price @ w

    def solve_cvxpy(self, rules=None, tol=1e-12):
        """Return w and b; rules : w -> constraints, by default those of a simplex."""
        import cvxpy as cp

        w, b = cp.Variable(self.n_members), cp.Variable()
        z = self.M @ w + b - self.target
        losses = {
            "squared_error": cp.square,
            "brier": cp.square,
            "huber": lambda z: cp.huber(z, self.delta) / 2,
            "absolute_error": cp.abs,
            "pinball": lambda z: cp.maximum(-self.level * z, (1 - self.level) * z),
            "log_loss": lambda z: -cp.log(z),
        }
        strength, price = self.penalties()
        distance = cp.sum_squares(w - 1 / self.n_members)
        objective = self.share @ losses[self.loss](z) + strength * distance + price @ w
        constraints = [w >= 0, cp.sum(w) == 1] if rules is None else rules(w)
        if not self.fit_intercept:
            constraints = [*constraints, b == 0]
        with warnings.catch_warnings():
            # Near the machine epsilon it calls an answer inaccurate that is not.
            warnings.simplefilter("ignore", UserWarning)
            cp.Problem(cp.Minimize(objective), constraints).solve(
                solver=cp.CLARABEL, tol_gap_abs=tol, tol_gap_rel=tol, tol_feas=tol
            )
        return w.value, float(b.value)

    def solve_linprog(self):
        """Return w of absolute error or pinball on the simplex, without penalties."""
        n, m = self.M.shape
        up, down = self.level, 1 - self.level
        if self.loss == "absolute_error":
            up, down = 1.0, 1.0
        equations = np.zeros((n + 1, m + 2 * n))
        equations[:n] = np.hstack([self.M, np.eye(n), -np.eye(n)])
        equations[n, :m] = 1.0
        price = np.concatenate([np.zeros(m), up * self.share, down * self.share])
        return linprog(price, A_eq=equations, b_eq=np.append(self.target, 1.0)).x[:m]


def true_class_columns(P, y):
    """Probability each member gives to the true class, (n_samples, n_members)."""
    members = cube(P, y.max() + 1 if y.max() > 1 else 1)
    if members.shape[2] == 1:
        members = np.concatenate([1.0 - members, members], axis=2)
    return members[:, np.arange(len(y)), y].T


def onto_simplex(w):
    """Take off the last digits that an interior-point method leaves."""
    return np.maximum(w, 0.0) / np.maximum(w, 0.0).sum()


# Greedy selection with replacement (Caruana et al., ICML 2004).
def greedy(members, loss, n_rounds):
    """Add the member whose inclusion gives the lowest loss of the mean prediction."""
    picks, path = [], []
    while len(picks) < n_rounds and 0.0 not in path:
        mixtures = [
            np.mean([members[pick] for pick in [*picks, j]], axis=0)
            for j in range(len(members))
        ]
        losses = np.array([loss(mixture) for mixture in mixtures])
        tied = np.flatnonzero(losses <= losses.min() + 1e-12 * abs(losses.min()))
        picks.append(int(tied[0]))
        path.append(losses[tied[0]])
    return np.array(picks), np.array(path)


def greedy_squared_error(P, y, weight, n_rounds):
    def loss(mean):
        return mean_squared_error(y, mean, sample_weight=weight)

    return greedy(list(np.transpose(P)), loss, n_rounds)


def greedy_log_loss(P, y, weight, n_classes, n_rounds):
    def loss(mean):
        columns = mean if n_classes > 2 else np.column_stack([1.0 - mean, mean])
        return log_loss(y, columns, sample_weight=weight, labels=np.arange(n_classes))

    return greedy(_members(P, n_classes), loss, n_rounds)


def greedy_zero_one(P, y, weight, n_classes, n_rounds):
    def loss(mean):
        labels = mean.argmax(axis=1) if n_classes > 2 else (mean > 0.5).astype(int)
        return zero_one_loss(y, labels, sample_weight=weight)

    return greedy(_members(P, n_classes), loss, n_rounds)


def _members(P, n_classes):
    return list(cube(P, n_classes)) if n_classes > 2 else list(np.transpose(P))


# CRPS of a linear pool: each member gives d atoms of the probabilities `masses`.
def pool_gram(P, y, weight, masses):
    """H_jk = (a_j + a_k - D_jk) / 2, a_j = E|X_j - y|, D_jk = E|X_j - X_k|."""
    atoms, m = cube(P, len(masses)), P.shape[1] // len(masses)
    weight = np.ones(len(y)) if weight is None else weight
    gram = np.zeros((m, m))
    for i in range(len(y)):
        a = [_mean_distance(atoms[j, i], [y[i]], masses, [1.0]) for j in range(m)]
        for j in range(m):
            for k in range(m):
                D = _mean_distance(atoms[j, i], atoms[k, i], masses, masses)
                gram[j, k] += weight[i] * (a[j] + a[k] - D) / 2
    return gram / np.sum(weight)


def _mean_distance(X, Z, x_masses, z_masses):
    return sum(
        p * q * abs(x - z)
        for x, p in zip(X, x_masses, strict=True)
        for z, q in zip(Z, z_masses, strict=True)
    )


def pool_crps(P, y, weight, weights, masses):
    """Mean over rows of the integral of (F_w(z) - 1{y <= z})^2, step by step."""
    points = np.column_stack([np.asarray(P, float), y])
    jumps = np.append(np.outer(weights, masses).ravel(), -1.0)
    order = np.argsort(points, axis=1)
    steps = np.cumsum(jumps[order], axis=1)[:, :-1]
    widths = np.diff(np.take_along_axis(points, order, axis=1), axis=1)
    return np.average((steps**2 * widths).sum(axis=1), weights=weight)


def pool_objective(P, y, weight, weights, masses, ridge):
    """CRPS + ridge * (CRPS of the best member) * ||w - 1/m||^2."""
    vertices = np.eye(len(weights))
    best = min(pool_crps(P, y, weight, vertex, masses) for vertex in vertices)
    penalty = ridge * best * np.sum((weights - 1 / len(weights)) ** 2)
    return pool_crps(P, y, weight, weights, masses) + penalty


def pool_quantiles(P, weights, masses, levels):
    """The smallest atom z of each row with F_w(z) >= level."""
    mass = np.outer(weights, masses).ravel()
    quantiles = np.empty((len(P), len(levels)))
    for i, row in enumerate(np.asarray(P, float)):
        for q, level in enumerate(levels):
            quantiles[i, q] = min(
                z
                for z, own in zip(row, mass, strict=True)
                if own > 0 and math.fsum(mass[row <= z]) >= level - 1e-12
            )
    return quantiles


# Linear stacking of values toward the convex mixture.
@dataclass(frozen=True)
class LinearStack:
    """The documented objective, row by row.

    convex : weights that an infinite ridge leads to; level, spread : of y, the units
    """

    P: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    convex: np.ndarray
    ridge: float
    level: float
    spread: float

    @property
    def penalty(self):
        m = self.P.shape[1]
        return self.ridge * np.append(np.full(m, self.spread * m), 1.0)

    def residual(self, theta):
        return self.y - self.level - (self.P - self.level) @ theta[:-1] - theta[-1]

    def squared(self):
        """Solve the normal equations: weights, then intercept at the level."""
        share = self.weight / self.weight.sum()
        design = np.column_stack([self.P - self.level, np.ones(len(self.y))])
        start = np.append(self.convex, 0.0)
        gram = design.T @ (share[:, None] * design) + np.diag(self.penalty)
        return start + np.linalg.solve(gram, design.T @ (share * self.residual(start)))

    def huber_objective(self, theta, delta):
        share = self.weight / self.weight.sum()
        size = np.abs(self.residual(theta))
        loss = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
        away = theta - np.append(self.convex, 0.0)
        return share @ loss + 0.5 * self.penalty @ away**2

    def huber_gradient(self, theta, delta):
        share = self.weight / self.weight.sum()
        slope = share * np.clip(self.residual(theta), -delta, delta)
        away = theta - np.append(self.convex, 0.0)
        pulls = np.append((self.P - self.level).T @ slope, slope.sum())
        return self.penalty * away - pulls

    def intercept(self, theta):
        return theta[-1] + self.level * (1.0 - theta[:-1].sum())


def one_standard_error(ridges, losses, sizes):
    """Choose the largest ridge whose folds are no more than one s.e. worse.

    losses : (n_folds, n_ridges); ridges descend
    """
    share, n_folds = np.array(sizes) / np.sum(sizes), len(sizes)
    means = [np.sum(share * column) for column in losses.T]
    best = min(means)
    for ridge, mean, column in zip(ridges, means, losses.T, strict=True):
        worse = column - losses[:, means.index(best)]
        spread = np.sum((share * (worse - (mean - best))) ** 2)
        if mean <= best + math.sqrt(spread * n_folds / (n_folds - 1)):
            return ridge
    raise AssertionError
