"""Search over combiners and a member's parameter with scikit-learn's GridSearchCV."""

import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import (
    AverageRegressor,
    ConvexRegressor,
    LinearStackRegressor,
    StackedRegressor,
)

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", Ridge(alpha=0.1)),
    ("nearest", make_pipeline(StandardScaler(), KNeighborsRegressor())),
]
search = GridSearchCV(
    StackedRegressor(members, cv=KFold(5, shuffle=True, random_state=0)),
    {
        "combiner": [AverageRegressor(), ConvexRegressor(), LinearStackRegressor()],
        "nearest__kneighborsregressor__n_neighbors": [5, 20, 40],
    },
    cv=KFold(4, shuffle=True, random_state=1),
)
search.fit(X, y)

results = pd.DataFrame(search.cv_results_).sort_values("rank_test_score")
results["combiner"] = results["param_combiner"].map(lambda c: type(c).__name__)
results["neighbours"] = results["param_nearest__kneighborsregressor__n_neighbors"]
results["R2"] = results["mean_test_score"]
columns = ["combiner", "neighbours", "R2"]
print(results[columns].round(3).to_string(index=False))
