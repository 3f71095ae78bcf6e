"""Influenza forecasts of 2023/24: weights trained week by week on earlier dates only.

26 members of the FluSight hub, 53 places, horizons 0 to 3 weeks, 23 quantiles. Before
each reference date the weights of `QuantileAggregator` are fitted on forecasts whose
target week is over; the new ones are mixed, and their intervals stretched about the
median by what the forecasts so far would have needed (conformal ranks of past weeks,
without a guarantee: weeks are not exchangeable). Scores are relative to the hub's
baseline: the sum of weighted interval scores over the same rows.
"""

import harness
import numpy as np
from real_tables import DATA
from threadpoolctl import threadpool_limits

from ensemblekit import QuantileAggregator, conformal_quantile, kernels

KEY = ["reference_date", "target_end_date", "location", "horizon"]
FIRST_WEEKS = 3  # of mixing without weights
# Weeks are few and their rows far from independent, so weights are drawn to something
# simple. All ridges are shown: none is chosen by what came out.
RIDGES = (1.0, 3.0, 10.0, 30.0)


def read_season():
    """Return levels, members (n, m, q), references by name, y, and the weeks."""
    import pandas as pd

    files = [
        DATA / "libraries" / f"flusight_2023_24_h{horizon}.parquet"
        for horizon in range(4)
    ]
    forecasts = pd.concat([pd.read_parquet(file) for file in files])
    columns = [name for name in forecasts if name.startswith("q")]
    rows = forecasts[[*KEY, "target"]].drop_duplicates(KEY).set_index(KEY).sort_index()

    def of(model):
        own = forecasts[forecasts.model == model].set_index(KEY)
        return own[columns].reindex(rows.index).to_numpy(np.float64)

    members = sorted(forecasts[~forecasts.is_reference].model.unique())
    P = np.stack([of(model) for model in members], axis=1)
    references = {
        name: of(name) for name in forecasts[forecasts.is_reference].model.unique()
    }
    used = ~np.isnan(references["FluSight-baseline"]).any(axis=1)
    used &= ~np.isnan(rows.target.to_numpy(np.float64))
    used &= ~np.isnan(P).all(axis=(1, 2))
    levels = np.array([float(name[1:]) for name in columns])
    references = {name: Q[used] for name, Q in references.items()}
    made = rows.index.get_level_values(0).to_numpy()[used]
    over = rows.index.get_level_values(1).to_numpy()[used]
    return (
        levels,
        P[used],
        references,
        rows.target.to_numpy(np.float64)[used],
        made,
        over,
    )


def mix_by_week(P, y, made, over, levels, **parameters):
    """Return what weights fitted on earlier weeks predict for each week."""
    prediction = np.nanmean(P, axis=1)
    flat = P.reshape(len(P), -1)
    for week in np.unique(made)[FIRST_WEEKS:]:
        past, now = over < week, made == week
        combiner = QuantileAggregator(
            quantile_levels=levels, absent="renormalise", **parameters
        )
        combiner.fit(flat[past], y[past])
        prediction[now] = combiner.predict_quantiles(flat[now])
    return prediction


def stretch_by_week(Q, y, made, over, levels):
    """Stretch each week's intervals by what the weeks before it would have needed."""
    stretched, middle = Q.copy(), Q[:, len(levels) // 2]
    for week in np.unique(made)[FIRST_WEEKS:]:
        past, now = over < week, made == week
        for k in range(len(levels) // 2):
            below = np.maximum(middle - Q[:, k], 0.5)  # half an admission
            above = np.maximum(Q[:, -1 - k] - middle, 0.5)
            error = y[past] - middle[past]
            scores = np.maximum(-error / below[past], error / above[past])
            factor = conformal_quantile(scores, str(round(2.0 * levels[k], 6)))
            stretched[now, k] = middle[now] - factor * below[now]
            stretched[now, -1 - k] = middle[now] + factor * above[now]
    return np.maximum(kernels.monotone.widen_rows(stretched, len(levels) // 2), 0.0)


def row_scores(y, Q, levels):
    """Return the weighted interval score of each row."""
    error = y[:, None] - Q
    return 2.0 * np.maximum(levels * error, (levels - 1.0) * error).mean(axis=1)


def print_scores(name, Q, y, levels, baseline, mean, made):
    """Print relative score and coverage on the rows that Q has.

    Also its difference to the score of the mean of the members, with the standard error
    of sums over whole weeks: rows of a week are not independent.
    """
    has = ~np.isnan(Q).any(axis=1)
    total = row_scores(y[has], baseline[has], levels).sum()
    relative = row_scores(y[has], Q[has], levels).sum() / total
    lead = row_scores(y[has], Q[has], levels) - row_scores(y[has], mean[has], levels)
    weeks = np.unique(made[has], return_inverse=True)[1]
    sums = np.bincount(weeks, lead) / total
    error = np.sqrt(len(sums) * sums.var(ddof=1))
    shares = []
    for coverage in (0.5, 0.9):
        low = int(np.argmin(np.abs(levels - (1.0 - coverage) / 2)))
        inside = (y[has] >= Q[has, low]) & (y[has] <= Q[has, -1 - low])
        shares.append(f"{inside.mean():.3f}")
    against = f"{sums.sum():+.4f} ± {error:.4f}"
    print(f"| {name} | {relative:.4f} | {against} | {' | '.join(shares)} |")


def main():
    harness.print_header("FluSight 2023/24, week by week")
    if not (DATA / "libraries").exists():
        print(f"skipped: no libraries in {DATA}; set ENSEMBLEKIT_DATA")
        return
    levels, P, references, y, made, over = read_season()
    print(f"{len(y)} forecasts, {P.shape[1]} members\n")
    print(
        "| forecast | relative WIS | minus the mean's | 50 % covered | 90 % covered |\n"
        "|---|---|---|---|---|"
    )
    rows = y, levels, references["FluSight-baseline"], np.nanmean(P, axis=1), made
    weeks = y, made, over, levels
    for name, Q in references.items():
        print_scores(name, Q, *rows)
    with threadpool_limits(1):
        found = {
            "mean": np.nanmean(P, axis=1),
            "median": np.nanmedian(P, axis=1),
            "coarse, ridge auto": mix_by_week(P, *weeks),
        }
        for center in ("uniform", "inverse_loss"):
            for ridge in RIDGES:
                found[f"coarse, {center}, ridge={ridge:g}"] = mix_by_week(
                    P, *weeks, ridge=ridge, ridge_center=center
                )
        found["medium, inverse_loss, ridge=10"] = mix_by_week(
            P, *weeks, weights="medium", ridge=10.0, ridge_center="inverse_loss"
        )
    for name, Q in found.items():
        print_scores(name, Q, *rows)
        print_scores(f"{name}, stretched", stretch_by_week(Q, *weeks), *rows)


if __name__ == "__main__":
    main()
