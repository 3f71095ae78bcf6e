"""
Stack a table and read its out-of-fold predictions
==================================================

A stack fits every member on folds. What each model predicts of the rows that it has not
seen is kept, and is all that the combiner learns from.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import StackedClassifier

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, 10:20]  # how much the cells of one image differ
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
members = [
    ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ("trees", ExtraTreesClassifier(min_samples_leaf=2)),
    ("nearest", make_pipeline(StandardScaler(), KNeighborsClassifier(15))),
]
stacked = StackedClassifier(members, random_state=0).fit(X, y)

# %%
# Members and ensemble on held-out rows: log loss, its standard error over the folds.
print(pd.DataFrame(stacked.leaderboard_).round(4).to_string(index=False))

# %%
# The library has the predictions themselves: a column for each member, here the
# probability of the second class, with the folds that held the rows out.
library = stacked.library_
table = pd.DataFrame(library.P, columns=library.names, index=X.index)
table.assign(fold=library.folds, y=y).head()

# %%
# Where two members are sure of different classes, a combiner has something to gain.
figure, ax = plt.subplots(layout="constrained")
for label, colour, name in [(0, "#D55E00", "malignant"), (1, "#0072B2", "benign")]:
    rows = y == label
    ax.scatter(table.linear[rows], table.trees[rows], s=14, c=colour, label=name)
ax.set(xlabel="linear: out-of-fold probability", ylabel="trees: the same")
ax.set_title("Two members on rows they were not trained on")
ax.legend()
plt.show()

# %%
# Members of weight 0 were not refitted on all rows, and are not run for new ones.
test_loss = log_loss(y_test, stacked.predict_proba(X_test))
print(f"log loss of the ensemble on {len(y_test)} test rows: {test_loss:.4f}")
