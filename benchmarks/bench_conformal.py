"""Conformal calibration against MAPIE and crepes: all parts, one after the other."""

import runpy
import sys
from pathlib import Path

PARTS = ("split", "cross", "predictive", "sets", "series", "selection")


def main():
    sys.argv = sys.argv[:1]
    for part in PARTS:
        path = Path(__file__).with_name(f"bench_conformal_{part}.py")
        runpy.run_path(str(path), run_name="__main__")
        print()


if __name__ == "__main__":
    main()
