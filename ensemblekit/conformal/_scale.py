"""How uncertain each row is: what residuals are divided by before they are ranked."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._members import last_step, respond, with_seed
from .._rows import residual_folds
from ..exceptions import describe_rows
from ..quantile_members._base import weight_arguments
from ..quantile_members.residual import cross_fit_model

# beta: this share of the deviation of y is added to each scale.
_BETA = 0.01


class Scale:
    """What residuals of a row are divided by: ``sizes(X) + beta``.

    Parameters
    ----------
    sizes : callable, X -> (n_samples,)
    beta : float, default=0.0
        Above 0 if a size may be 0.
    """

    def __init__(self, sizes, beta=0.0):
        self.sizes = sizes
        self.beta = beta

    def __call__(self, X):
        scale = np.asarray(self.sizes(X), dtype=np.float64)
        strange = np.flatnonzero(~np.isfinite(scale))
        if strange.size:
            raise ValueError(
                f"The normalizer predicts NaN or infinity ({describe_rows(strange)}); "
                "expected finite numbers."
            )
        if self.beta > 0.0:
            return np.maximum(scale, 0.0) + self.beta
        bad = np.flatnonzero(~(scale > 0.0))
        if bad.size:
            raise ValueError(
                f"The normalizer is not positive ({describe_rows(bad)}) and was fitted "
                "elsewhere, so that no floor is known. Use fit, or a normalizer that "
                "predicts positive sizes."
            )
        return scale


def fit_scale(regressor, model, fresh, X, y, weight, seed):
    """Return the Scale that `normalizer` stands for; None where residuals stay.

    `model` is fitted, `fresh` is the same estimator before. A normalizer is fitted on
    residuals of held-out rows: those of a model on rows it has seen are too small, most
    of all where it is flexible.
    """
    if regressor.normalizer is None:
        return None
    beta = _BETA * _deviation(y, weight) or 1.0
    if regressor.normalizer == "spread":
        return Scale(spread_of(model), beta)
    folds = residual_folds(len(y), seed)
    _, held_out = cross_fit_model(fresh, folds, X, y, weight, refit="none")
    sizes = with_seed(regressor.normalizer, seed)
    sizes.fit(X, np.abs(y - held_out), **weight_arguments(sizes, weight))
    return Scale(sizes.predict, beta)


def adopt_scale(regressor, model):
    """Return the Scale of a normalizer that is fitted already."""
    if regressor.normalizer is None:
        return None
    if regressor.normalizer == "spread":
        return Scale(spread_of(model))
    check_is_fitted(regressor.normalizer)
    return Scale(regressor.normalizer.predict)


def spread_of(model):
    """Return how to tell from a model alone how uncertain it is of a row.

    Raises
    ------
    ValueError
        If it predicts no quantiles and is no stack.
    """
    last = last_step(model)
    if hasattr(last, "quantile_levels_") and hasattr(last, "predict_quantiles"):
        return QuantileWidth(model)
    if hasattr(last, "cross_fit_"):
        return MemberSpread(model)
    raise ValueError(
        "normalizer='spread' needs an estimator that predicts quantiles or is a "
        f"StackedRegressor; got {type(last).__name__}. Give a regressor as normalizer."
    )


class QuantileWidth:
    """Distance between the outermost quantiles that a model predicts."""

    def __init__(self, model):
        self.model = model

    def __call__(self, X):
        quantiles = respond(self.model, "predict_quantiles", X)
        return quantiles.max(axis=1) - quantiles.min(axis=1)


class MemberSpread:
    """Standard deviation of the predictions of a stack's members with weight."""

    def __init__(self, model):
        self.model = model

    def __call__(self, X):
        model = self.model
        while isinstance(model, Pipeline):
            X = model[:-1].transform(X) if len(model.steps) > 1 else X
            model = model.steps[-1][1]
        needed = model._needed_members()
        P = model.cross_fit_.predict_members(X, needed)
        columns = dict(model.cross_fit_.column_blocks())
        return P[:, np.concatenate([columns[name] for name in needed])].std(axis=1)


def _deviation(y, weight):
    mean = np.average(y, weights=weight)
    return float(np.sqrt(np.average((y - mean) ** 2, weights=weight)))
