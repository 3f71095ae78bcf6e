"""The checks of an audit: each reads a case and returns lines of the table."""

import numpy as np
from scipy import sparse

from .._sklearn import _safe_indexing
from ._case import line
from ._rows import (
    columns_of,
    critical_value,
    explained_share,
    exposed_rows,
    training_folds,
)

COVERED = 0.5
"""Share of the rows held out below which scores speak of a part of the data."""
FEW_COPIES, MANY_COPIES = 0.001, 0.01
"""Shares of the rows with a copy in training: worth a word, and worth a failure."""
SAME_TARGET = 0.95
"""Share of equal rows with equal targets from which they count as copies."""
FAR_AHEAD = 0.02
"""Loss over that of the second best member below which one is far ahead."""
ONE_COLUMN = 0.95
"""Share of the targets' variance that no single column should explain."""
MAX_COLUMNS = 2000
"""Columns that are looked at one by one."""


def check_splits(case):
    """No row is trained on and held out by the same split."""
    both = sum(len(np.intersect1d(train, test)) for train, test in case.splits)
    message = "No row is trained on and held out at once."
    if both:
        message = "Rows are trained on by the split that holds them out; mend cv."
    return [line("splits", "all", both, 0, "fail" if both else "ok", message)]


def check_coverage(case):
    """Enough rows are held out for the scores to speak of the data."""
    share = case.covered.mean()
    message = f"{case.covered.sum()} of {case.n_rows} rows are held out."
    if share < COVERED:
        message += " Scores and weights rest on a part of the data; hold out more."
    if case.classes is not None:
        lacking = np.setdiff1d(case.targets, case.targets[case.covered])
        if lacking.size:
            message += f" No row of {case.classes[lacking].tolist()} is among them."
            share = min(share, 0.0)
    verdict = "warn" if share < COVERED else "ok"
    return [line("coverage", "all", share, COVERED, verdict, message)]


def check_prefit(case):
    """Members trained elsewhere may have seen the rows they predict."""
    names = [row["name"] for row in case.cross_fit.report_ if row.get("frozen")]
    if not names:
        message = "Every member was trained here, on the folds."
        return [line("prefit", "all", 0, 0, "ok", message)]
    message = (
        "Trained elsewhere: if on these rows, its predictions are not held out. Give "
        "it unfitted, or train it on other data."
    )
    return [line("prefit", name, 1, 0, "warn", message) for name in names]


def check_early_stopping(case):
    """Rows that stop the training flatter the scores on them."""
    sources = {row["name"]: row.get("early_stopping") for row in case.cross_fit.report_}
    names = [name for name, source in sources.items() if source == "held_out"]
    if not names:
        message = "No member stops its training by the rows that score it."
        return [line("early stopping", "all", 0, 0, "ok", message)]
    message = (
        "Held-out rows chose the number of rounds, so its score is optimistic. Use "
        "early_stopping='inner'."
    )
    return [line("early stopping", name, 1, 0, "warn", message) for name in names]


def check_reproduced(case):
    """The fold models give the stored predictions of the rows they held out."""
    lines, checked = [], []
    for name, models in getattr(case.cross_fit, "fold_estimators_", {}).items():
        difference = _largest_difference(case, name, models)
        checked.append(name)
        if difference > 1e-6:
            message = (
                "Its fold models predict held-out rows otherwise than stored: is this "
                "the X of fit, in the same order, or are predictions random?"
            )
            lines.append(line("reproduced", name, difference, 1e-6, "fail", message))
    if not checked:
        message = "Not checked: members were fitted again, their fold models are gone."
        return [line("reproduced", "all", None, 1e-6, "unknown", message)]
    message = f"Fold models give the stored predictions ({len(checked)} members)."
    return lines or [line("reproduced", "all", 0, 1e-6, "ok", message)]


