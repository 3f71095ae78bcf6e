"""The page: templates filled with the content, under a strict policy."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from . import _charts

_METRICS = {
    "log_loss": "log loss",
    "squared_error": "squared error",
    "pinball": "pinball loss",
    "roc_auc": "ROC AUC",
}
_MISSING = "\u2013"


def render(content):
    """Return the page of a report's content.

    Raises
    ------
    ImportError
        If jinja2 is not installed.
    """
    template = _template()  # first: it says what is not installed
    style, script = _asset("style.css"), _asset("sort.js")
    return template.render(
        **content,
        style=style,
        script=script,
        policy=policy(style, script),
        charts=_charts,
        metric_words=_METRICS,
    )


def policy(style, script):
    """Return the content security policy: nothing but this style and this script."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def number(value, digits=4):
    """Return a number as people read it; a dash where there is none."""
    if value is None:
        return _MISSING
    if not isinstance(value, float):
        return str(value)
    if value == 0.0:
        return "0"
    if 10.0**digits <= abs(value) < 1e9:
        return f"{value:.0f}"  # 136, not 1.4e+02
    return f"{value:#.{digits}g}".removesuffix(".")


def cut(text, length=80):
    """Return a name, its middle left out where it is too long for a page."""
    text = _printable(str(text))
    if len(text) <= length:
        return text
    tail = length // 3
    return f"{text[: length - tail - 1]}…{text[-tail:]}"


def _printable(text):
    """Return text without control characters, half characters and turns of direction.

    They would break the file, or show another name than the one that is there.
    """
    return "".join(c if c.isprintable() or c in "\n " else "\ufffd" for c in text)


@cache
def _template():
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise ImportError(
            "Pages are made by jinja2, which is not installed. Install it with: pip "
            "install 'ensemblekit[report]'"
        ) from error
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "cut": cut, "printable": _printable}
    return environment.get_template("page.html.j2")


@cache
def _asset(name):
    """Return a file of ours, which is put into the page as it is."""
    from markupsafe import Markup

    text = (files(__package__) / "templates" / name).read_text(encoding="utf-8")
    return Markup(text.strip())


def _digest(text):
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
