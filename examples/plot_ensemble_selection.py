"""
Ensemble selection and the path of its loss
===========================================

Members are picked greedily, with replacement, for any loss. The path shows what each
pick brings, on the rows that chose; a nested score says what that hides.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from ensemblekit import CrossFit, EnsembleSelectionClassifier
from ensemblekit.plot import LossPathDisplay

X, y = make_classification(2000, 12, n_informative=8, weights=[0.8], random_state=0)
members = [
    ("linear", LogisticRegression(max_iter=500)),
    ("bayes", GaussianNB()),
    ("nearest", KNeighborsClassifier(15)),
    ("forest", RandomForestClassifier(40, min_samples_leaf=3, random_state=0)),
    ("extra", ExtraTreesClassifier(40, min_samples_leaf=3, random_state=0)),
]
crossfit = CrossFit(members, cv=3, refit="all", random_state=0)
library = crossfit.fit(X[:1000], y[:1000]).library_
selection = EnsembleSelectionClassifier(n_rounds=15, nested_cv=5)
selection.fit(library.P, library.y)
for row, name in zip(selection.explain(), library.names, strict=True):
    print(f"{name:8} {row['n_picks']:2} picks, weight {row['weight']:.2f}")

# %%
# The dashed line is the loss on rows that had no part in the choice.
score = selection.nested_score_
figure, ax = plt.subplots(layout="constrained")
LossPathDisplay.from_predictions(None, library, combiner=selection, ax=ax)
label = f"nested: {score.loss:.3f}, best member {score.best_member_loss:.3f}"
ax.axhline(score.loss, color="#D55E00", linestyle="--", label=label)
ax.set_ylabel("log loss")
ax.legend()
plt.show()

# %%
# Where members cost something, one fit keeps all ensembles that are worth their price.
priced = EnsembleSelectionClassifier(cost=[1, 1, 10, 20, 20])
priced.fit(library.P, library.y)
for cost, loss in zip(priced.frontier_.costs, priced.frontier_.losses, strict=True):
    print(f"cost {cost:3.0f}: log loss {loss:.4f}")

# %%
# For metrics of labels the line between the classes matters more than the mixture.
for tune in (False, True):
    labels = EnsembleSelectionClassifier(loss="balanced_accuracy", tune_offsets=tune)
    predicted = labels.fit(library.P, library.y).predict(crossfit.transform(X[1000:]))
    found = balanced_accuracy_score(y[1000:], predicted)
    print(f"balanced accuracy on new rows, offsets tuned: {tune!s:5}  {found:.3f}")