def _largest_difference(case, name, models, n_rows=200):
    """Compare rows that the first fold alone holds out, in units of the spread."""
    times = np.zeros(case.n_rows, dtype=np.int64)
    for _, test in case.splits:
        times[test] += 1
    rows = case.splits[0][1]
    rows = rows[times[rows] == 1][:n_rows]
    if not len(rows):
        return 0.0
    stored = case.blocks[name]
    spread = np.nanmax(np.abs(stored)) or 1.0
    return np.abs(case.predict(name, models[0], rows, 0) - stored[rows]).max() / spread


def check_gap(case):
    """A member cannot do better on held-out rows than on those it was trained on."""
    names = list(case.blocks)
    return [_gap(case, name, len(names)) for name in names]


def _gap(case, name, n_tests):
    inside = _in_sample(case, name)
    if inside is None:
        message = "Not checked: the member has no models any more."
        return line("gap", name, None, None, "unknown", message)
    losses = case.lose(name, inside)
    paired = ~np.isnan(losses) & ~np.isnan(case.losses[name])
    gap, error, n = case.measure(np.where(paired, case.losses[name] - losses, np.nan))
    limit = -critical_value(n_tests, n) * error
    ours, theirs = (
        case.measure(np.where(paired, values, np.nan))[0]
        for values in (losses, case.losses[name])
    )
    message = f"Loss {ours:.3g} on rows it was trained on, {theirs:.3g} on held-out."
    if theirs > 0.0 and _learns_nothing(case.blocks[name][paired], inside[paired]):
        message += (
            " Equal predictions by models with and without the row: its fit learns "
            "nothing here. Was it trained elsewhere?"
        )
        return line("gap", name, gap, limit, "warn", message)
    if gap < limit:
        message += " Better on held-out rows: are these predictions held out?"
        return line("gap", name, gap, limit, "warn", message)
    return line("gap", name, gap, limit, "ok", message)


def _learns_nothing(outside, inside):
    constant = np.all(outside == outside[:1])
    return len(outside) > 0 and not constant and np.array_equal(outside, inside)


def _in_sample(case, name):
    """Predict rows by models that trained on them; None where there is no model."""
    rows = case.rows[case.covered[case.rows]]
    total = np.full(case.blocks[name].shape, np.nan)
    if name in case.cross_fit.estimators_:
        total[rows] = case.predict(name, case.cross_fit.estimators_[name], rows)
        return total
    models = getattr(case.cross_fit, "fold_estimators_", {}).get(name)
    if models is None:
        return None
    total[rows] = 0.0
    times = np.zeros(case.n_rows)
    chosen = training_folds(case.splits, rows, case.n_rows)
    for fold, (model, taken) in enumerate(zip(models, chosen, strict=True)):
        if len(taken):
            times += np.bincount(taken, minlength=case.n_rows)
            block = case.predict(name, model, taken, fold)
            np.add.at(total, taken, block)
    with np.errstate(invalid="ignore"):
        return total / times[:, None]  # NaN where no model trained on the row


def check_far_ahead(case):
    """One member far ahead of all others may know what it should not."""
    names = case.comparable()
    if len(names) < 2:
        message = "Not checked: there are no two members of one kind to compare."
        return [line("far ahead", "all", None, FAR_AHEAD, "unknown", message)]
    means = {name: case.measure(case.losses[name])[0] for name in names}
    first, second = sorted(names, key=means.__getitem__)[:2]
    gain, error, n = case.measure(case.losses[second] - case.losses[first])
    ratio = means[first] / means[second] if means[second] > 0.0 else 1.0
    ahead = ratio < FAR_AHEAD and gain > critical_value(len(names), n) * error
    message = f"Its loss is {ratio:.2g} times that of {second!r}, the second best."
    if ahead:
        message += " Does it read something that holds the target?"
    verdict = "warn" if ahead else "ok"
    return [line("far ahead", first, ratio, FAR_AHEAD, verdict, message)]


