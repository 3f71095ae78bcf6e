"""Banks of prediction files: read, aligned and checked, against plain loading.

`python benchmarks/bench_files.py [N_MEMBERS N_ROWS]`; 500 1000000 needs 2 GB of .npy
files and 2 GB for P in the folder for temporary files.
"""

import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd
from harness import print_header

from ensemblekit.files import find_problems, read_bank


def main():
    n_members, n_rows = [int(word) for word in sys.argv[1:3]] or (50, 100_000)
    print_header(f"{n_members} members x {n_rows} rows")
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), n_members, n_rows)
        spec = f"{folder}/train.parquet:y"
        show("read_bank, npy float32", lambda: read_bank(f"{folder}/npy", spec))
        show("numpy.load and hstack", lambda: load_plainly(Path(folder, "npy")))
        show("find_problems, npy", lambda: find_problems(f"{folder}/npy", spec))
        show("read_bank, 10 shuffled csv", lambda: read_bank(f"{folder}/csv", spec))
        show("pandas.read_csv and merge", lambda: merge_plainly(Path(folder)))


def write(folder, n_members, n_rows):
    rng = np.random.default_rng(0)
    y = rng.normal(size=n_rows)
    (folder / "npy").mkdir()
    (folder / "csv").mkdir()
    frame = pd.DataFrame({"id": np.arange(n_rows), "y": y})
    frame.to_parquet(folder / "train.parquet")
    for member in range(n_members):
        values = (y + rng.normal(size=n_rows)).astype(np.float32)
        np.save(folder / "npy" / f"m{member}_oof.npy", values)
        if member < 10:
            table = frame[["id"]].assign(pred=values).sample(frac=1, random_state=0)
            table.to_csv(folder / "csv" / f"m{member}_oof.csv", index=False)


def load_plainly(folder):
    return np.stack([np.load(path) for path in sorted(folder.iterdir())], axis=1)


def merge_plainly(folder):
    frame = pd.read_parquet(folder / "train.parquet")
    for path in sorted((folder / "csv").iterdir()):
        member = pd.read_csv(path).rename(columns={"pred": path.stem})
        frame = frame.merge(member, on="id", validate="one_to_one")
    return frame


def show(label, function):
    start, cpu = perf_counter(), process_time()
    function()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, used = perf_counter() - start, process_time() - cpu
    print(
        f"  {label:<30}{wall:8.2f} s {used:8.2f} s CPU"
        f"   peak so far {peak:6.0f} MB, mapped pages counted"
    )


if __name__ == "__main__":
    main()
