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
    message = f"{both or 'no'} rows trained on and held out at once"
    advice = "These rows are scored by models that saw them: mend cv."
    verdict = "fail" if both else "ok"
    return [line("splits", "all", both, 0, verdict, message, advice)]


def check_coverage(case):
    """Enough rows are held out for the scores to speak of the data."""
    share = case.covered.mean()
    message = f"{case.covered.sum()} of {case.n_rows} rows are held out"
    verdict = "warn" if share < COVERED else "ok"
    if case.classes is not None:
        lacking = np.setdiff1d(case.targets, case.targets[case.covered])
        if lacking.size:
            message += f", none of the classes {case.classes[lacking].tolist()}"
            verdict = "warn"
    advice = "Scores and weights rest on a part of the data: hold out more."
    return [line("coverage", "all", share, COVERED, verdict, message, advice)]


def check_prefit(case):
    """Members trained elsewhere may have seen the rows they predict."""
    names = [row["name"] for row in case.cross_fit.report_ if row.get("frozen")]
    if not names:
        message = "every member was trained here, on the folds"
        return [line("prefit", "all", 0, 0, "ok", message)]
    message = "trained elsewhere, on rows that nobody knows here"
    advice = (
        "If it has seen these rows, its score is no held-out score and it takes too "
        "much weight: give it unfitted, or audit on rows it has not seen."
    )
    return [line("prefit", name, 1, 0, "warn", message, advice) for name in names]


def check_early_stopping(case):
    """Rows that stop the training flatter the scores on them."""
    report = case.cross_fit.report_
    names = [r["name"] for r in report if r.get("early_stopping") == "held_out"]
    if not names:
        message = "no training is stopped by the rows that score it"
        return [line("early stopping", "all", 0, 0, "ok", message)]
    message = "held-out rows chose its number of rounds"
    advice = "Its score is optimistic: use early_stopping='inner'."
    return [line("early stopping", n, 1, 0, "warn", message, advice) for n in names]


def check_reproduced(case):
    """The fold models give the stored predictions of the rows they held out."""
    models = getattr(case.cross_fit, "fold_estimators_", {})
    if not models:
        message = "not checked: refitted members keep no fold models"
        return [line("reproduced", "all", None, 1e-6, "unknown", message)]
    differences = {
        name: _largest_difference(case, name, models[name]) for name in models
    }
    wrong = [name for name in models if differences[name] > 1e-6]
    advice = (
        "Is this the X of fit, with its rows in the same order? Or is what the member "
        "predicts random?"
    )
    message = "its fold models do not predict what is stored"
    lines = [
        line("reproduced", name, differences[name], 1e-6, "fail", message, advice)
        for name in wrong
    ]
    message = "fold models predict what is stored"
    largest = max(differences.values())
    return lines or [line("reproduced", "all", largest, 1e-6, "ok", message)]


def _largest_difference(case, name, models, n_rows=200):
    """Compare rows that the first fold alone holds out, in units of the largest."""
    times = np.zeros(case.n_rows, dtype=np.int64)
    for _, test in case.splits:
        times[test] += 1
    rows = case.splits[0][1]
    rows = rows[times[rows] == 1][:n_rows]
    if not len(rows):
        return 0.0
    stored = case.blocks[name]
    scale = np.nanmax(np.abs(stored)) or 1.0
    return np.abs(case.predict(name, models[0], rows, 0) - stored[rows]).max() / scale


def check_gap(case):
    """A member cannot do better on held-out rows than on those it was trained on."""
    names = list(case.blocks)
    return [_gap(case, name, len(names)) for name in names]


def _gap(case, name, n_tests):
    inside = _in_sample(case, name)
    if inside is None:
        message = "not checked: the member's models are gone"
        return line("gap", name, None, None, "unknown", message)
    held_out, seen = case.losses[name], case.lose(name, inside)
    paired = ~np.isnan(held_out) & ~np.isnan(seen)
    gap, error, n = case.measure(np.where(paired, held_out - seen, np.nan))
    limit = -critical_value(n_tests, n) * error
    ours, theirs = (
        case.measure(np.where(paired, values, np.nan))[0] for values in (seen, held_out)
    )
    message = f"loss {ours:.3g} on training rows, {theirs:.3g} held out"
    verdict, advice = "ok", ""
    if gap < limit:
        verdict = "warn"
        advice = "Better on rows it was not trained on: are these predictions held out?"
    if theirs > 0.0 and _equal_and_varied(case.blocks[name][paired], inside[paired]):
        verdict = "warn"
        advice = (
            "Models with and without a row predict the same for it, so its fit learns "
            "nothing: was it trained elsewhere, on these rows?"
        )
    return line("gap", name, gap, limit, verdict, message, advice)


