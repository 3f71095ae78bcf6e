"""EnsembleReport: one dict with a documented schema, as JSON and as a page."""

import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Self

from .._stacked import Stacked
from .._writing import write_text
from ..crossfit import CrossFit
from ..library import PredictionLibrary
from ._blends import from_blend
from ._content import from_cross_fit, from_library
from ._plain import plain

__all__ = ["EnsembleReport"]


class EnsembleReport:
    """What members and ensemble are worth, and why to believe it.

    Leaderboard, weights, correlation of errors, selection path, calibration or
    coverage, audit, hints and how to reproduce, all of held-out predictions. The dict
    (`to_dict`) is the source of truth; the page (`to_html`) shows the same figures. It
    is one file without network access, readable without JavaScript and in the dark.

    Parameters
    ----------
    source : StackedClassifier, StackedRegressor, StackedQuantileRegressor, \
            CrossFit, PredictionLibrary or Blend
        Fitted, or predictions made elsewhere, or what `blend` found in them.
    X, y : as for the fit of `source`, default=None
        With both, the fit is audited. Of fitted estimators only.
    combiner : estimator, default=None
        For a library: fitted on it, and scored by fits without each fold.
    sample_weight, groups : array-like of shape (n_samples,), default=None
        For the audit.
    bank : Bank, default=None
        For a blend of files: how they were read.
    findings : sequence of Finding, default=()
        For a blend of files: what is wrong with them.
    title : str, default=None
        Heading of the page; None names the estimator.
    random_state : int, default=0
        Of the rows that correlations (20000) and the audit (10000) are read off.

    Raises
    ------
    TypeError
        If `source` is none of these.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    Cost: n_folds fits of the combiner, for its held-out predictions, and
    O(min(n_samples, 20000) * n_members**2) for the correlations. A page of 500 members
    is below 500 KB.

    Examples
    --------
    >>> from ensemblekit import AverageRegressor, PredictionLibrary
    >>> library = PredictionLibrary.from_arrays(
    ...     {"a": [1.0, 2.0, 4.0, 3.0], "b": [1.5, 2.0, 3.0, 5.0]},
    ...     y=[1.0, 2.0, 3.0, 4.0], folds=[0, 0, 1, 1])
    >>> report = EnsembleReport(library, combiner=AverageRegressor())
    >>> [row["name"] for row in report.to_dict()["leaderboard"]["rows"]]
    ['mean of all members', 'ensemble', 'b', 'a']
    """

    def __init__(
        self,
        source: Any,
        X: Any = None,
        y: Any = None,
        *,
        combiner: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        bank: Any = None,
        findings: Sequence = (),
        title: str | None = None,
        random_state: int = 0,
    ):
        if isinstance(source, PredictionLibrary):
            content = from_library(source, combiner, random_state)
        elif isinstance(source, Stacked | CrossFit):
            rows = None if X is None or y is None else (X, y, sample_weight, groups)
            content = from_cross_fit(source, rows, random_state)
        elif hasattr(source, "predict_oof"):
            content = from_blend(source, bank, findings, random_state)
        else:
            raise TypeError(
                f"source is {type(source).__name__}; expected a fitted stacked "
                "estimator or CrossFit, a PredictionLibrary or a Blend."
            )
        if title is not None:
            content["title"] = str(title)
        self._content = plain(content)

    @classmethod
    def from_stacked(
        cls, stacked: Any, X: Any = None, y: Any = None, **options
    ) -> Self:
        """Report on a fitted stacked estimator or `CrossFit`; audit it, given X and y.

        Parameters
        ----------
        stacked : fitted estimator
        X, y : as for its fit, default=None
        **options : dict
            As for the class.

        Returns
        -------
        report : EnsembleReport
        """
        return cls(stacked, X, y, **options)

    @classmethod
    def from_library(cls, library: Any, combiner: Any = None, **options) -> Self:
        """Report on a library, and on a combiner fitted on it.

        Parameters
        ----------
        library : PredictionLibrary
        combiner : estimator, default=None
            Unfitted; a clone is fitted.
        **options : dict
            As for the class.

        Returns
        -------
        report : EnsembleReport
        """
        return cls(library, combiner=combiner, **options)

    @classmethod
    def from_blend(cls, blend: Any, bank: Any = None, **options: Any) -> Self:
        """Report on a blend of prediction files.

        Parameters
        ----------
        blend : Blend
        bank : Bank, default=None
            Where the predictions were read from files.
        **options : dict
            As for the class.

        Returns
        -------
        report : EnsembleReport
        """
        return cls(blend, bank=bank, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return the report, of plain values; missing numbers are None.

        Returns
        -------
        content : dict
            Its keys are described in the user guide; ``version`` says by which schema.
        """
        return json.loads(self.to_json())

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Return the report as JSON, and write it to a file where one is named.

        Parameters
        ----------
        path : str or Path, default=None
            Written beside and renamed.

        Returns
        -------
        text : str
            ASCII, keys in a fixed order: equal reports are equal texts.
        """
        text = json.dumps(self._content, indent=1, allow_nan=False)
        if path is not None:
            write_text(Path(path), text + "\n")
        return text

    def to_html(self, path: str | os.PathLike | None = None) -> str:
        """Return the report as one page, and write it to a file where one is named.

        Parameters
        ----------
        path : str or Path, default=None
            Written beside and renamed.

        Returns
        -------
        page : str

        Raises
        ------
        ImportError
            If jinja2 is not installed.
        """
        from ._page import render

        page = render(self._content)
        if path is not None:
            write_text(Path(path), page)
        return page

    def __repr__(self):
        facts = self._content["data"]
        return (
            f"EnsembleReport({self._content['task']}: {facts['n_members']} members, "
            f"{facts['n_rows']} rows)\n{self._content['verdict']}"
        )

    def _repr_html_(self):
        try:
            page = self.to_html()
        except ImportError:  # the notebook shows the text
            return None
        # A frame of its own: neither page can spoil the other's style or scripts.
        return (
            '<iframe sandbox="allow-scripts" width="100%" height="640" '
            'style="border:1px solid #8888" title="Report of an ensemble" '
            f'srcdoc="{escape(page)}"></iframe>'
        )
