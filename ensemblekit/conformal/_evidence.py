"""What a model says for a row: its target is above the threshold."""

import warnings

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyRegressor

from .._members import is_frozen
from .._sklearn import _num_samples
from ..exceptions import describe_rows
from ..quantile_members._base import weight_arguments


def fit_evidence(member, X, y, limits, weight):
    """Fit a regressor on y, a classifier on whether y is above its limit."""
    if is_frozen(member):
        return member
    keywords = weight_arguments(member, weight)
    if not is_classifier(member):
        return member.fit(X, y, **keywords)
    above = (y > limits).astype(np.int64)
    if above.min() == above.max():
        warnings.warn(
            f"All {len(y)} training rows of the classifier have y "
            f"{'above' if above[0] else 'at or below'} the threshold: it cannot learn, "
            "and all rows rank alike. Choose another threshold.",
            stacklevel=4,
        )
        return DummyRegressor(strategy="constant", constant=0.0).fit(X, above)
    return member.fit(X, above, **keywords)


def evidence(model, X, shift):
    """Return one number for each row, high where y is likely above its threshold."""
    if not is_classifier(model):
        values = np.asarray(model.predict(X), dtype=np.float64)
        values = values.reshape(_num_samples(X), -1)[:, 0] - shift
    elif len(model.classes_) != 2:
        raise ValueError(
            f"{type(model).__name__} has {len(model.classes_)} classes; expected 2, "
            "the second for rows above the threshold."
        )
    elif hasattr(model, "predict_proba"):
        values = np.asarray(model.predict_proba(X), dtype=np.float64)[:, 1]
    else:
        values = np.asarray(model.decision_function(X), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{type(model).__name__} predicts NaN or infinity ({describe_rows(bad)}); "
            "expected numbers."
        )
    return values
