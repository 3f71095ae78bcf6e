"""How each boosting library is asked to stop early; none of them is imported here."""

from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any

# LightGBM takes each of these names, and passes on what it does not know.
_PATIENCE = (
    "early_stopping_round",
    "early_stopping_rounds",
    "early_stopping",
    "n_iter_no_change",
)
_ROUNDS = (
    "n_estimators",
    "num_iterations",
    "num_iteration",
    "num_boost_round",
    "num_round",
    "num_rounds",
    "num_tree",
    "num_trees",
    "nrounds",
    "n_iter",
    "max_iter",
)
_BOOSTING = ("boosting", "boosting_type", "boost")
_VERBOSITY = ("verbosity", "verbose")
_SPLITTING = {
    "BaseGradientBoosting": "n_iter_no_change",
    "BaseMultilayerPerceptron": "early_stopping",
    "BaseSGD": "early_stopping",
}


def find_booster(estimator):
    """Return what knows this estimator's library, told by the names of its classes."""
    for package, name in _ancestry(estimator):
        if (package, name) in _BOOSTERS:
            return _BOOSTERS[package, name](estimator)
    return None


def splits_rows_itself(estimator):
    """Say whether it stops early on rows that it splits off, and can do no other."""
    for package, name in _ancestry(estimator):
        if package == "sklearn" and name in _SPLITTING:
            return bool(getattr(estimator, _SPLITTING[name], False))
    return False


def _ancestry(estimator):
    for kind in type(estimator).__mro__:
        yield kind.__module__.partition(".")[0], kind.__name__


class _Booster:
    """A model and what its parameters say of early stopping."""

    # Names that fit's metadata has for the validation rows.
    names: dict[str, str] = {}
    # Whether it is to stop early.
    asks: Callable[[], bool]
    # Of X, y, their metadata and that of fit: the keywords of fit for validation rows.
    arguments: Callable[[Any, Any, dict, dict], dict]
    # The number of rounds at which a fitted model stopped, or None.
    rounds: Callable[[], int | None]
    # Of a number of rounds, or None: the parameters of a fit that does not stop early.
    fixed: Callable[[int | None], dict]

    def __init__(self, model):
        self.model = model
        self.given = model.get_params(deep=False)

    def stops(self, n_rows):
        """Say whether it is to stop early, on so many rows, on rows from outside."""
        return self.asks()

    def needs(self):
        """Say whether its fit fails without validation rows."""
        return self.asks()

    def open(self, inner, grouped):
        """Make the model ready; say whether it is to be handed validation rows.

        inner : whether these are some of its training rows
        grouped : whether there are groups
        """
        return True

    def limit(self, inner, grouped):
        """Say what it cannot do as asked, or return None."""
        return None

    def _lists(self, extras):
        """Return metadata of the validation rows, each a list of one."""
        return {self.names[k]: [v] for k, v in extras.items() if k in self.names}


class _LightGBM(_Booster):
    """LightGBM; most of its parameters go by several names."""

    names = {"sample_weight": "eval_sample_weight", "init_score": "eval_init_score"}

    def asks(self):
        """Say whether any name of its patience is set, and above 0."""
        first, *others = _PATIENCE
        names = [first] if first in self.given else others
        values: list[Any] = [self.given.get(name) for name in names]
        return any(isinstance(value, Real) and float(value) > 0 for value in values)

    def open(self, inner, grouped):
        """Silence it, and make it ready unless it drops trees, which cannot stop."""
        if not self._known(_VERBOSITY):  # else it prints when it stops
            self.model.set_params(verbosity=-1)
        if not self._drops_trees():
            return True
        self.model.set_params(**self.fixed(None))
        return False

    def limit(self, inner, grouped):
        """Say that it fits all rounds where it drops trees."""
        if not self._drops_trees():
            return None
        return (
            "does not stop early with boosting_type='dart', whose later rounds change "
            "earlier ones: all its rounds are fitted, on all training rows."
        )

    def arguments(self, X, y, extras, params):
        """Return the rows under the names of its version."""
        if "eval_X" in signature(self.model.fit).parameters:
            rows: dict[str, Any] = {"eval_X": (X,), "eval_y": (y,)}
        else:  # before 4.7
            rows = {"eval_set": [(X, y)]}
        return rows | self._lists(extras)

    def rounds(self):
        """Return its best iteration, where it stopped."""
        if not self.asks() or self._drops_trees():
            return None
        best = int(self.model.best_iteration_)
        return best if best > 0 else None

    def fixed(self, rounds):
        """Return parameters without patience, and the rounds under its own names."""
        settings = dict.fromkeys(self._known(_PATIENCE))  # 4.3 refuses 0
        if rounds is not None:
            settings |= dict.fromkeys(self._known(_ROUNDS), rounds)
        return settings

    def _known(self, names):
        """Return the names that are set."""
        return [name for name in names if self.given.get(name) is not None]

    def _drops_trees(self):
        """Say whether it is dart, under any of the names."""
        return any(self.given.get(name) == "dart" for name in _BOOSTING)


