"""Each page of the guide says when to use what it is about, shows it, and runs."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = [
    "user_guide",
    *re.findall(
        r"^\w+$",
        (DOCS / "user_guide.md").read_text().split(":hidden:")[1].split("```")[0],
        re.MULTILINE,
    ),
]
EXAMPLES = DOCS.parent / "examples"


@pytest.mark.parametrize("name", GUIDE)
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(r"^When to use it\n: ", id="when"),
        pytest.param(r"^When not\n: ", id="when-not"),
        pytest.param(r"!\[[^]]+\]\((pictures|gallery/images)/", id="plot"),
        pytest.param(r"^>>> ", id="example"),
    ],
)
def test_page_of_the_guide_has(name, part):
    assert re.search(part, (DOCS / f"{name}.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_pictures_of_the_gallery_have_their_example(page):
    drawn = r"gallery/(?:images/sphx_glr_)?(plot_\w+?)(?:_001\.png|\.rst)"
    for name in re.findall(drawn, page.read_text()):
        assert (EXAMPLES / f"{name}.py").exists()


def test_every_example_of_the_gallery_is_in_the_guide():
    guide = "".join((DOCS / f"{name}.md").read_text() for name in GUIDE)
    for path in EXAMPLES.glob("plot_*.py"):
        assert f"gallery/{path.stem}.rst" in guide
