"""PrefitMember: a member that was trained elsewhere, and what is known of that."""

import warnings

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from . import layout
from ._members import ends_frozen
from ._sklearn import HasMethods
from .exceptions import MemberError, MemberTypeError

__all__ = ["PrefitMember"]


class PrefitMember(FrozenEstimator):
    """A fitted model as a member of a cross-fit, never fitted again.

    Predictions of rows that a model was trained on say nothing of its skill, and a
    combiner fitted on them trusts it too much. A fitted member therefore comes with its
    out-of-fold predictions, or with the statement that it was trained on other rows.

    Parameters
    ----------
    estimator : fitted estimator
        Predicts new rows.
    oof_predictions : array-like of shape (n_samples,) or (n_samples, n_outputs), \
            default=None
        What models of the same kind predicted for the rows given to `fit`, in their
        order, without having been trained on them: values, probabilities (of two
        classes the second or both) or quantiles.
    trained_on_other_rows : bool, default=False
        State that the model has seen none of the rows given to `fit`, so that its own
        predictions of them are held out.

    Raises
    ------
    ValueError
        In the cross-fit: if neither or both are given, or the predictions do not fit
        the rows.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from ensemblekit import CrossFit
    >>> model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    >>> member = PrefitMember(model, trained_on_other_rows=True)
    >>> X, y = [[2.0], [3.0], [4.0], [5.0]], [4.0, 6.0, 8.0, 9.0]
    >>> CrossFit([("line", member)], cv=2).fit_transform(X, y).ravel()
    array([ 4.,  6.,  8., 10.])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "oof_predictions": ["array-like", None],
        "trained_on_other_rows": ["boolean"],
    }

    def __init__(self, estimator, *, oof_predictions=None, trained_on_other_rows=False):
        super().__init__(estimator)
        self.oof_predictions = oof_predictions
        self.trained_on_other_rows = trained_on_other_rows

    def get_params(self, deep=True):
        """Return the parameters; those of the fitted model are not among them.

        Parameters
        ----------
        deep : bool, default=True
            Changes nothing.

        Returns
        -------
        params : dict of str to object
        """
        names = ("estimator", "oof_predictions", "trained_on_other_rows")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params):
        """Set parameters; those of the fitted model cannot be set.

        Parameters
        ----------
        **params : dict
            Values by the names that `get_params` gives.

        Returns
        -------
        self : PrefitMember

        Raises
        ------
        ValueError
            If a name is none of these.
        """
        unknown = params.keys() - self.get_params().keys()
        if unknown:
            raise ValueError(
                f"A fitted member has no parameters {sorted(unknown)}; expected some "
                f"of {list(self.get_params())}."
            )
        for name, value in params.items():
            setattr(self, name, value)
        return self


def check_prefit(members):
    """Refuse fitted members of which nobody says whether they know the rows.

    Raises
    ------
    ValueError
        NotFittedError, if a model that is said to be fitted is not.
    """
    for name, member in members:
        if isinstance(member, PrefitMember):
            member._validate_params()
            given = member.oof_predictions is not None
            if given == bool(member.trained_on_other_rows):
                raise ValueError(
                    f"Member {name!r} is a PrefitMember with "
                    f"{'both' if given else 'neither'} oof_predictions and "
                    "trained_on_other_rows=True; expected one of them."
                )
            _check_fitted(name, member.estimator)
        elif ends_frozen(member):
            raise ValueError(
                f"Member {name!r} is fitted already, and its predictions of rows that "
                "it was trained on are no out-of-fold predictions. Wrap the model in "
                "PrefitMember(model, oof_predictions=...), or in PrefitMember(model, "
                "trained_on_other_rows=True) if it has seen none of these rows."
            )
        else:
            _warn_of_parts(name, member)


def _warn_of_parts(name, member):
    """Warn of a fitted predictor inside a member, which may know the rows."""
    parts = [
        key
        for key, part in member.get_params(deep=True).items()
        if isinstance(part, FrozenEstimator) and not isinstance(part, PrefitMember)
        if is_classifier(part) or is_regressor(part)
    ]
    if parts:
        warnings.warn(
            f"Member {name!r} holds a fitted predictor ({', '.join(parts)}). If that "
            "has seen these rows, the member's predictions of them are not held out.",
            UserWarning,
            stacklevel=5,
        )


def _check_fitted(name, model):
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise NotFittedError(
            f"Member {name!r} is a PrefitMember, but its {type(model).__name__} is not "
            "fitted; expected a fitted model."
        ) from error


def stored_predictions(name, member, classes, n_outputs, covered):
    """Return the out-of-fold predictions that came with a member, or None.

    Parameters
    ----------
    name : str
    member : estimator
    classes : ndarray or None
    n_outputs : int
        Columns of a regression member.
    covered : ndarray of shape (n_samples,), bool
        Rows that are held out; of the others nothing is asked.

    Returns
    -------
    block : ndarray of shape (n_samples, n_columns) or None
        NaN in rows that are not covered.

    Raises
    ------
    MemberError
        If they do not fit the rows, or are none.
    """
    if not isinstance(member, PrefitMember) or member.oof_predictions is None:
        return None
    try:
        return _checked(name, member.oof_predictions, classes, n_outputs, covered)
    except (ValueError, TypeError) as error:
        kind = MemberTypeError if isinstance(error, TypeError) else MemberError
        raise kind(name, "oof_predictions", str(error)) from error


def _checked(name, given, classes, n_outputs, covered):
    given = np.asarray(given)
    if given.ndim == 0 or len(given) != len(covered):
        raise ValueError(
            f"expected {len(covered)} rows, one for each row of X; got shape "
            f"{given.shape}."
        )
    binary = classes is not None and len(classes) == 2
    if classes is not None:
        n_outputs = layout.n_outputs_for(len(classes))
    known = layout.member_block(
        given[covered], n_outputs, int(covered.sum()), name, binary=binary
    )
    if classes is not None:
        layout.check_probabilities(known, len(classes), [name] * n_outputs)
    block = np.full((len(covered), n_outputs), np.nan)
    block[covered] = known
    return block
