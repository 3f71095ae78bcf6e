"""Reports: JSON is the source of truth, HTML a view of it (extra ``report``).

- `EnsembleReport`: what members and ensemble are worth, and why to believe it.
"""

from ._report import EnsembleReport

__all__ = ["EnsembleReport"]
