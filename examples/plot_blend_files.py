"""
Blend prediction files
======================

Models trained elsewhere, by whatever software, leave files: predictions of the training
rows out of fold, and of the test rows. They are found, put in order and combined; each
way to combine is scored on rows that it was not fitted on.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LassoCV
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsRegressor

from ensemblekit import blend, evaluate_loss, read_bank

X, y = load_diabetes(return_X_y=True, as_frame=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)
X, y = X.rename_axis("id"), y.rename_axis("id")
METHODS = ["median", "greedy", "convex", "linear stack"]
teams = {
    "anna": LassoCV(),
    "ben": ExtraTreesRegressor(40, min_samples_leaf=5, random_state=0),
    "chris": KNeighborsRegressor(20),
}
with TemporaryDirectory() as temporary:
    folder = Path(temporary)
    y.to_csv(folder / "train.csv")
    cv = KFold(5, shuffle=True, random_state=0)
    for name, model in teams.items():  # stand in for three teams
        oof = pd.Series(cross_val_predict(model, X, y, cv=cv), X.index, name="value")
        oof.sample(frac=1, random_state=0).to_csv(folder / f"{name}_oof.csv")
        test = pd.Series(model.fit(X, y).predict(X_test), X_test.index, name="value")
        test.rename_axis("id").to_csv(folder / f"{name}_test.csv")
    bank = read_bank(folder, f"{folder / 'train.csv'}:target")

# %%
# Rows were shuffled in each file; they are in the order of the target by their ids.
print(bank.library)
result = blend(bank.library, metric="rmse", methods=METHODS)
print(result.verdict)

# %%
# The naive score is of the rows that a method was fitted on, the nested one is not.
rows = pd.DataFrame(result.rows).iloc[::-1]
figure, ax = plt.subplots(layout="constrained")
ax.errorbar(rows.score, rows.name, xerr=rows.score_se, fmt="o", label="nested, ±1 se")
ax.plot(rows.naive, rows.name, "x", color="#D55E00", label="naive")
ax.set_xlabel("root mean squared error")
figure.legend(loc="outside upper right", ncols=2)
plt.show()
loss = evaluate_loss("squared_error", y_test, result.predict_test()) ** 0.5
print(f"{result.best} on {len(y_test)} test rows: {loss:.2f}")
