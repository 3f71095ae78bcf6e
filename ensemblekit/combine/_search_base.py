"""What the two searches share: held-out losses of candidates, and a choice by them."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

from .._sklearn import Integral, StrOptions
from ..losses import LOSSES
from ._base import column_names, own_weights, row_folds
from ._cross_fit_base import fit_combiner, fold_mixtures
from ._family_base import default_combiners
from ._mixture_base import check_loss, in_table, loss_options, make_loss

PARAMETERS: dict = {
    "strategy": [StrOptions({"best", "1se", "average"})],
    "cv": ["cv_object"],
    "n_jobs": [Integral, None],
}
"""Constraints of the parameters that both have."""

# A candidate one standard error behind the best gets exp(-2) of its share; chosen among
# a few values on real tables. Smaller shares than the least are not worth predictions.
_RATE, _LEAST_SHARE = 2.0, 0.01
# Losses closer than this, relative to the lowest, are ties: the simpler one wins.
_TIE = 1e-9


def search(combiner, P, y, weight, weighted, members, singles):
    """Judge the candidates, choose, fit those chosen, and set the fitted attributes.

    y : targets or class codes; weighted : whether the user gave weights
    members : each member's predictions, in the form of a combiner's
    singles : for each member the combiner that is this member alone
    """
    n_classes = len(getattr(combiner, "classes_", ()))
    check_loss(combiner, "classification" if n_classes else "regression", y, weight)
    candidates = _read_combiners(combiner, n_classes)
    columns = list(column_names(combiner))[:: P.shape[1] // len(members)]
    names = [f"member {name}" for name in columns] + [name for name, _ in candidates]
    combiner._validate_names(names)
    passed = weight if weighted else None
    splits = row_folds(combiner.cv, y, weight, stratify=bool(n_classes))
    rows, folds, predictions, seconds = predict_held_out(
        [("member", singles[0]), *candidates],
        members,
        P,
        y,
        passed,
        splits,
        n_classes,
        combiner.n_jobs,
    )
    judge = Judge(combiner, y[rows], weight[rows], weighted, rows, folds, predictions)
    shares = choose(judge, judge.every, len(members), combiner.strategy)
    chosen = np.flatnonzero(shares)
    combiner.chosen_, combiner.shares_ = [names[c] for c in chosen], shares[chosen]
    combiner.results_ = results(names, judge, seconds, shares)
    combiner.nested_score_ = _nested_score(combiner, judge, len(members), shares)
    models = [*singles, *(model for _, model in candidates)]
    combiner.combiners_ = []
    for c in chosen:
        with naming(names[c]):
            fitted = fit_combiner(models[c], P, y, passed, slice(None))
        combiner.combiners_.append(fitted)
    weights = [own_weights(c, len(members)) for c in combiner.combiners_]
    if all(own is not None for own in weights):
        combiner.weights_ = mixed(weights, combiner.shares_)


def predict(combiner, P, method):
    """Return the mean of what the combiners chosen predict, by their shares."""
    predictions = [getattr(model, method)(P) for model in combiner.combiners_]
    return mixed(predictions, combiner.shares_)


def mixed(predictions, shares):
    """Return the mean of the predictions by shares; those of share 0 are not read."""
    chosen = np.flatnonzero(shares)
    return np.sum([shares[c] * np.float64(predictions[c]) for c in chosen], axis=0)


def _read_combiners(combiner, n_classes):
    """Return the list of candidates; refuse what is none."""
    if combiner.combiners is None:
        return default_combiners(n_classes)
    method = "predict_proba" if n_classes else "predict"
    for entry in combiner.combiners:
        if not (isinstance(entry, tuple) and len(entry) == 2):
            raise ValueError(
                f"combiners has the entry {entry!r}; expected pairs (name, combiner)."
            )
        name, model = entry
        if not (hasattr(model, "fit") and hasattr(model, method)):
            raise ValueError(
                f"combiners has {name!r} ({type(model).__name__}), which lacks fit or "
                f"{method}; expected a combiner, or another estimator with both."
            )
    return combiner.combiners


def predict_held_out(candidates, members, P, y, weight, splits, n_classes, n_jobs):
    """Fit every combiner without each fold, and predict the fold; fit no member.

    candidates : list of (name, combiner), a member first, whose folds are all that can
    be used; members : each member's predictions
    weight : (n_samples,) or None; splits : list of (train, test)
    Returns the held-out rows' numbers and folds, (n,) int each; what each candidate
    predicts for them, members first; and the seconds of each candidate's fits. Folds
    whose training rows lack a class are left out.
    """
    task = "classification" if n_classes else "regression"

    def run(name, combiner):
        start = perf_counter()
        with naming(name):
            parts = fold_mixtures(combiner, P, y, weight, splits, task)
        return parts, perf_counter() - start

    tasks = [delayed(run)(*candidate) for candidate in candidates]
    found = Parallel(n_jobs=n_jobs, prefer="threads")(tasks)
    folds = [(k, test) for k, test, _ in found[0][0]]
    rows = np.concatenate([test for _, test in folds])
    numbers = np.concatenate([np.full(len(test), k) for k, test in folds])
    predictions = [member[rows] for member in members]
    for parts, _ in found[1:]:
        predictions.append(np.concatenate([mixture for *_, mixture in parts]))
    seconds = [0.0] * len(members) + [time for _, time in found[1:]]
    return rows, numbers, predictions, np.array(seconds)


@contextmanager
def naming(name):
    """Tell which candidate an error comes from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"While fitting combiner {name!r} of the search.")
        raise


