"""Stack a table: members and a combiner as one scikit-learn estimator."""

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensemblekit import StackedClassifier

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

members = [
    ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
    ("trees", ExtraTreesClassifier(min_samples_leaf=2)),
    ("boosting", GradientBoostingClassifier()),
]
stacked = StackedClassifier(members, random_state=0).fit(X, y)

# Members and ensemble on held-out rows: log loss, its standard error over the folds.
print(pd.DataFrame(stacked.leaderboard_).round(4).to_string(index=False))

# Members of weight 0 were not refitted on all rows, and are not run here.
test_loss = log_loss(y_test, stacked.predict_proba(X_test))
print(f"\nlog loss of the ensemble on {len(y_test)} test rows: {test_loss:.4f}")
