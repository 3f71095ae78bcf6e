"""Pure functions on arrays (numpy, numba): the hot loops of every combiner.

A kernel module imports numba at its top, which costs half a second; combiners therefore
reach kernels through this package, whose modules load at their first use.
"""

from importlib import import_module

_MODULES = (
    "bagged_intervals",
    "calibrate",
    "candidates",
    "capacity",
    "conformal_selection",
    "conformal_sets",
    "crps",
    "design",
    "diversity",
    "forest_quantiles",
    "forest_regions",
    "hill",
    "huber_path",
    "likelihood",
    "linear_pool",
    "merging",
    "mixtures",
    "monotone",
    "offsets",
    "pinball",
    "polytope",
    "population",
    "ranks",
    "ridge_path",
    "runoff",
    "shifted_lists",
    "simplex_qp",
    "softmax_path",
    "votes",
)


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