@dataclass(frozen=True)
class Judge:
    """Losses of held-out predictions, all rows scored together, and their errors.

    search : the estimator with the loss; y, weight, folds : (n,) of the held-out rows
    rows : their numbers, as a scorer is told them; weighted : whether it gets weights
    predictions : for each candidate (n,) values or (n, n_classes) probabilities
    """

    search: BaseEstimator
    y: np.ndarray
    weight: np.ndarray
    weighted: bool
    rows: np.ndarray
    folds: np.ndarray
    predictions: list
    _known: dict = field(init=False, repr=False, default_factory=dict)

    def of(self, predictions):
        """Return the judge of other predictions of the same rows."""
        return replace(self, predictions=predictions)

    @property
    def _task(self):
        return "classification" if self.predictions[0].ndim > 1 else "regression"

    @cached_property
    def every(self):
        """Return the mask of all rows."""
        return np.ones(len(self.y), bool)

    @cached_property
    def row_losses(self):
        """Return the loss of each candidate and row, or None."""
        loss = self.search.loss
        per_row = LOSSES[loss].per_row if in_table(loss) else None
        if per_row is None:
            return None
        options = loss_options(self.search)
        return np.array([per_row(self.y, E, **options) for E in self.predictions])

    @cached_property
    def groups(self):
        """Return for each held-out row the first fold that its row is held out in.

        The folds themselves, unless rows are held out several times: those are not
        independent, and are left out together.
        """
        first = np.full(self.rows.max() + 1, self.folds.max())
        np.minimum.at(first, self.rows, self.folds)
        return first[self.rows]

    def losses(self, kept):
        """Return the losses of all candidates on the rows kept, a mask."""
        key = kept.tobytes()
        if key not in self._known:
            self._known[key] = self._losses(kept)
        return self._known[key]

    def _losses(self, kept):
        if self.row_losses is not None:
            share = self.weight[kept] / self.weight[kept].sum()
            return self.row_losses[:, kept] @ share
        rest = self.y[kept], self.weight[kept], self.weighted, self.rows[kept]
        check_loss(self.search, self._task, self.y[kept], self.weight[kept])
        loss = make_loss(self.search, *rest)
        return np.array([loss(E[kept]) for E in self.predictions])

    def errors(self, kept, base=None):
        """Return standard errors of the losses, or of those minus candidate base's.

        The jackknife over folds: copies of a row in one fold count as its weight does.
        """
        groups = np.unique(self.groups[kept])
        if len(groups) < 2:
            return np.full(len(self.predictions), np.nan)
        without = np.array([self.losses(kept & (self.groups != g)) for g in groups])
        if base is not None:
            without = without - without[:, [base]]
        spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
        return np.sqrt((len(groups) - 1) / len(groups) * spread)


