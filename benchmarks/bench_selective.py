"""Selective prediction: all parts, one after the other."""

import runpy
import sys
from pathlib import Path

PARTS = ("vote", "risk", "multiplicity", "cascade")


def main():
    sys.argv = sys.argv[:1]
    for part in PARTS:
        path = Path(__file__).with_name(f"bench_selective_{part}.py")
        runpy.run_path(str(path), run_name="__main__")
        print()


if __name__ == "__main__":
    main()
