"""Combiners: scikit-learn estimators fitted on a prediction matrix P.

Every module here whose name does not end in `_base` is searched for combiners; what its
``__all__`` names is public, and the tests of all combiners find it here.
"""

from importlib import import_module
from pkgutil import iter_modules

__all__ = []
for _module in iter_modules(__path__, prefix=f"{__name__}."):
    if not _module.name.endswith("_base"):
        _found = import_module(_module.name)
        __all__ += _found.__all__
        globals().update({name: getattr(_found, name) for name in _found.__all__})
