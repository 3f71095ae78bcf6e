"""Compare combiners on one library: the members are fitted once."""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import (
    AverageRegressor,
    ConvexRegressor,
    CrossFit,
    EnsembleSelectionRegressor,
    LinearStackRegressor,
    cross_fitted_predictions,
    evaluate_loss,
)

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", RidgeCV()),
    ("forest", RandomForestRegressor(min_samples_leaf=5)),
    ("trees", ExtraTreesRegressor(min_samples_leaf=5)),
    ("nearest", make_pipeline(StandardScaler(), KNeighborsRegressor(20))),
]
folds = KFold(5, shuffle=True, random_state=0)
cross_fit = CrossFit(members, cv=folds, refit="none", random_state=0).fit(X, y)
print(f"{cross_fit.n_fits_} fits of members, then none")

combiners = {
    "single best": EnsembleSelectionRegressor(n_rounds=1),
    "mean": AverageRegressor(),
    "median": AverageRegressor(kind="median"),
    "greedy selection": EnsembleSelectionRegressor(),
    "convex weights": ConvexRegressor(),
    "linear stacking": LinearStackRegressor(),
    "scikit-learn's RidgeCV": RidgeCV(),
}
library = cross_fit.library_
for member in cross_fit.report_:
    print(f"{member['name']:<24} {member['loss']:8.1f}")
for name, combiner in combiners.items():
    # Each fold is predicted by the combiner fitted on the other folds.
    prediction = cross_fitted_predictions(combiner, library)
    loss = evaluate_loss("squared_error", library.y, prediction)
    print(f"{name:<24} {loss:8.1f}")
