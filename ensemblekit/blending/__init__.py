"""Blends: out-of-fold predictions combined in every way that applies, and compared.

- `blend`: nested scores of all methods; `Blend` is what it returns.
"""

from .blend import Blend, blend

__all__ = ["Blend", "blend"]
