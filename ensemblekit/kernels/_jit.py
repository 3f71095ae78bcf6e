"""One compiler switch for every kernel.

ENSEMBLEKIT_NO_NUMBA=1 runs the same sources as plain Python, without loading numba:
slow, but every step can be stepped through and no machine code is generated.
"""

import os

if os.environ.get("ENSEMBLEKIT_NO_NUMBA") == "1":

    def njit(function):
        """Return the function as it is."""
        return function

    njit_sums = njit

else:
    import numba

    njit = numba.njit(cache=True, nogil=True)
    # Sums in any order, for SIMD: only where nothing is compared. NaN and inf stay.
    njit_sums = numba.njit(
        cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}
    )
