"""
Selective prediction: risk against coverage
===========================================

A classifier may abstain where it is probably wrong. Here it answers as many rows as it
can while at most 5 % of the answers are wrong, with a probability of 90 %.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

from ensemblekit import SelectiveClassifier, StackedClassifier, aurc, risk_at_coverage
from ensemblekit.plot import RiskCoverageDisplay

X, y = load_digits(return_X_y=True)
X = X[:, ::3]  # a third of the pixels, to leave something to abstain from
X, X_new, y, y_new = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
members = [
    ("linear", LogisticRegression(C=0.01, max_iter=2000)),
    ("trees", ExtraTreesClassifier(50)),
    ("bayes", GaussianNB(var_smoothing=0.01)),
]
selective = SelectiveClassifier(
    StackedClassifier(members, cv=3, random_state=0),
    method="sgr",
    target=0.05,
    delta=0.1,
    calibration_size=0.4,
    random_state=0,
)
found = selective.fit(X, y).predict_selective(X_new)
wrong = found.labels != y_new
print(f"all rows answered:   {wrong.mean():.3f} wrong")
answered = found.accepted
print(f"{answered.mean():.3f} are answered:  {wrong[answered].mean():.3f} wrong")

# %%
# The curve takes the rows from the most confident down; the dashed one has the same
# errors in the best order. The threshold of the fitted classifier is marked.
figure, ax = plt.subplots(layout="constrained")
RiskCoverageDisplay.from_estimator(selective, X_new, y_new, ax=ax)
plt.show()

# %%
# The same curve in figures.
confidence = selective.predict_proba(X_new).max(axis=1)
for share in (0.5, 0.7, 0.9, 1.0):
    risk = risk_at_coverage(confidence, ~wrong, share)
    print(f"{risk:.3f} wrong among the {share:.0%} most confident")
print(f"area under the curve: {aurc(confidence, ~wrong):.4f}")