class _XGBoost(_Booster):
    """XGBoost; a callback may ask it to stop, too."""

    names = {
        "sample_weight": "sample_weight_eval_set",
        "base_margin": "base_margin_eval_set",
    }

    def asks(self):
        """Say whether a parameter or a callback asks for it."""
        callbacks = self.given.get("callbacks") or []
        return self.given.get("early_stopping_rounds") is not None or any(
            map(_is_stopping, callbacks)
        )

    def arguments(self, X, y, extras, params):
        """Return the rows as a list of one, and no line for each round."""
        quiet = {} if "verbose" in params else {"verbose": False}
        return {"eval_set": [(X, y)], **quiet, **self._lists(extras)}

    def rounds(self):
        """Return its best iteration, which it counts from 0, plus one."""
        best = getattr(self.model, "best_iteration", None) if self.asks() else None
        return None if best is None else int(best) + 1

    def fixed(self, rounds):
        """Return parameters without patience and without callbacks that stop."""
        callbacks = self.given.get("callbacks") or []
        kept = [callback for callback in callbacks if not _is_stopping(callback)]
        settings = {"early_stopping_rounds": None, "callbacks": kept or None}
        return settings if rounds is None else {**settings, "n_estimators": rounds}


def _is_stopping(callback):
    return ("xgboost", "EarlyStopping") in _ancestry(callback)


class _Histogram(_Booster):
    """scikit-learn's; it splits rows off itself, and from 1.7 on takes others."""

    names = {"sample_weight": "sample_weight_val"}

    def asks(self):
        """Say whether it may stop early: for 'auto' the rows decide."""
        return self.given["early_stopping"] is not False

    def stops(self, n_rows):
        """Say what its 'auto' says of so many rows."""
        wanted = self.given["early_stopping"]
        if wanted == "auto":
            return n_rows is None or n_rows > 10_000
        return bool(wanted)

    def needs(self):
        """Say no: it splits rows off."""
        return False

    def open(self, inner, grouped):
        """Turn stopping on where it is handed rows; say whether it is."""
        if self._splits(inner, grouped) or not self._takes_rows():
            return False
        self.model.set_params(early_stopping=True)  # not less than 10 000 rows anew
        return True

    def limit(self, inner, grouped):
        """Say that before 1.7 it takes no rows, where its own would not do."""
        if self._splits(inner, grouped) or self._takes_rows():
            return None
        return (
            "takes no validation rows before scikit-learn 1.7: it splits off its own, "
            "which does not keep groups together."
        )

    def arguments(self, X, y, extras, params):
        """Return the rows, and their weights."""
        own = {self.names[k]: v for k, v in extras.items() if k in self.names}
        return {"X_val": X, "y_val": y, **own}

    def rounds(self):
        """Return its iterations, where it stopped."""
        stopping = getattr(self.model, "do_early_stopping_", False)
        return self.model.n_iter_ if stopping else None

    def fixed(self, rounds):
        """Return parameters that turn stopping off."""
        settings = {"early_stopping": False}
        return settings if rounds is None else {**settings, "max_iter": rounds}

    def _splits(self, inner, grouped):
        """Say whether it does by itself what is wanted; it may watch training rows."""
        return inner and (not grouped or self.given["validation_fraction"] is None)

    def _takes_rows(self):
        """Say whether its version takes validation rows."""
        return "X_val" in signature(self.model.fit).parameters


class _Staged(_Booster):
    """scikit-learn's gradient boosting without histograms: rows of its own only."""

    def asks(self):
        """Say whether it has a patience."""
        return self.given["n_iter_no_change"] is not None

    def stops(self, n_rows):
        """Say no: it takes no rows from outside."""
        return False

    def needs(self):
        """Say no: it splits rows off."""
        return False

    def rounds(self):
        """Return its rounds, where it stopped."""
        return self.model.n_estimators_ if self.asks() else None

    def fixed(self, rounds):
        """Return parameters without patience."""
        settings = {"n_iter_no_change": None}
        return settings if rounds is None else {**settings, "n_estimators": rounds}


_BOOSTERS = {
    ("lightgbm", "LGBMModel"): _LightGBM,
    ("xgboost", "XGBModel"): _XGBoost,
    ("sklearn", "BaseHistGradientBoosting"): _Histogram,
    ("sklearn", "BaseGradientBoosting"): _Staged,
}