def choose(judge, kept, n_members, strategy):
    """Return each candidate's share, by the losses on the rows kept, a mask.

    Members count as equally simple, and simpler than any combiner; combiners are in the
    order of the list.
    """
    losses = judge.losses(kept)
    best = int(np.argmin(losses))
    behind = losses - losses[best]
    behind[behind <= _TIE * abs(losses[best])] = 0.0
    if strategy == "best":
        return np.eye(len(losses))[np.argmin(behind)]
    errors = np.nan_to_num(judge.errors(kept, best))
    if strategy == "average":
        return _shares(judge.predictions, behind, errors, n_members)
    near = np.flatnonzero(behind <= errors)
    if near[0] < n_members:
        members = near[near < n_members]
        return np.eye(len(losses))[members[np.argmin(losses[members])]]
    return np.eye(len(losses))[near[0]]


def _shares(predictions, behind, errors, n_members):
    """Return exponential weights of the best candidate and the combiners near it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(behind > 0.0, behind / errors, 0.0)
    best = int(np.argmin(behind))
    weights = np.exp(-_RATE * ratio)
    weights[:n_members] = 0.0
    weights[best] = 1.0
    weights[weights < _LEAST_SHARE] = 0.0
    near = np.flatnonzero(weights)
    for c in near:  # equal ones count once
        same = (np.array_equal(predictions[c], predictions[k]) for k in near[near < c])
        weights[c] *= not any(same)
    return weights / weights.sum()


def nested_predictions(judge, n_members, strategy):
    """Return what the choices made without each fold predict for that fold.

    No combiner is fitted again: a fold's rows took part in fits that the choice for it
    looks at, as in the bias correction of Tsamardinos et al. (2018).
    """
    predictions, folds = judge.predictions, judge.folds
    nested = np.full(predictions[0].shape, np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        others = ~np.isin(judge.rows, judge.rows[own])  # in no fold
        if others.any():
            shares = choose(judge, others, n_members, strategy)
            nested[own] = mixed([held_out[own] for held_out in predictions], shares)
    return nested


def _nested_score(combiner, judge, n_members, shares):
    """Return what the choice scores on folds that it has not seen."""
    candidates = judge.predictions
    members = judge.of(candidates[:n_members])
    compared = [
        nested_predictions(judge, n_members, combiner.strategy),
        mixed(candidates, shares),
        nested_predictions(members, n_members, "best"),
        mixed(members.predictions, np.full(n_members, 1.0 / n_members)),
    ]
    scored = ~np.isnan(compared[0].reshape(len(judge.y), -1)).any(axis=1)
    if not scored.any():  # one fold: no other to choose by
        return Bunch(
            loss=np.nan,
            se=np.nan,
            optimism=np.nan,
            best_member_loss=np.nan,
            uniform_loss=float(judge.of(compared[3:]).losses(judge.every)[0]),
        )
    judge = judge.of(compared)
    nested, naive, best_member, uniform = judge.losses(scored).tolist()
    return Bunch(
        loss=nested,
        se=float(judge.errors(scored)[0]),
        optimism=nested - naive,
        best_member_loss=best_member,
        uniform_loss=uniform,
    )


def results(names, judge, seconds, shares):
    """Return one entry for each candidate in every column, least loss first."""
    losses = judge.losses(judge.every)
    best, order = int(np.argmin(losses)), np.argsort(losses, kind="stable")
    columns = {
        "name": np.array(names, dtype=object),
        "loss": losses,
        "loss_se": judge.errors(judge.every),
        "difference": losses - losses[best],
        "difference_se": judge.errors(judge.every, best),
        "fit_time": seconds,
        "share": shares,
    }
    return Bunch(**{key: column[order] for key, column in columns.items()})
