"""Blends: out-of-fold predictions combined in every way that applies, and compared.

- `blend`: nested scores of all methods; `Blend` is what it returns.
- `write_blend`: weights, submission, nested predictions, code and report as files.
- `apply_blend`: a stored blend on the same members' predictions of new rows.
"""

from ._blend import Blend, blend
from .outputs import apply_blend, write_blend

__all__ = ["Blend", "apply_blend", "blend", "write_blend"]
