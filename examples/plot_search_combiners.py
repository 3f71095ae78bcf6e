"""
A grid over combiners without refitting members
===============================================

scikit-learn's ``GridSearchCV`` tries combiners and a member's parameter. With
``memory`` each (member, fold) is fitted once: another combiner fits nothing.
"""

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import (
    AverageRegressor,
    ConvexRegressor,
    LinearStackRegressor,
    StackedRegressor,
)

X, y = load_diabetes(return_X_y=True)
members = [("ridge", Ridge(alpha=0.1)), ("nearest", KNeighborsRegressor())]
grid = {
    "combiner": [AverageRegressor(), ConvexRegressor(), LinearStackRegressor()],
    "nearest__n_neighbors": [5, 20, 40],
}
folds = KFold(4, shuffle=True, random_state=1)
with TemporaryDirectory() as folder:
    inner = KFold(5, shuffle=True, random_state=0)
    stacked = StackedRegressor(members, cv=inner, memory=folder)
    search = GridSearchCV(stacked, grid, cv=folds).fit(X, y)
    best = search.best_estimator_
    again = clone(best).set_params(combiner=ConvexRegressor(ridge=0.1)).fit(X, y)
print(f"fits of the best on all rows: {best.cross_fit_.n_fits_}")
print(f"of another combiner after it: {again.cross_fit_.n_fits_}")

# %%
# Means over the grid's folds.
results = pd.DataFrame(search.cv_results_)
results["combiner"] = [type(found).__name__ for found in results.param_combiner]
results["neighbours"] = results["param_nearest__n_neighbors"].astype(str)
table = results.pivot(index="neighbours", columns="combiner", values="mean_test_score")
table = table.loc[["5", "20", "40"]]
print(table.round(3))
figure, ax = plt.subplots(layout="constrained")
for combiner in table:
    ax.plot(table.index, table[combiner], "o-", label=combiner)
ax.set(xlabel="neighbours of the member 'nearest'", ylabel="R² of the stack")
ax.legend()
plt.show()
