"""Reports in a real browser: nothing asked of the network, nothing run but ours."""

import http.server
import threading

import numpy as np
import pytest

from ensemblekit import EnsembleReport, EnsembleSelectionRegressor, PredictionLibrary

from .chromium import Browser, find_chromium

pytest.importorskip("jinja2")
pytestmark = pytest.mark.skipif(
    find_chromium() is None,
    reason="no Chromium on this machine; `make browser-test` installs and uses it",
)

N_MEMBERS = 500
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=http://127.0.0.1:9/x onerror=alert(2)>'
HEADS = "#leaderboard table.sortable thead th"


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    noise = rng.normal(size=(400, N_MEMBERS)) * rng.uniform(0.2, 1.0, N_MEMBERS)
    names = [
        f"lightgbm_depth{m % 9}_features_all_seed{m:05d}" for m in range(N_MEMBERS)
    ]
    names[:3] = [SCRIPT, IMAGE, "javascript:alert(3)"]
    library = PredictionLibrary(y[:, None] + noise, y, names, folds=np.arange(400) % 4)
    combiner = EnsembleSelectionRegressor(n_rounds=30)
    return EnsembleReport(library, combiner=combiner, title=SCRIPT)


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.to_html(path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def names_shown(browser):
    return browser.evaluate(
        "[...document.querySelectorAll('#leaderboard table.sortable tbody tr')]"
        ".map(row => row.cells[0].textContent)"
    )


def scores_shown(browser, column=1):
    shown = browser.evaluate(
        "[...document.querySelectorAll('#leaderboard table.sortable tbody tr')]"
        f".map(row => row.cells[{column}].textContent)"
    )
    return [float("nan") if text == "\u2013" else float(text) for text in shown]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1100])
def test_asks_for_nothing_and_complains_of_nothing(browser, page, dark, width):
    browser.show(width=width, dark=dark)
    browser.open(page.as_uri())
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


def test_five_hundred_members_are_small_and_open_fast(browser, page):
    assert page.stat().st_size <= 500_000
    browser.show()
    # The fastest of three: the machine may be busy, the page may not be slow.
    assert min(browser.open(page.as_uri()) for _ in range(3)) < 2.0
    assert len(names_shown(browser)) == N_MEMBERS + 2


def test_the_checks_can_fail(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        "<img src='http://127.0.0.1:9/x'><script>console.error('no')</script>"
    )
    browser.show()
    browser.open(page.as_uri())
    assert len(browser.requests()) == 2
    assert any("no" in text for text in browser.complaints())


def test_policy_stops_what_is_not_ours(browser, page):
    browser.show()
    browser.open(page.as_uri())
    ran = browser.evaluate(
        "new Promise(done => { const s = document.createElement('script');"
        "s.textContent = 'window.strange = 1'; document.body.append(s);"
        "const i = new Image(); i.onerror = () => done(window.strange === undefined);"
        "i.onload = () => done('loaded'); i.src = 'http://127.0.0.1:9/x'; })"
    )
    assert ran is True
    assert len(browser.complaints()) == 2  # refused: the script, the image


def test_columns_sort_by_click(browser, page):
    browser.show()
    browser.open(page.as_uri())
    before = names_shown(browser)
    browser.click(f"{HEADS}:nth-child(2) button")
    assert scores_shown(browser) == sorted(scores_shown(browser))
    browser.click(f"{HEADS}:nth-child(2) button")
    assert scores_shown(browser) == sorted(scores_shown(browser), reverse=True)
    pressed = f"document.querySelector('{HEADS}:nth-child(2)').ariaSort"
    assert browser.evaluate(pressed) == "descending"
    browser.click(f"{HEADS}:nth-child(1) button")
    assert names_shown(browser) != before
    assert sorted(names_shown(browser)) == sorted(before)
    assert browser.evaluate(pressed) is None
    browser.click(f"{HEADS}:nth-child(5) button")  # weights; the ensemble has none
    weights = scores_shown(browser, column=4)
    known = [weight for weight in weights if weight == weight]
    assert known == sorted(known)
    assert len(known) == N_MEMBERS
    assert all(weight == weight for weight in weights[:N_MEMBERS])


