"""Parameters that a cross-fit shares with the estimators built on it."""

from pathlib import Path

from ._cache import PredictionCache
from ._sklearn import Integral, Interval, Real, StrOptions

SHARED_CONSTRAINTS: dict = {
    "refit": [StrOptions({"none", "selected", "all"})],
    "early_stopping": [StrOptions({"inner", "held_out"}), tuple],
    "memory": [str, Path, PredictionCache, None],
    "on_error": [StrOptions({"raise", "drop"})],
    "min_members": [Interval(Integral, 1, None, closed="left")],
    "on_unsupported": [StrOptions({"raise", "ignore"})],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "n_jobs": [None, Integral],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
