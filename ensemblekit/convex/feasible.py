"""The sets that weights may come from, each known by two questions.

``minimise(H, c)`` answers with the point of least 1/2 x'Hx - c'x, ``vertex(g)`` with
the point of least g'x: the first takes a step, the second proves how far it can still
go. A loss asks nothing else, so that every loss meets every set.

x holds the weights, then the intercept if there is one, then sum w - 1 if it is free.
"""

import math
from collections.abc import Callable

import numpy as np

from .. import kernels

EPS = np.finfo(np.float64).eps
# Share of the way to an artificial border from which on it counts as reached: what is
# further inside is not held back by it, however roughly it was found.
_NEAR = 0.75


class Infeasible(ValueError):
    """No weights meet all constraints."""


class Polytope:
    """A bounded set, given by its `vertex`."""

    n_columns: int
    vertex: Callable[[np.ndarray], np.ndarray]
    tolerance = 0.0
    """Relative error that the set itself adds to a certificate."""
    span: np.ndarray | None = None
    """Directions that never leave the set, for a set without borders."""

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Return the point of least 1/2 x'Hx - c'x, and the iterations it took.

        enough : distance to the minimum that will do
        """
        start = self.vertex(0.5 * H.diagonal() - c)
        # Ill-conditioned programs may crawl; a certificate tells if that was too few.
        limit = min(max_iter, 200 + 20 * self.n_columns)
        return kernels.polytope.minimise(
            self.vertex, H, c, start, max_iter=limit, enough=enough
        )

    def touches(self, x):
        """Return whether x comes near a border that only keeps the set bounded."""
        return False

    def gap(self, g, x, H=None):
        """Return the most that a function of slope g at x can fall inside the set."""
        return max(float(g @ (x - self.vertex(g))), 0.0)

    def start(self):
        """Return a point to start from, away from the border where that is easy."""
        return self.vertex(np.zeros(self.n_columns))


class Simplex(Polytope):
    """w >= 0, sum w = 1."""

    def __init__(self, n_columns):
        self.n_columns = n_columns

    def vertex(self, g):
        """Return the best single member; the first of equals."""
        return _unit(self.n_columns, int(np.argmin(g)))

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Solve by Wolfe's active set."""
        x, _, n_iter = kernels.simplex_qp.solve(H, c, max_iter=max_iter)
        return x, n_iter

    def gap(self, g, x, H=None):
        """Return g'x - min g as a sum of terms >= 0: nothing cancels."""
        return max(float((g - g.min()) @ x), 0.0)

    def start(self):
        """Return equal weights."""
        return np.full(self.n_columns, 1.0 / self.n_columns)


class CappedSimplex(Polytope):
    """lower <= w <= upper, sum w = 1, and caps on the sums of disjoint groups."""

    def __init__(self, upper, lower=0.0, group=None, room=None):
        self.n_columns = len(upper)
        self.lower = np.full(self.n_columns, float(lower))
        self.upper = np.maximum(upper, self.lower)
        self.group = np.full(self.n_columns, -1) if group is None else group
        self.room = np.empty(0) if room is None else room

    def vertex(self, g):
        """Fill the cheapest members up to their caps."""
        order = np.argsort(g, kind="stable")
        return kernels.polytope.fill_lowest(
            order, self.lower, self.upper, self.group, self.room, 1.0
        )

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Solve on the simplex where floors are all that bounds the weights."""
        scale = 1.0 - self.lower.sum()
        if len(self.room) or (self.upper < scale + self.lower).any() or scale < 1e-9:
            return super().minimise(H, c, max_iter, enough)
        # w = lower + scale v, v on the simplex.
        v, _, n_iter = kernels.simplex_qp.solve(
            scale * H, c - H @ self.lower, max_iter=max_iter
        )
        return self.lower + scale * v, n_iter

    def largest_sum(self):
        """Return the sum that the weights can reach at most."""
        return kernels.polytope.fill_lowest(
            np.arange(self.n_columns),
            self.lower,
            self.upper,
            self.group,
            self.room,
            math.inf,
        ).sum()

    def start(self):
        """Return the mean of vertices that favour each member in turn."""
        favours = -np.eye(self.n_columns)
        return np.mean([self.vertex(g) for g in favours], axis=0)


class Corners(Polytope):
    """The hull of the rows of a matrix: a simplex in other coordinates."""

    corners: np.ndarray

    def vertex(self, g):
        """Return the corner of least slope; the first of equals."""
        return self.corners[int(np.argmin(self.corners @ g))]

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Solve on the simplex of the corners."""
        shares, _, n_iter = kernels.simplex_qp.solve(
            self.corners @ H @ self.corners.T, self.corners @ c, max_iter=max_iter
        )
        return shares @ self.corners, n_iter


class FreeSum(Corners):
    """w >= 0, sum w <= bound; x = (w, sum w - 1)."""

    def __init__(self, n_members, bound):
        self.n_columns, self.bound = n_members + 1, bound
        weights = np.vstack([bound * np.eye(n_members), np.zeros(n_members)])
        self.corners = _with_sum(weights)

    def start(self):
        """Return equal weights of sum 1."""
        m = self.n_columns - 1
        return np.append(np.full(m, 1.0 / m), 0.0)

    def touches(self, x):
        """Return whether x comes near the artificial border."""
        return x[:-1].sum() >= self.bound * _NEAR


