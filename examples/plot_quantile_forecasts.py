"""
Combine quantile forecasts of several teams
===========================================

Weights of each week come from the weeks before. Where a forecast is absent, the weights
of the others are divided by their sum.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from ensemblekit import (
    QuantileAggregator,
    QuantilePoolRegressor,
    interval_coverage,
    weighted_interval_score,
)
from ensemblekit.plot import QuantileFanDisplay

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Teams: their error, their idea of it, and how often they send a forecast.
TEAMS = {
    "sharp": (0.5, 0.5, 0.9),
    "modest": (0.5, 1.2, 1.0),
    "sure": (0.9, 0.3, 1.0),
    "late": (1.0, 1.0, 0.5),
}
rng = np.random.default_rng(0)
week = np.repeat(np.arange(30), 20)  # 20 places each
y = 10.0 + 3.0 * np.sin(week / 5.0) + rng.normal(size=len(week))
cube = np.empty((len(y), len(TEAMS), len(LEVELS)))
for team, (error, spread, share) in enumerate(TEAMS.values()):
    centre = y + error * rng.normal(size=len(y))
    cube[:, team] = centre[:, None] + spread * norm.ppf(LEVELS)
    cube[rng.uniform(size=len(y)) > share, team] = np.nan  # not sent
P = cube.reshape(len(y), -1)

combiners = {
    "mean": QuantilePoolRegressor(quantile_levels=LEVELS),
    "weights": QuantileAggregator(quantile_levels=LEVELS, absent="renormalise"),
}
Q, new = {}, week >= 5  # weights need some weeks to learn from
for name, combiner in combiners.items():
    Q[name] = np.full((new.sum(), len(LEVELS)), np.nan)
    for now in range(5, 30):
        combiner.fit(P[week < now], y[week < now])
        Q[name][week[new] == now] = combiner.predict_quantiles(P[week == now])
    score = weighted_interval_score(y[new], Q[name], LEVELS)
    covered = interval_coverage(y[new], Q[name][:, 0], Q[name][:, -1], 0.1).coverage[0]
    print(f"{name:11} score {score:.3f}, 90 % intervals cover {covered:.3f}")
print(*TEAMS, combiners["weights"].weights_.round(2))

# %%
# Bands between quantiles of one place, and what came true.
part = y[new][::20], Q["weights"][::20], LEVELS
ax = QuantileFanDisplay.from_predictions(*part, x=week[new][::20], ax=plt.gca()).ax_
ax.set(xlabel="week", ylabel="y", title="Forecasts of the weighted teams")
plt.show()
