"""Combine prediction files: members trained elsewhere, by whatever software."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import ConvexRegressor, PredictionLibrary, evaluate_loss

X, y = load_diabetes(return_X_y=True, as_frame=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)


def write_files(folder):
    """Stand in for three teams: one file of held-out, one of test predictions each."""
    cv = KFold(5, shuffle=True, random_state=0)
    teams = {
        "anna": LassoCV(),
        "ben": ExtraTreesRegressor(min_samples_leaf=5, random_state=0),
        "chris": KNeighborsRegressor(20),
    }
    for name, model in teams.items():
        held_out = pd.Series(cross_val_predict(model, X, y, cv=cv), index=X.index)
        test = pd.Series(model.fit(X, y).predict(X_test), index=X_test.index)
        held_out.to_csv(folder / f"{name}_oof.csv", header=["prediction"])
        test.to_csv(folder / f"{name}_test.csv", header=["prediction"])


def read_files(folder, part, rows):
    """Return member name -> predictions, rows in the order of `rows`."""
    return {
        path.name.removesuffix(f"_{part}.csv"): pd.read_csv(path, index_col=0)
        .loc[rows, "prediction"]
        .to_numpy()
        for path in sorted(folder.glob(f"*_{part}.csv"))
    }


with TemporaryDirectory() as temporary:
    folder = Path(temporary)
    write_files(folder)
    library = PredictionLibrary.from_arrays(
        read_files(folder, "oof", X.index),
        y,
        test_predictions=read_files(folder, "test", X_test.index),
    )
    # One file holds it all; reading it executes nothing.
    library.save(folder / "library.npz")
    library = PredictionLibrary.load(folder / "library.npz")

print(library)
combiner = ConvexRegressor().fit(library.P, library.y)
for name, weight in zip(library.names, combiner.weights_, strict=True):
    print(f"weight of {name:<6} {weight:.3f}")
print(f"squared error on {len(y_test)} test rows:")
for name, prediction in zip(library.names, library.P_test.T, strict=True):
    print(f"{name:<6} {evaluate_loss('squared_error', y_test, prediction):7.1f}")
combined = combiner.predict(library.P_test)
print(f"convex {evaluate_loss('squared_error', y_test, combined):7.1f}")
