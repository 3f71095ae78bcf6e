"""What notebooks show of an estimator: scikit-learn's drawing, and what was fitted."""

from html import escape
from typing import Any

from sklearn import get_config
from sklearn.utils import estimator_html_repr

from ._sklearn import VisualBlock

_DRAWN = 30  # members, each with a table of its parameters
_LISTED = 20
_STYLE = (
    "<style>.ensemblekit-fitted table{border-collapse:collapse;margin:.3em 0}"
    ".ensemblekit-fitted th,.ensemblekit-fitted td{padding:.15em .7em;text-align:left}"
    ".ensemblekit-fitted td{text-align:right}</style>"
)


class HTMLSummaryMixin:
    """Adds a summary of the fit to scikit-learn's drawing.

    A class says by ``_fitted_rows`` what there is: a caption and dicts of cells.
    """

    def _html_repr(self: Any):
        drawing = estimator_html_repr(self)
        if not self.__sklearn_is_fitted__():
            return drawing
        caption, rows = self._fitted_rows()
        return drawing + summary_html(caption, rows)

    # What scikit-learn asked for before it knew `_html_repr`.
    def _repr_html_inner(self):
        return self._html_repr()

    def _repr_mimebundle_(self, **kwargs):
        bundle = {"text/plain": repr(self)}
        if get_config()["display"] == "diagram":
            bundle["text/html"] = self._html_repr()
        return bundle


def members_block(members):
    """Return members side by side; beyond 30 only how many there are."""
    members = list(members)
    names = [name for name, _ in members[:_DRAWN]]
    estimators = [estimator for _, estimator in members[:_DRAWN]]
    if len(members) > _DRAWN:
        names.append("")
        estimators.append(f"and {len(members) - _DRAWN} more members")
    return VisualBlock("parallel", estimators, names=names, dash_wrapped=False)


def stacked_block(members, combiner):
    """Return members side by side, and the combiner after them."""
    last = VisualBlock("parallel", [combiner], names=["combiner"], dash_wrapped=False)
    return VisualBlock("serial", (members_block(members), last), dash_wrapped=False)


def summary_html(caption, rows):
    """Return a table that opens and closes; the first 20 rows.

    Parameters
    ----------
    caption : str
    rows : list of dict
        ``name`` and numbers; columns without any number are left out.
    """
    keys = [key for key in rows[0] if any(row[key] is not None for row in rows)]
    head = "".join(f'<th scope="col">{escape(key)}</th>' for key in keys)
    body = "".join(f"<tr>{_cells(row, keys)}</tr>" for row in rows[:_LISTED])
    more = len(rows) - _LISTED
    rest = f"<p>and {more} more members</p>" if more > 0 else ""
    return (
        f'{_STYLE}<details open class="ensemblekit-fitted"><summary>{escape(caption)}'
        f"</summary><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{rest}</details>"
    )


def _cells(row, keys):
    first, *others = (row[key] for key in keys)
    cells = "".join(f"<td>{_number(value)}</td>" for value in others)
    return f'<th scope="row">{escape(str(first))}</th>{cells}'


def _number(value):
    return "" if value is None else f"{value:.4g}"