def _equal_and_varied(outside, inside):
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
    times = np.zeros((case.n_rows, 1))
    chosen = training_folds(case.splits, rows, case.n_rows)
    for fold, (model, taken) in enumerate(zip(models, chosen, strict=True)):
        if len(taken):
            np.add.at(times, taken, 1.0)
            np.add.at(total, taken, case.predict(name, model, taken, fold))
    total[times[:, 0] == 0] = np.nan  # no model trained on the row
    return total / np.maximum(times, 1.0)


def check_far_ahead(case):
    """One member far ahead of all others may know what it should not."""
    names = case.comparable()
    if len(names) < 2:
        message = "not checked: no two members of one kind to compare"
        return [line("far ahead", "all", None, FAR_AHEAD, "unknown", message)]
    means = {name: case.measure(case.losses[name])[0] for name in names}
    first, second = sorted(names, key=means.__getitem__)[:2]
    lead, error, n = case.measure(case.losses[second] - case.losses[first])
    ratio = means[first] / means[second] if means[second] > 0.0 else 1.0
    ahead = ratio < FAR_AHEAD and lead > critical_value(len(names), n) * error
    message = f"{ratio:.2g} times the loss of {second!r}, the second best"
    advice = "Does it read something that holds the target, or was it trained on it?"
    verdict = "warn" if ahead else "ok"
    return [line("far ahead", first, ratio, FAR_AHEAD, verdict, message, advice)]


def check_duplicates(case):
    """Equal rows on both sides of a split let members remember the answer."""
    exposed = exposed_rows(case.twins, case.splits)
    n_exposed = exposed.sum()
    share = n_exposed / max(case.covered.sum(), 1)
    if not n_exposed:
        message = "no held-out row has an equal one in training"
        return [line("duplicates", "all", 0, FEW_COPIES, "ok", message)]
    n_copies = (exposed & exposed_rows(_number_with_targets(case), case.splits)).sum()
    message = (
        f"{n_exposed} held-out rows have an equal one in training, {n_copies} with an "
        "equal target"
    )
    if share < FEW_COPIES:
        return [line("duplicates", "all", share, FEW_COPIES, "ok", message)]
    found, effect = _effect_of(case, exposed)
    agree = n_copies >= SAME_TARGET * n_exposed
    verdict = "fail" if found and agree and share >= MANY_COPIES else "warn"
    advice = (
        "Copies of one case flatter the scores"
        if agree
        else "Rows may be equal by chance; copies of one case flatter the scores"
    ) + ": hold them out together, with groups= and GroupKFold, or keep one of each."
    return [
        line("duplicates", "all", share, FEW_COPIES, verdict, message + effect, advice)
    ]


def _number_with_targets(case):
    """Number rows by their values and their target."""
    targets = np.unique(case.targets, return_inverse=True)[1]
    pairs = case.twins * (targets.max() + 1) + targets
    return np.unique(pairs, return_inverse=True)[1]


def _effect_of(case, exposed):
    """Say which member gains most on exposed rows, and whether that is no chance."""
    if (exposed | ~case.covered).all():
        return True, "; there are no other rows"
    gains = {name: _gain_on(case, exposed, name) for name in case.losses}
    name = max(gains, key=lambda name: gains[name][0])
    _, _, ours, theirs = gains[name]
    found = any(z > limit for z, limit, _, _ in gains.values())
    return found, f"; loss of {name!r} {ours:.3g} on these, {theirs:.3g} on others"


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
        message = "not checked: groups= was not given"
        return [line("groups", "all", None, 0, "unknown", message)]
    exposed = exposed_rows(case.groups, case.splits)
    n_groups, n_split = (len(np.unique(g)) for g in (case.groups, case.groups[exposed]))
    if not n_split:
        message = f"every split keeps the {n_groups} groups whole"
        return [line("groups", "all", 0, 0, "ok", message)]
    share = exposed.sum() / max(case.covered.sum(), 1)
    message = (
        f"{exposed.sum()} held-out rows have others of their group in training; "
        f"{n_split} of {n_groups} groups are split"
    ) + _effect_of(case, exposed)[1]
    advice = "Scores are those of known groups, not of new ones: use GroupKFold."
    return [line("groups", "all", share, 0, "fail", message, advice)]


def check_columns(case):
    """A column that explains nearly all of y by itself may have been made from it."""
    columns, names = _sampled_columns(case)
    targets, classes = case.targets[case.rows], case.classes
    known = targets[:, None] if classes is None else _one_hot(targets, len(classes))
    shares = [explained_share(column, known) for column in columns]
    best = int(np.argmax(shares))
    message = f"explains {shares[best]:.1%} of the target's variance alone"
    if len(columns) < case.cross_fit.n_features_in_:
        message += f" (of the first {len(columns)} columns)"
    advice = "Is it known before the target is, or was it made from it?"
    verdict = "warn" if shares[best] > ONE_COLUMN else "ok"
    subject = str(names[best])
    return [line("column", subject, shares[best], ONE_COLUMN, verdict, message, advice)]


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
