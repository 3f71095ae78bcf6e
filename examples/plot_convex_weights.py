"""
Convex weights: proof, constraints and intervals
================================================

Weights that are not negative and sum to one are found with a proof of how near they are
to the best such weights. Intervals tell how far they would move with other rows.
"""

import matplotlib.pyplot as plt
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
from ensemblekit.plot import WeightsDisplay

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", Ridge(0.1)),
    ("bayes", BayesianRidge()),
    ("extra", ExtraTreesRegressor(30, min_samples_leaf=5, random_state=0)),
    ("forest", RandomForestRegressor(30, min_samples_leaf=5, random_state=0)),
    ("nearest", KNeighborsRegressor(20)),
]
library = CrossFit(members, random_state=0).fit(X, y).library_
fitted = ConvexRegressor(n_bootstrap=500).fit(library.P, library.y)
print(f"objective {fitted.objective_:.3f}; no other weights are below it by more than")
print(f"{fitted.duality_gap_:.1e}")

# %%
# Lines are intervals of 500 bootstrap samples. ``ridge`` and ``bayes`` predict nearly
# the same and take weight from each other, so that their lines are long.
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
WeightsDisplay.from_estimator(fitted, library, ax=ax)
plt.show()

# %%
# Other losses and constraints, each scored on rows that its weights have not seen.
families = ["linear", "linear", "trees", "trees", "nearest"]
combiners = {
    "plain optimum": ConvexRegressor(ridge=0),
    "drawn to equality": ConvexRegressor(),
    "absolute error": ConvexRegressor(loss="absolute_error"),
    "two members": ConvexRegressor(max_members=2),
    "families up to half": ConvexRegressor(groups=families, max_group_weight=0.5),
}
print(" " * 20, *(f"{name:>7}" for name in library.names), "  squared error")
for label, combiner in combiners.items():
    cells = "".join(f"{w:8.2f}" for w in combiner.fit(library.P, y).weights_)
    held_out = cross_fitted_predictions(combiner, library)
    print(f"{label:20}{cells} {evaluate_loss('squared_error', y, held_out):15.0f}")
