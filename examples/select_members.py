"""Select members: an honest score, what they cost, and a line between classes."""

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from ensemblekit import CrossFit, EnsembleSelectionClassifier

X, y = make_classification(3000, 20, n_informative=8, weights=[0.85], random_state=0)
members = [
    ("linear", LogisticRegression(max_iter=500)),
    ("bayes", GaussianNB()),
    ("nearest", KNeighborsClassifier(15)),
    ("forest", RandomForestClassifier(100, min_samples_leaf=3, random_state=0)),
    ("extra", ExtraTreesClassifier(100, min_samples_leaf=3, random_state=0)),
]
crossfit = CrossFit(members, refit="all", random_state=0).fit(X[:2000], y[:2000])
library = crossfit.library_

selection = EnsembleSelectionClassifier(nested_cv=5).fit(library.P, library.y)
score = selection.nested_score_
print(f"log loss on the rows that chose  {selection.loss_:.4f}")
print(f"on rows not used to choose       {score.loss:.4f} (se {score.se:.4f})")
print(f"best member, chosen likewise     {score.best_member_loss:.4f}")
print()
print("member    weight  picks   alone  without")
for row, name in zip(selection.explain(), library.names, strict=True):
    without = row["loss_without"]
    print(
        f"{name:9} {row['weight']:6.2f} {row['n_picks']:6} {row['own_loss']:7.4f}  "
        + (f"{without:.4f}" if np.isfinite(without) else "     -")
    )
print()

seconds = [0.01, 0.01, 0.1, 0.2, 0.2]
priced = EnsembleSelectionClassifier(cost=seconds).fit(library.P, library.y)
print("seconds  log loss")
for cost, loss in zip(priced.frontier_.costs, priced.frontier_.losses, strict=True):
    print(f"{cost:7.2f}  {loss:.4f}")
print()

P_new = crossfit.transform(X[2000:])
for tune in (False, True):
    labels = EnsembleSelectionClassifier(loss="balanced_accuracy", tune_offsets=tune)
    labels.fit(library.P, library.y)
    found = balanced_accuracy_score(y[2000:], labels.predict(P_new))
    print(f"balanced accuracy on new rows, offsets tuned: {tune!s:5}  {found:.3f}")
