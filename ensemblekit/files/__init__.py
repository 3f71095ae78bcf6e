"""Files of out-of-fold predictions, as people have them, read into a library.

- `find_files`: finds them in a folder and pairs them with those of the test rows.
- `read_target`: target, ids and folds. `read_bank`: all of it as a `Bank`, whose
  library combiners are fitted on.
- `find_problems`: all that is wrong with them, as a list of `Finding`.
"""

from ._parts import Finding, MemberFiles
from .bank import Bank, read_bank
from .layouts import find_files
from .problems import find_problems
from .target import Target, read_target

__all__ = [
    "Bank",
    "Finding",
    "MemberFiles",
    "Target",
    "find_files",
    "find_problems",
    "read_bank",
    "read_target",
]
