"""Configuration of the documentation; built offline, without warnings (`make docs`)."""

import doctest
import os
from contextlib import redirect_stdout
from pathlib import Path

import ensemblekit

project = "ensemblekit"
author = "The ensemblekit developers"
copyright = author
version = release = ensemblekit.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "ignore_pattern": r"influenza_forecasts\.py",  # long, and its table is not shipped
    "within_subsection_order": "ExampleTitleSortKey",
    "backreferences_dir": "gallery/backreferences",  # what API pages list as examples
    "doc_module": ("ensemblekit",),
    "reference_url": {"ensemblekit": None},
    "capture_repr": ("_repr_html_",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 60,
}

toc_object_entries_show_parents = "hide"  # `fit`, under its class

html_theme = "pydata_sphinx_theme"
html_title = f"ensemblekit {version}"
html_show_sourcelink = False
html_theme_options = {"secondary_sidebar_items": ["page-toc"]}
# An empty bar on the left takes room.
html_sidebars = {name: [] for name in ("index", "genindex", "search", "add_a_combiner")}
html_static_path = ["_static"]
html_css_files = ["pages.css"]


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's base classes bring along."""
    module = getattr(obj, "__module__", None) or "ensemblekit"
    return skip or not module.startswith("ensemblekit")


def check_api_page(app):
    """Refuse an API page that lacks a public name."""
    named = set(Path(app.srcdir, "api.rst").read_text().split())
    missing = sorted(set(ensemblekit.__all__) - named)
    if missing:
        raise RuntimeError(f"docs/api.rst lacks {missing}; add them to a list there.")


def draw_pictures(app):
    """Run the examples of the page of plots; keep the last display of each kind."""
    folder = Path(app.srcdir, "pictures")
    folder.mkdir(exist_ok=True)
    page = Path(app.srcdir, "plots.md").read_text()
    names, displays = {}, {}
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for example in doctest.DocTestParser().get_examples(page):
            exec(compile(example.source, "plots.md", "single"), names)
            if "display" in names:
                displays[type(names["display"]).__name__] = names["display"]
    for kind, display in displays.items():
        display.figure_.savefig(folder / f"{kind}.svg", metadata={"Date": None})


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("builder-inited", check_api_page)
    app.connect("builder-inited", draw_pictures)
