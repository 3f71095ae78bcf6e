"""Convex weights under constraints, and how far they can be trusted."""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import (
    ConvexRegressor,
    CrossFit,
    cross_fitted_predictions,
    evaluate_loss,
)

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", Ridge(0.1)),
    ("bayes", BayesianRidge()),
    ("extra", ExtraTreesRegressor(60, min_samples_leaf=5, random_state=0)),
    ("forest", RandomForestRegressor(60, min_samples_leaf=5, random_state=0)),
    ("nearest", KNeighborsRegressor(20)),
]
library = CrossFit(members, random_state=0).fit(X, y).library_
families = ["linear", "linear", "trees", "trees", "nearest"]
combiners = {
    "plain optimum": ConvexRegressor(ridge=0),
    "drawn to equality": ConvexRegressor(),
    "absolute error": ConvexRegressor(loss="absolute_error"),
    "two members": ConvexRegressor(max_members=2),
    "families up to half": ConvexRegressor(groups=families, max_group_weight=0.5),
}
print(f"{'weights':20} " + " ".join(f"{name:>7}" for name in library.names))
for label, combiner in combiners.items():
    weights = combiner.fit(library.P, library.y).weights_
    held_out = cross_fitted_predictions(combiner, library)
    loss = evaluate_loss("squared_error", library.y, held_out)
    cells = " ".join(f"{weight:7.2f}" for weight in weights)
    print(f"{label:20} {cells}   held-out squared error {loss:.0f}")

fitted = ConvexRegressor(n_bootstrap=500).fit(library.P, library.y)
print("\n90 % of 500 bootstrapped weights lie between")
rows = fitted.explain(library.P, library.y)
for name, row, interval in zip(
    library.names, rows, fitted.weight_intervals_, strict=True
):
    low, high = np.round(interval, 2)
    rise = row["contribution"] / fitted.loss_
    print(f"{name:8} {low:.2f} and {high:.2f}; without it {rise:+.2%} loss")
