"""default_members: a good, fast library to start from."""

from importlib.util import find_spec

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils import check_array
from sklearn.utils.validation import has_fit_parameter

__all__ = ["default_members"]

_TASKS = ("classification", "regression")


def default_members(task):
    """Return five diverse, fast members for tables of numbers and categories.

    LightGBM and XGBoost when installed (else scikit-learn's histogram boosting), random
    forest, extra trees, and a linear model. Each takes arrays and data frames with
    missing values; columns that are not numbers are encoded.

    Parameters
    ----------
    task : {"classification", "regression"}

    Returns
    -------
    members : list of (str, Pipeline)
        With ``random_state=None``; all use one thread (parallelism is the
        cross-fit's) and accept sample weights.

    Raises
    ------
    ValueError
        If the task is unknown.

    Examples
    --------
    >>> [name for name, _ in default_members("regression")][-3:]
    ['random_forest', 'extra_trees', 'linear']
    """
    if task not in _TASKS:
        raise ValueError(f"Unknown task {task!r}. Expected one of {_TASKS}.")
    classification = task == "classification"
    forest = RandomForestClassifier if classification else RandomForestRegressor
    extra = ExtraTreesClassifier if classification else ExtraTreesRegressor
    linear = LogisticRegression(max_iter=1000) if classification else Ridge()
    models = [
        *_boosting(classification),
        ("random_forest", forest(min_samples_leaf=2)),
        ("extra_trees", extra(min_samples_leaf=2)),
    ]
    members = [(name, make_pipeline(encode_categories(), m)) for name, m in models]
    return [*members, ("linear", make_pipeline(scale_and_encode(), linear))]


def _boosting(classification):
    found = []
    if find_spec("lightgbm"):
        import lightgbm

        model = lightgbm.LGBMClassifier if classification else lightgbm.LGBMRegressor
        settings: dict = {"n_estimators": 150, "learning_rate": 0.06, "num_leaves": 24}
        found.append(("lightgbm", model(**settings, n_jobs=1, verbose=-1)))
    if find_spec("xgboost"):
        import xgboost

        model = xgboost.XGBClassifier if classification else xgboost.XGBRegressor
        settings = {"n_estimators": 150, "learning_rate": 0.08, "max_depth": 5}
        found.append(("xgboost", model(**settings, n_jobs=1)))
    if not found:
        model = (
            HistGradientBoostingClassifier
            if classification
            else HistGradientBoostingRegressor
        )
        found.append(("hist_gradient_boosting", model()))
    return found


def request_weights(members):
    """Have each pipeline's model take routed sample weights, and no other step."""
    for _, pipeline in members:
        for step in pipeline.get_params(deep=True).values():
            if has_fit_parameter(step, "sample_weight"):
                step.set_fit_request(sample_weight=step is pipeline.steps[-1][1])
    return members


def encode_categories():
    """Return a transformer: categories as numbers, the rest (and missing) as it is."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    numbers = FunctionTransformer(_to_float)
    return make_column_transformer((encoder, category_columns), remainder=numbers)


def scale_and_encode():
    """Return a transformer: categories one-hot, numbers imputed and standardised."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_pipeline(
        FunctionTransformer(_to_float),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    )
    return make_column_transformer((encoder, category_columns), remainder=numbers)


def category_columns(X):
    """Return the positions of X's columns that hold no numbers.

    Of an array all columns, or none. Names would not do: ColumnTransformer takes names
    that are integers for positions.
    """
    if not hasattr(X, "columns"):
        is_text = getattr(X, "dtype", None) is not None and X.dtype.kind in "OUS"
        return list(range(X.shape[1])) if is_text else []
    return [i for i, dtype in enumerate(X.dtypes) if not _is_number(dtype)]


def _to_float(X):
    """Turn numbers of any type, pandas' nullable ones included, into float64."""
    return check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")


def _is_number(dtype):
    if hasattr(dtype, "is_numeric"):  # polars
        return dtype.is_numeric() or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in "biuf"