def check_duplicates(case):
    """Equal rows on both sides of a split let members remember the answer."""
    exposed = exposed_rows(case.twins, case.splits)
    share = exposed.sum() / max(case.covered.sum(), 1)
    if not exposed.any():
        message = "No held-out row has an equal one in training."
        return [line("duplicates", "all", 0, FEW_COPIES, "ok", message)]
    targets = np.unique(case.targets, return_inverse=True)[1]
    pairs = case.twins * (targets.max() + 1) + targets
    copies = exposed & exposed_rows(
        np.unique(pairs, return_inverse=True)[1], case.splits
    )
    message = (
        f"{exposed.sum()} held-out rows have an equal one in training, "
        f"{copies.sum()} with the same target."
    )
    if share < FEW_COPIES:
        return [line("duplicates", "all", share, FEW_COPIES, "ok", message)]
    found, effect = _effect_of(case, exposed)
    agreeing = copies.sum() >= SAME_TARGET * exposed.sum()
    failed = found and agreeing and share >= MANY_COPIES
    message += f" {effect} Hold equal rows out together: groups= and GroupKFold."
    verdict = "fail" if failed else "warn"
    return [line("duplicates", "all", share, FEW_COPIES, verdict, message)]


def _effect_of(case, exposed):
    """Say which member gains most on exposed rows, and whether that is no chance."""
    if (exposed | ~case.covered).all():
        return True, "No other row is held out."
    gains = {name: _gain_on(case, exposed, name) for name in case.losses}
    name = max(gains, key=lambda name: gains[name][0])
    _, _, ours, theirs = gains[name]
    found = any(z > limit for z, limit, _, _ in gains.values())
    return found, f"Loss of {name!r} on these {ours:.3g}, on others {theirs:.3g}."


def _gain_on(case, exposed, name):
    """Return z and its limit of a lower loss on exposed rows, and both losses."""
    losses = case.losses[name]
    ours, our_error, n_ours = case.measure(np.where(exposed, losses, np.nan))
    theirs, their_error, n = case.measure(np.where(exposed, np.nan, losses))
    error = np.hypot(our_error, their_error)
    z = (theirs - ours) / error if error > 0.0 else 0.0
    return z, critical_value(len(case.losses), min(n_ours, n)), ours, theirs


def check_groups(case):
    """Rows of one group on both sides of a split share what the group has in common."""
    if case.groups is None:
        message = "Not checked: give groups= where rows belong together."
        return [line("groups", "all", None, 0, "unknown", message)]
    exposed = exposed_rows(case.groups, case.splits)
    share = exposed.sum() / max(case.covered.sum(), 1)
    if not exposed.any():
        message = "Every split keeps groups whole."
        return [line("groups", "all", 0, 0, "ok", message)]
    split = len(np.unique(case.groups[exposed]))
    message = (
        f"{exposed.sum()} held-out rows have others of their group in training "
        f"({split} of {len(np.unique(case.groups))} groups are split). "
        f"{_effect_of(case, exposed)[1]} Use GroupKFold."
    )
    return [line("groups", "all", share, 0, "fail", message)]


def check_columns(case):
    """A column that explains nearly all of y by itself may have been made from it."""
    columns, names = _sampled_columns(case)
    targets, classes = case.targets[case.rows], case.classes
    known = targets[:, None] if classes is None else _one_hot(targets, len(classes))
    shares = [explained_share(column, known) for column in columns]
    best = int(np.argmax(shares))
    message = f"Explains {shares[best]:.1%} of the target's variance by itself."
    if len(columns) < case.cross_fit.n_features_in_:
        message += f" (The first {len(columns)} columns were looked at.)"
    verdict = "ok"
    if shares[best] > ONE_COLUMN:
        verdict = "warn"
        message += " Was it known before the target was?"
    subject = str(names[best])
    return [line("column", subject, shares[best], ONE_COLUMN, verdict, message)]


def _one_hot(codes, n_classes):
    return (codes[:, None] == np.arange(n_classes)).astype(np.float64)


def _sampled_columns(case):
    sample = _safe_indexing(case.X, case.rows)
    if sparse.issparse(sample):
        sample = sparse.csc_array(sample)[:, :MAX_COLUMNS].toarray()
    names = getattr(case.cross_fit, "feature_names_in_", None)
    columns = columns_of(sample)[:MAX_COLUMNS]
    if names is None:
        names = [f"column {j}" for j in range(len(columns))]
    return columns, names