def test_columns_sort_by_keyboard(browser, page):
    browser.show()
    browser.open(page.as_uri())
    browser.evaluate(f"document.querySelector('{HEADS}:nth-child(2) button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            text="\r" if kind == "keyDown" else "",
            windowsVirtualKeyCode=13,
        )
    sorted_by = f"document.querySelector('{HEADS}:nth-child(2)').ariaSort"
    assert browser.evaluate(sorted_by) == "ascending"


def test_names_are_text(browser, page):
    browser.show()
    browser.open(page.as_uri())
    shown = names_shown(browser)
    assert SCRIPT in shown
    assert IMAGE in shown
    assert browser.evaluate("document.scripts.length") == 1
    assert browser.evaluate("document.images.length") == 0
    assert browser.evaluate("document.title") == SCRIPT
    assert browser.evaluate("document.querySelector('h1').textContent") == SCRIPT
    assert browser.seen("Page.javascriptDialogOpening") == []


def test_all_is_there_without_javascript(browser, page):
    browser.show(script=False)
    try:
        browser.events.clear()
        browser.call("Page.navigate", url=page.as_uri())
        browser.wait_for("Page.loadEventFired")
        # evaluate works where the page's own scripts do not
        browser.show(script=True)
        assert len(names_shown(browser)) == N_MEMBERS + 2
        assert browser.evaluate("document.querySelectorAll('th button').length") == 0
        assert browser.evaluate("document.querySelectorAll('svg').length") > 500
    finally:
        browser.show()


@pytest.mark.parametrize("width", [400, 1100])
def test_nothing_sticks_out_of_the_page(browser, page, width):
    browser.show(width=width)
    browser.open(page.as_uri())
    inner = browser.evaluate("document.documentElement.scrollWidth")
    assert inner <= width


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(browser, page, dark):
    """Contrast by WCAG 2: 4.5 to 1 for text, soft text included."""
    browser.show(dark=dark)
    browser.open(page.as_uri())
    colours = browser.evaluate(
        "(() => { const of = (s, p) => getComputedStyle(document.querySelector(s))[p];"
        "return { page: of('body', 'backgroundColor'), ink: of('body', 'color'),"
        "soft: of('.soft', 'color'), link: of('nav a', 'color'),"
        "low: of('.heat text', 'fill') }; })()"
    )
    page_light = luminance(colours.pop("page"))
    assert (page_light < 0.1) == dark
    for name, colour in colours.items():
        light = sorted([luminance(colour), page_light])
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.5, name


def luminance(colour):
    """Return the relative luminance of a colour such as rgb(20, 24, 29)."""
    inside = colour[colour.index("(") + 1 : -1]
    values = np.array([float(value) for value in inside.split(",")[:3]]) / 255.0
    linear = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_notebook_shows_it_in_a_frame(browser, report, tmp_path):
    page = tmp_path / "notebook.html"
    page.write_text(
        "<style>table { display: none }</style>" + report._repr_html_(),
        encoding="utf-8",
    )
    browser.show()
    browser.open(page.as_uri())
    assert browser.evaluate("document.querySelector('iframe').clientHeight") > 400
    asked = {url.partition(":")[0] for url in browser.requests()}
    assert asked <= {"file", "about"}
    assert browser.complaints() == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


def test_a_server_is_asked_for_the_page_only(browser, page):
    def handler(*args):
        return Quiet(*args, directory=str(page.parent))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            browser.show()
            browser.open(f"http://127.0.0.1:{server.server_port}/{page.name}")
            assert browser.complaints() == []
        finally:
            server.shutdown()
            thread.join()
    assert set(Quiet.asked) <= {f"/{page.name}", "/favicon.ico"}
