"""
A report on one page
====================

What members and ensemble are worth, and why to believe it: one file that needs no
network. The figures behind the page are a dict, for charts of your own.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from ensemblekit import EnsembleReport, StackedRegressor

X, y = load_diabetes(return_X_y=True)
members = [
    ("ridge", Ridge(0.1)),
    ("trees", ExtraTreesRegressor(40, min_samples_leaf=3, random_state=0)),
    ("nearest", KNeighborsRegressor(15)),
    ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
]
stacked = StackedRegressor(members, random_state=0).fit(X, y)
report = EnsembleReport(stacked, X, y)
with TemporaryDirectory() as folder:
    path = Path(folder) / "report.html"
    report.to_html(path)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
content = report.to_dict()
print(content["verdict"])

# %%
# The leaderboard as a chart.
board = content["leaderboard"]
rows = board["rows"][::-1]
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for row in rows:
    colour = "#0072B2" if row["kind"] == "member" else "#D55E00"
    ax.errorbar(row["score"], row["name"], xerr=row["score_se"], fmt="o", color=colour)
metric = board["metric"].replace("_", " ")
ax.set_xlabel(f"{metric} on held-out rows, ±1 standard error")
plt.show()

# %%
# In a notebook the report shows itself, as it does here.
report