class Enlarged(Corners):
    """Weights of any sign: a simplex blown up about its centre by the factor bound.

    With the sum fixed at 1 its corners are members; with a free sum, also the origin.
    """

    def __init__(self, n_members, bound, free_sum):
        self.n_members, self.bound, self.free_sum = n_members, bound, free_sum
        self.n_columns = n_members + free_sum
        units = np.vstack([np.eye(n_members), np.zeros((int(free_sum), n_members))])
        self._base = (1.0 - bound) / len(units)
        weights = self._base + bound * units
        self.corners = _with_sum(weights) if free_sum else weights

    def start(self):
        """Return equal weights of sum 1."""
        x = np.full(self.n_columns, 1.0 / self.n_members)
        x[self.n_members :] = 0.0
        return x

    def touches(self, x):
        """Return whether x comes near the artificial border."""
        shares = x[: self.n_members] - self._base
        room = self.bound - shares.sum() if self.free_sum else np.inf
        centre = self.bound / len(self.corners)
        return min(shares.min(), room) <= (1.0 - _NEAR) * centre


class WithIntercept(Polytope):
    """A set of weights, and an intercept of size at most `reach` behind the weights."""

    def __init__(self, weights, n_members, reach):
        self.weights, self.position, self.reach = weights, n_members, reach
        self.n_columns = weights.n_columns + 1
        self.tolerance = weights.tolerance

    def vertex(self, g):
        """Return the vertex of the weights with the intercept on its better end."""
        end = -self.reach if g[self.position] > 0.0 else self.reach
        return self._join(self.weights.vertex(np.delete(g, self.position)), end)

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Eliminate the intercept, solve for the weights, put the intercept back."""
        b = self.position
        others = np.delete(np.arange(self.n_columns), b)
        column, bend = H[others, b], max(H[b, b], np.finfo(float).tiny)
        left = H[np.ix_(others, others)] - np.outer(column, column) / bend
        # What is left may be nothing, and rounding must not make it negative.
        left[np.diag_indices(len(left))] += 1e-14 * H.diagonal()[others]
        x, n_iter = self.weights.minimise(
            left, c[others] - column * (c[b] / bend), max_iter, enough
        )
        intercept = (c[b] - column @ x) / bend
        end = float(np.clip(intercept, -self.reach, self.reach))
        if end != intercept:  # the least on the border has other weights
            left = np.ascontiguousarray(H[np.ix_(others, others)])
            x, extra = self.weights.minimise(
                left, c[others] - column * end, max_iter, enough
            )
            n_iter += extra
        return self._join(x, end), n_iter

    def start(self):
        """Return the start of the weights without intercept."""
        return self._join(self.weights.start(), 0.0)

    def touches(self, x):
        """Return whether x comes near an artificial border."""
        ends = abs(x[self.position]) >= self.reach * _NEAR
        return ends or self.weights.touches(np.delete(x, self.position))

    def _join(self, x, intercept):
        return np.insert(x, self.position, intercept)


class Affine:
    """Weights of any sign, sum 1 or free: one linear system instead of a polytope.

    span : (n_columns, d), columns along all directions that stay in the set
    """

    tolerance = 0.0

    def __init__(self, n_columns, free_sum):
        self.n_columns, self.free_sum = n_columns, int(free_sum)
        m = n_columns - self.free_sum
        self.span = np.vstack([np.eye(m), np.ones(m)]) if free_sum else _zero_sum(m)

    def minimise(self, H, c, max_iter=None, enough=0.0):
        """Solve the optimality conditions of a well-conditioned quadratic."""
        x = self.start()
        return x + self._step(H, H @ x - c), 1

    def gap(self, g, x, H):
        """Return the fall to the minimum of the quadratic of slope g and bend H."""
        return max(-0.5 * float(g @ self._step(H, g)), 0.0)

    def touches(self, x):
        """Return False: the set is not cut off."""
        return False

    def start(self):
        """Return equal weights of sum 1."""
        m = self.n_columns - self.free_sum
        return np.append(np.full(m, 1.0 / m), np.zeros(self.free_sum))

    def _step(self, H, g):
        """Return the step to the minimum inside the set, from a point of slope g."""
        bend = self.span.T @ H @ self.span
        # Scaled to a unit diagonal, so that a member in other units is not lost.
        scale = np.sqrt(np.maximum(bend.diagonal(), EPS * H.diagonal().max()))
        scale = np.where(scale > 0.0, scale, 1.0)
        bend /= np.outer(scale, scale)
        step = np.linalg.lstsq(bend, -(self.span.T @ g) / scale, rcond=1e-14)[0]
        return self.span @ (step / scale)


class OnMembers:
    """A set on some of the members; the others have weight 0."""

    def __init__(self, inner, members, n_columns):
        self.inner, self.n_columns = inner, n_columns
        n_free = inner.n_columns - len(members)
        self.columns = np.append(members, np.arange(n_columns - n_free, n_columns))

    @property
    def tolerance(self):
        """Relative error that the set itself adds to a certificate."""
        return self.inner.tolerance

    @property
    def span(self):
        """Directions that never leave the set, for a set without borders."""
        if self.inner.span is None:
            return None
        span = np.zeros((self.n_columns, self.inner.span.shape[1]))
        span[self.columns] = self.inner.span
        return span

    def minimise(self, H, c, max_iter=10_000, enough=0.0):
        """Minimise on the members of the set."""
        H = np.ascontiguousarray(H[np.ix_(self.columns, self.columns)])
        x, n_iter = self.inner.minimise(H, c[self.columns], max_iter, enough)
        return self._embed(x), n_iter

    def vertex(self, g):
        """Return the vertex on the members of the set."""
        return self._embed(self.inner.vertex(g[self.columns]))

    def gap(self, g, x, H=None):
        """Return the gap on the members of the set."""
        H = None if H is None else H[np.ix_(self.columns, self.columns)]
        return self.inner.gap(g[self.columns], x[self.columns], H)

    def start(self):
        """Return the start on the members of the set."""
        return self._embed(self.inner.start())

    def touches(self, x):
        """Return whether x comes near an artificial border."""
        return self.inner.touches(x[self.columns])

    def _embed(self, x):
        full = np.zeros(self.n_columns)
        full[self.columns] = x
        return full


class UserSet(Polytope):
    """The convex set of a capped simplex and of constraints written in cvxpy."""

    # An interior-point method ends near the border, not on it.
    tolerance = 1e-6

    def __init__(self, capped, constraints):
        self.capped, self.constraints = capped, constraints
        self.n_columns = capped.n_columns

    def minimise(self, H, c, max_iter=None, enough=0.0):
        """Solve by CLARABEL through cvxpy."""
        values, vectors = np.linalg.eigh(H)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        # The best member sets the scale, unless it is perfect or H is next to nothing.
        sizes, c = H.diagonal(), c - c.mean()
        square = max(sizes.min(), 1e-6 * np.median(sizes), 1e-3 * np.abs(c).max())
        unit = float(np.sqrt(square)) or 1.0

        def objective(cp, w):
            return 0.5 * cp.sum_squares((root / unit).T @ w) - (c / unit**2) @ w

        return self._solve(objective), 1

    def vertex(self, g):
        """Solve the linear program by cvxpy."""
        unit = max(np.abs(g - g.mean()).max(), np.finfo(float).tiny)
        return self._solve(lambda cp, w: ((g - g.mean()) / unit) @ w)

    def start(self):
        """Return the feasible point nearest to equal weights."""
        m = self.n_columns
        return self.minimise(np.eye(m), np.full(m, 1.0 / m))[0]

    def _solve(self, objective):
        cp = import_cvxpy()
        w = cp.Variable(self.n_columns)
        own = [w >= self.capped.lower, w <= self.capped.upper, cp.sum(w) == 1.0]
        for k, room in enumerate(self.capped.room):
            own.append(cp.sum(w[np.flatnonzero(self.capped.group == k)]) <= room)
        problem = cp.Problem(cp.Minimize(objective(cp, w)), own + self._read(cp, w))
        try:
            problem.solve(solver=cp.CLARABEL)
        except cp.error.SolverError as error:
            raise ValueError(
                f"CLARABEL cannot solve for `constraints`: {error} It takes convex "
                "constraints on continuous weights."
            ) from error
        if problem.status not in ("optimal", "optimal_inaccurate"):
            raise Infeasible(
                f"No weights meet `constraints` (cvxpy says {problem.status!r}). They "
                "are added to w >= 0, sum w = 1 and the caps; loosen one of them."
            )
        x = np.where(w.value < 1e-9, 0.0, w.value)
        return x / math.fsum(x)

    def _read(self, cp, w):
        """Return the constraints that the user's function gives."""
        theirs = self.constraints(w)
        kind = cp.constraints.constraint.Constraint
        if not isinstance(theirs, list | tuple) or not all(
            isinstance(one, kind) for one in theirs
        ):
            raise ValueError(
                f"constraints(w) returned {theirs!r}; expected a list of cvxpy "
                "constraints, such as [w[0] <= 0.5]."
            )
        return list(theirs)


def import_cvxpy():
    """Import cvxpy, or say how to get it."""
    try:
        import cvxpy
    except ImportError as error:
        raise ImportError(
            "`constraints` are written in cvxpy, which is not installed. Install it "
            "with: pip install 'ensemblekit[cvxpy]'"
        ) from error
    return cvxpy


def _unit(size, position, value=1.0):
    x = np.zeros(size)
    x[position] = value
    return x


def _with_sum(weights):
    """Append sum w - 1 to each row of weights."""
    return np.column_stack([weights, weights.sum(axis=1) - 1.0])


def _zero_sum(m):
    """Return an orthonormal basis of the directions that keep sum w, (m, m - 1)."""
    return np.linalg.qr(np.column_stack([np.ones(m), np.eye(m)[:, : m - 1]]))[0][:, 1:]
