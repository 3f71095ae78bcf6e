"""
A cascade: costly members only where they matter
================================================

The cheap member answers first; rows of low confidence go on to the costly one. A budget
chooses how many, on held-out rows.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

from ensemblekit import CascadeClassifier

X, y = make_classification(
    3000, 12, n_informative=8, n_clusters_per_class=3, random_state=0
)
X, X_new, y, y_new = train_test_split(X, y, test_size=0.5, random_state=0)
members = [
    ("small", ExtraTreesClassifier(8, min_samples_leaf=5, random_state=0)),
    ("large", ExtraTreesClassifier(80, random_state=1)),
]
cascade = CascadeClassifier(
    members, costs=[1, 20], max_cost=5, loss="zero_one", cv=3, random_state=0
)
cascade.fit(X, y)
print(f"window {cascade.window_:.2f}: {cascade.expected_cost_:.1f} a held-out row")
print(f"all members for all rows: {cascade.costs_.sum():.0f}")

# %%
# Cost and loss at every window, from the first member alone to the whole ensemble.
curve = cascade.cost_curve_
chosen = curve.at(cascade.window_)
figure, ax = plt.subplots(layout="constrained")
ax.step(curve.cost, curve.loss, where="post", color="#0072B2")
for point, text in [(0, "small alone"), (chosen, "chosen"), (-1, "all members")]:
    ax.plot(curve.cost[point], curve.loss[point], "o", color="#D55E00")
    ax.annotate(
        text,
        (curve.cost[point], curve.loss[point]),
        xytext=(4, 6),
        textcoords="offset points",
        ha="right" if point == -1 else "left",
    )
ax.margins(y=0.1)
ax.set(xlabel="mean cost of a row (small: 1)", ylabel="error rate, held out")
plt.show()

# %%
# New rows: members by themselves, and the cascade.
for name, member in cascade.cross_fit_.estimators_.items():
    print(f"{name:8} error rate {1 - member.score(X_new, y_new):.3f}")
print(f"cascade  error rate {1 - cascade.score(X_new, y_new):.3f}")
