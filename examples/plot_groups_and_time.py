"""
Groups and time: folds that keep apart what belongs together
============================================================

Visits of one patient are alike, and so are days in a row. Folds that cut through them
flatter members that recognise a row, and give those too much weight.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit

from ensemblekit import StackedRegressor

members = [("ridge", Ridge()), ("trees", ExtraTreesRegressor(40, min_samples_leaf=2))]
shuffled = KFold(5, shuffle=True, random_state=0)
names = "ridge", "trees", "ensemble"
rng = np.random.default_rng(0)


def held_out_losses(X, y, cv, **given):
    """Return the losses of members and ensemble, and print the weights."""
    stacked = StackedRegressor(members, cv=cv, random_state=0).fit(X, y, **given)
    print(f"{type(cv).__name__:16} weights {stacked.weights_.round(2)}")
    losses = {row["name"]: row["loss"] for row in stacked.leaderboard_}
    return [losses[name] for name in names]


# 60 patients with 8 visits each, whose groups are given to `fit`.
patient = np.repeat(np.arange(60), 8)
X = rng.normal(size=(60, 5))[patient] + 0.1 * rng.normal(size=(480, 5))
y = X[:, 0] - 2.0 * X[:, 1] + rng.normal(size=60)[patient] + 0.3 * rng.normal(size=480)
visits = held_out_losses(X, y, shuffled)
kept = held_out_losses(X, y, GroupKFold(5), groups=patient)

# %%
# A level that drifts: trees look up the days beside one that is held out. Folds in time
# are predicted from the days before; of the first, which are not, a warning tells.
warnings.filterwarnings("ignore", message="cv holds out")
X = np.column_stack([np.arange(480) / 100, rng.normal(size=(480, 2))])
y = np.cumsum(0.3 * rng.normal(size=480)) + X[:, 1] + 0.3 * rng.normal(size=480)
mixed = held_out_losses(X, y, shuffled)
later = held_out_losses(X, y, TimeSeriesSplit(5))

# %%
# The second bar of a pair is what to expect of new patients, and of days to come.
cases = {"patients": (visits, kept), "days": (mixed, later)}
figure, axes = plt.subplots(1, 2, layout="constrained")
for ax, (title, (cut, apart)) in zip(axes, cases.items(), strict=True):
    ax.bar(np.arange(3) - 0.2, cut, 0.38, label="shuffled folds")
    ax.bar(np.arange(3) + 0.2, apart, 0.38, label="kept apart")
    ax.set_title(title)
    ax.set_xticks(range(3), names)
axes[0].set_ylabel("squared error, held out")
axes[1].legend()
plt.show()
