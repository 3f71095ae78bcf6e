"""Groups and sample weights: rows of one group stay together, weights reach all."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold

from ensemblekit import StackedRegressor

# 60 patients with 8 visits each; a patient's visits are alike.
rng = np.random.default_rng(0)
patient = np.repeat(np.arange(60), 8)
X = rng.normal(size=(60, 5))[patient] + 0.1 * rng.normal(size=(480, 5))
level = rng.normal(size=60)[patient]
y = X[:, 0] - 2.0 * X[:, 1] + level + 0.3 * rng.normal(size=480)
weight = rng.uniform(0.5, 2.0, size=480)

members = [("ridge", Ridge()), ("trees", ExtraTreesRegressor(min_samples_leaf=2))]


def show(title, stacked):
    losses = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    text = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    print(f"{title}\n  squared error: {text}")
    print(f"  weights of ridge and trees: {stacked.weights_.round(2)}")


# The trees recognise a patient from other visits: good for known patients only.
folds = KFold(5, shuffle=True, random_state=0)
visits = StackedRegressor(members, cv=folds, random_state=0)
visits.fit(X, y, sample_weight=weight)
show("visits held out at random", visits)

# What to expect of new patients, and the weights that are best for them.
patients = StackedRegressor(members, cv=GroupKFold(5), random_state=0)
patients.fit(X, y, sample_weight=weight, groups=patient)
show("patients held out whole", patients)
