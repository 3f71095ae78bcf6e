"""The content of reports, of every kind of source, and what HTML and JSON share."""

import html.parser
import importlib.resources
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensemblekit import (
    AverageRegressor,
    ConvexRegressor,
    CrossFit,
    EnsembleReport,
    EnsembleSelectionRegressor,
    ForestQuantileRegressor,
    PredictionLibrary,
    PrefitMember,
    QuantileAggregator,
    StackedClassifier,
    StackedQuantileRegressor,
    StackedRegressor,
)
from ensemblekit.report import _charts, _origin, _page, _scores

pytest.importorskip("jinja2")
DOCS = Path(__file__).parents[2] / "docs" / "report.md"


def members():
    return [
        ("ridge", Ridge()),
        ("tree", DecisionTreeRegressor(max_depth=3, random_state=0)),
        ("near", KNeighborsRegressor(9)),
    ]


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def stacked(diabetes):
    return StackedRegressor(members(), ConvexRegressor(n_bootstrap=50)).fit(*diabetes)


@pytest.fixture(scope="module")
def report(stacked, diabetes):
    return EnsembleReport.from_stacked(stacked, *diabetes)


def make_library(n_members=4, n_rows=60, names=None, folds=True, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_rows)
    P = y[:, None] + rng.normal(size=(n_rows, n_members))
    names = names or [f"member{m}" for m in range(n_members)]
    return PredictionLibrary(
        P, y, names, folds=np.arange(n_rows) % 3 if folds else None
    )


def rows_by_name(content):
    return {row["name"]: row for row in content["leaderboard"]["rows"]}


def test_leaderboard_is_that_of_the_stack(stacked, report):
    rows = rows_by_name(report.to_dict())
    for row in stacked.leaderboard_:
        for key in ("loss", "loss_se"):
            assert_allclose(
                rows[row["name"]][key.replace("loss", "score")], row[key], rtol=1e-12
            )
        assert rows[row["name"]]["weight"] == row["weight"]
        assert rows[row["name"]]["fit_time"] == row["fit_time"]
    mean = stacked.oof_predictions_.mean(axis=1)
    expected = np.mean((stacked.library_.y - mean) ** 2)
    assert_allclose(rows["mean of all members"]["score"], expected)


def test_leaderboard_ascends(report):
    losses = [row["score"] for row in report.to_dict()["leaderboard"]["rows"]]
    assert losses == sorted(losses)


def test_differences_are_those_fold_by_fold(stacked, report):
    best, mean = report.to_dict()["leaderboard"]["gains"]
    judged = _scores.judge(stacked.library_, stacked.combiner_)
    rows = {row["name"]: row for row in judged.rows}
    gaps = rows["ensemble"]["scores"] - rows[best["against"]]["scores"]
    shares = np.bincount(stacked.library_.folds) / stacked.library_.n_samples
    error = np.sqrt((shares**2 * (gaps - shares @ gaps) ** 2).sum() * 5 / 4)
    assert_allclose([best["gain"], best["se"]], [-shares @ gaps, error])
    assert mean["kind"] == "mean"
    assert (
        best["against"]
        == min(
            (r for r in judged.rows if r["kind"] == "member"), key=lambda r: r["loss"]
        )["name"]
    )


@pytest.mark.parametrize(
    ("gain", "se", "said"),
    [
        (3.0, 1.0, "beats the best member (a) by 3.0 standard errors"),
        (-2.2, 1.0, "loses to the best member (a) by 2.2 standard errors"),
        (2.1, 1.0, "differs from the best member (a) by no more than chance gives"),
        (-2.1, 1.0, "differs from the best member (a) by no more than chance gives"),
        (0.0, 0.0, "differs from the best member (a) by no more than chance gives"),
        (1.0, 0.0, "beats the best member (a) on every fold"),
        (1.0, np.nan, "has a lower loss than the best member (a)"),
        (0.0, np.nan, "has no lower loss than the best member (a)"),
    ],
)
def test_verdict_says_what_gains_show(gain, se, said):
    from ensemblekit.report._sections import say_verdict

    row = {"against": "a", "kind": "member", "gain": gain, "se": se, "n_folds": 5}
    assert say_verdict([row], []) == f"The ensemble {said}."


def test_weights_have_their_intervals(stacked, report):
    weights = report.to_dict()["weights"]
    assert_allclose(weights["values"], stacked.weights_)
    assert_allclose(weights["intervals"], stacked.combiner_.weight_intervals_)
    assert weights["level"] == 1.0 - stacked.combiner_.alpha
    assert weights["n_used"] == np.count_nonzero(stacked.weights_)


def test_correlation_is_numpys(stacked, report):
    section = report.to_dict()["correlation"]
    errors = stacked.oof_predictions_ - stacked.library_.y[:, None]
    order = [stacked.library_.names.index(name) for name in section["members"]]
    expected = np.corrcoef(errors.T)[np.ix_(order, order)]
    assert_allclose(section["matrix"], expected, atol=5e-5)
    pair = section["most_alike"][0]
    assert_allclose(pair["correlation"], np.triu(np.corrcoef(errors.T), 1).max())


@pytest.mark.parametrize(("most", "expected"), [(20_000_000, 20_000), (6000, 1500)])
def test_correlation_is_of_rows_drawn_from_many(monkeypatch, most, expected):
    from ensemblekit.report import _correlation

    monkeypatch.setattr(_correlation, "_VALUES", most)
    library = make_library(n_rows=21_000)
    first, again, other = (
        _correlation.correlate(library, [0, 1, 2, 3], seed) for seed in (0, 0, 1)
    )
    assert first["n_rows"] == expected
    assert first["mean"] == again["mean"] != other["mean"]
    exact = np.corrcoef((library.P - library.y[:, None]).T)
    assert abs(first["mean"] - exact[np.triu_indices(4, 1)].mean()) < 0.05


def test_binary_correlation_is_that_of_both_classes():
    X, y = load_breast_cancer(return_X_y=True)
    given = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]
    stacked = StackedClassifier(given, random_state=0).fit(X, y)
    content = EnsembleReport(stacked).to_dict()
    P = stacked.oof_predictions_
    expected = np.corrcoef((P - y[:, None]).T)[0, 1]
    assert_allclose(content["correlation"]["mean"], expected)
    assert content["calibration"]["kind"] == "reliability"
    assert content["data"]["classes"] == ["0", "1"]


def test_bands_of_calibration_are_clopper_pearson():
    X, y = load_breast_cancer(return_X_y=True)
    stacked = StackedClassifier([("bayes", GaussianNB())]).fit(X, y)
    section = EnsembleReport(stacked).to_dict()["calibration"]
    assert sum(point["n_rows"] for point in section["points"]) == len(y)
    for point in section["points"]:
        n_rows = point["n_rows"]
        hits = round(point["observed"] * n_rows)
        low = stats.beta.ppf(0.025, hits, n_rows - hits + 1) if hits else 0.0
        high = stats.beta.ppf(0.975, hits + 1, n_rows - hits) if hits < n_rows else 1.0
        assert_allclose([point["low"], point["high"]], [low, high], atol=1e-9)


def test_bias_has_bands_of_students_t(stacked, report):
    section = report.to_dict()["calibration"]
    judged = _scores.judge(stacked.library_, stacked.combiner_)
    errors = judged.library.y - judged.prediction
    total = sum(p["observed"] * p["n_rows"] for p in section["points"])
    assert_allclose(total / len(errors), errors.mean(), atol=1e-9)
    first = section["points"][0]
    rows = np.argsort(judged.prediction, kind="stable")[: first["n_rows"]]
    band = stats.t.interval(
        0.95, len(rows) - 1, errors[rows].mean(), stats.sem(errors[rows])
    )
    assert_allclose([first["low"], first["high"]], band)


def test_classes_of_four_are_judged_by_confidence():
    X, y = load_iris(return_X_y=True)
    labels = np.array(["<b>a</b>", "b", "c"])[y]
    given = [("bayes", GaussianNB()), ("linear", LogisticRegression(max_iter=2000))]
    stacked = StackedClassifier(given).fit(X, labels)
    report = EnsembleReport(stacked)
    content = report.to_dict()
    assert content["calibration"]["kind"] == "confidence"
    rows = rows_by_name(content)
    for row in stacked.leaderboard_:
        assert_allclose(rows[row["name"]]["score"], row["loss"])
    assert "<b>a" not in report.to_html()


def test_quantiles_are_judged_by_coverage(diabetes):
    levels = (0.1, 0.5, 0.9)
    given = [
        ("forest", ForestQuantileRegressor(RandomForestRegressor(20, random_state=0))),
        ("wide", ForestQuantileRegressor(RandomForestRegressor(5, random_state=1))),
    ]
    stacked = StackedQuantileRegressor(given, quantile_levels=levels).fit(*diabetes)
    report = EnsembleReport(stacked)
    content = report.to_dict()
    points = content["calibration"]["points"]
    assert content["calibration"]["kind"] == "coverage"
    assert [point["predicted"] for point in points] == list(levels)
    judged = _scores.judge(stacked.library_, stacked.combiner_)
    shares = (judged.library.y[:, None] <= judged.prediction).mean(axis=0)
    assert_allclose([point["observed"] for point in points], shares)
    assert ">Coverage<" in report.to_html()


def test_selection_path_names_its_picks():
    library = make_library()
    report = EnsembleReport.from_library(
        library, EnsembleSelectionRegressor(n_rounds=7)
    )
    fitted = EnsembleSelectionRegressor(n_rounds=7).fit(library.P, library.y)
    path = report.to_dict()["path"]
    assert_allclose(path["losses"], fitted.loss_path_)
    assert path["members"] == [library.names[pick] for pick in fitted.picks_]
    assert path["step"] == "pick"
    assert 'id="path"' in report.to_html()


def test_audit_is_there_where_rows_are_given(report, stacked):
    assert report.to_dict()["audit"]["verdict"] == "ok"
    assert EnsembleReport(stacked).to_dict()["audit"] is None
    assert "Not audited" in EnsembleReport(stacked).to_html()


def test_a_cross_fit_alone_has_no_ensemble(diabetes):
    report = EnsembleReport(CrossFit(members()).fit(*diabetes))
    content = report.to_dict()
    assert content["weights"] is None
    assert "ensemble" not in rows_by_name(content)
    assert "no ensemble has a held-out score" in content["verdict"]
    assert content["calibration"]["subject"] == rows_by_name_best(content)
    assert "<h2>Weights" not in report.to_html()


def rows_by_name_best(content):
    rows = [r for r in content["leaderboard"]["rows"] if r["kind"] == "member"]
    return rows[0]["name"]


def test_a_library_without_folds_says_what_it_lacks():
    library = make_library(folds=False)
    report = EnsembleReport(library, combiner=AverageRegressor())
    content = report.to_dict()
    assert rows_by_name(content)["ensemble"]["score"] is None
    assert content["hints"][0]["problem"].startswith("The library has no folds")
    assert ">nan<" not in report.to_html()


def test_members_that_predict_labels_have_no_scores():
    X, y = load_iris(return_X_y=True)
    from sklearn.svm import LinearSVC

    cross_fit = CrossFit([("svm", LinearSVC())]).fit(X, y)
    content = EnsembleReport(cross_fit).to_dict()
    assert content["correlation"] is None
    assert content["calibration"] is None
    assert "Nothing has a held-out score" in content["verdict"]
    EnsembleReport(cross_fit).to_html()


def test_one_member_one_fold_row():
    library = make_library(n_members=1, n_rows=3)
    report = EnsembleReport(library, combiner=AverageRegressor())
    content = report.to_dict()
    assert content["correlation"] is None
    assert [r["name"] for r in content["leaderboard"]["rows"]].count("ensemble") == 1
    report.to_html()


def test_duplicates_are_hinted_at():
    library = make_library()
    P = np.column_stack([library.P, library.P[:, 0] + 1e-7])
    double = PredictionLibrary(P, library.y, [*library.names, "copy"])
    (hint,) = EnsembleReport(double).to_dict()["hints"]
    assert hint["subject"] == "member0, copy"
    assert "correlation 1.000000" in hint["problem"]


def test_constant_errors_have_no_correlation():
    y = np.arange(6.0)
    P = np.column_stack([y + 1.0, y[::-1], y * 0.5])
    library = PredictionLibrary(P, y, ["shifted", "b", "c"], folds=[0, 0, 1, 1, 2, 2])
    report = EnsembleReport(library, combiner=AverageRegressor())
    section = report.to_dict()["correlation"]
    shifted = section["members"].index("shifted")
    assert set(section["matrix"][shifted]) == {None}
    assert 'class="h-1"' in report.to_html()


def test_a_combiner_that_sees_features_has_no_score(diabetes):
    stacked = StackedRegressor(members(), Ridge(), passthrough=True).fit(*diabetes)
    content = EnsembleReport(stacked).to_dict()
    assert rows_by_name(content)["ensemble"]["score"] is None
    assert content["weights"] is None
    assert content["calibration"]["subject"] == rows_by_name_best(content)


def test_prefit_and_dropped_members_are_hinted_at(diabetes):
    X, y = diabetes
    fitted = Ridge().fit(X, y)
    prefit = PrefitMember(fitted, oof_predictions=fitted.predict(X))
    bad = DummyRegressor(strategy="quantile")  # lacks its quantile
    given = [*members(), ("prefit", prefit), ("bad", bad)]
    stacked = StackedRegressor(given, on_error="drop")
    with pytest.warns(UserWarning, match="'bad' is left out"):
        stacked.fit(X, y)
    report = EnsembleReport(stacked, X, y)
    content = report.to_dict()
    assert content["reproduce"]["snippet"] is None
    assert content["audit"]["verdict"] == "warn"
    assert '<strong class="warn">warn</strong>: scores may' in report.to_html()
    shown = re.findall(r'<td class="(fail|warn|unknown|ok)">', report.to_html())
    assert shown == sorted(shown, key=["fail", "warn", "unknown", "ok"].index)
    hints = content["hints"]
    assert [hint["subject"] for hint in hints if hint["level"] == "warning"] == [
        "bad",
        "prefit",
    ]


def test_sample_weights_reach_all(diabetes):
    X, y = diabetes
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    stacked = StackedRegressor(members()[:2]).fit(X, y, sample_weight=weight)
    content = EnsembleReport(stacked, X, y).to_dict()
    rows = rows_by_name(content)
    for row in stacked.leaderboard_:
        assert_allclose(rows[row["name"]]["score"], row["loss"])
    assert content["data"]["weighted"]
    assert "sample_weight=sample_weight" in content["reproduce"]["snippet"]


def test_snippet_makes_the_same_stack(stacked, report, diabetes):
    X, y = diabetes
    scope = {"X": X, "y": y}
    exec(report.to_dict()["reproduce"]["snippet"], scope)
    assert_allclose(scope["model"].weights_, stacked.weights_)


def test_snippet_of_a_library_fits_the_combiner(tmp_path, monkeypatch):
    library = make_library()
    library.save(tmp_path / "library.npz")
    monkeypatch.chdir(tmp_path)
    report = EnsembleReport(library, combiner=ConvexRegressor(ridge=0.5))
    scope: dict = {}
    exec(report.to_dict()["reproduce"]["snippet"], scope)
    assert_allclose(
        scope["combiner"].weights_, report.to_dict()["weights"]["values"], atol=1e-12
    )


class Local(Ridge):
    pass


@pytest.mark.parametrize(
    "combiner",
    [
        FunctionTransformer(lambda x: x),
        Ridge(random_state=np.random.RandomState(0)),
        Ridge(alpha=np.arange(5000.0)),
        Ridge(alpha=list(range(50))),
    ],
    ids=["function", "generator", "long array", "long list"],
)
def test_no_snippet_where_no_text_would_run(combiner):
    assert _origin.combiner_snippet(combiner) is None


def test_no_snippet_of_classes_that_cannot_be_imported():
    class Hidden(Ridge):
        pass

    assert _origin.combiner_snippet(Hidden()) is None
    assert f"from {__name__} import Local" in _origin.combiner_snippet(Local())


def test_json_is_strict_and_the_same_again(stacked):
    text = EnsembleReport(stacked).to_json()
    assert text.isascii()
    assert json.loads(text, parse_constant=pytest.fail) == json.loads(text)
    assert EnsembleReport(stacked).to_json() == text


def test_documentation_names_every_key(report):
    described = DOCS.read_text()
    content = report.to_dict()
    for key, value in content.items():
        assert f"`{key}`" in described, key
        for inner in value if isinstance(value, dict) else []:
            known = key == "reproduce" or f"`{inner}`" in described
            assert known, (key, inner)
    for key in content["leaderboard"]["rows"][0]:
        assert f"`{key}`" in described


def test_html_shows_the_figures_of_json(report):
    page, content = report.to_html(), report.to_dict()
    for row in content["leaderboard"]["rows"]:
        assert f">{_page.number(row['score'], 5)}<" in page
    for pair in content["correlation"]["most_alike"]:
        assert f">{_page.number(pair['correlation'], 5)}<" in page
    assert content["verdict"] in page


class Tags(html.parser.HTMLParser):
    """Counts tags, and the balance of those that are closed."""

    void = {"meta", "link", "br"}

    def __init__(self, page):
        super().__init__()
        self.open, self.seen, self.attributes, self.heads = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "th":
            self.heads.append("")
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "th":
            self.heads[-1] += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}{% raw %}",
    "</title></style></svg><script>alert(3)</script>",
    "=cmd()|' /C calc'!A0",
    "turned \u202etxt.exe",
    "half \ud800 and \x00 nothing",
    "long" * 5000,
    "' onclick='alert(4)",
    "&lt;b&gt;",
]


def test_hostile_names_are_text(tmp_path):
    library = make_library(len(HOSTILE), names=HOSTILE)
    report = EnsembleReport(
        library, combiner=EnsembleSelectionRegressor(n_rounds=9), title=HOSTILE[0]
    )
    page = report.to_html(tmp_path / "report.html")
    tags = Tags(page)
    assert tags.open == []
    assert tags.seen.count("script") == 1
    assert "img" not in tags.seen
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "{{ 7 * 7 }}" in page
    assert "\u202e" not in page
    assert "&amp;lt;b&amp;gt;" in page
    assert len(page) < 60_000
    report.to_json(tmp_path / "report.json")
    named = json.loads((tmp_path / "report.json").read_text())["weights"]["names"]
    assert named == HOSTILE


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=90), min_size=2, max_size=4, unique=True))
def test_any_names_are_shown_as_text(names):
    report = EnsembleReport(make_library(len(names), 12, names=names), title=names[0])
    tags = Tags(report.to_html())
    assert tags.open == []
    assert tags.seen.count("script") == tags.seen.count("style") == 1
    shown = {_page.cut(name) for name in names}
    assert {text.strip() for text in shown} <= {text.strip() for text in tags.heads}
    assert [row["name"] for row in json.loads(report.to_json())["hints"]] == []


def test_page_allows_its_own_style_and_script_only(report):
    page = report.to_html()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "unsafe" not in policy
    assert Tags(page).seen.count("style") == 1
    assert "style" not in Tags(page).attributes
    script = page.partition("<script>")[2].partition("</script>")[0]
    assert 0 < len(script) < 5000
    assert "http" not in page.replace("http-equiv", "")


def test_notebooks_get_a_frame_of_its_own(report):
    tags = Tags(report._repr_html_())
    assert tags.seen == ["iframe"]
    assert "sandbox" in tags.attributes


def test_five_hundred_members_stay_small():
    n_members = 500
    names = [f"lightgbm_depth8_features_all_seed{m:06d}" for m in range(n_members)]
    library = make_library(n_members, 300, names=names)
    report = EnsembleReport(library, combiner=EnsembleSelectionRegressor(n_rounds=20))
    report._content["audit"] = {
        "verdict": "ok",
        "rows": [
            {
                "check": "gap",
                "subject": name,
                "value": 1.0,
                "threshold": -2.0,
                "verdict": "ok",
                "message": "loss 530 on training rows, 3.29e+03 held out",
                "advice": "",
            }
            for name in names * 2
        ],
    }
    report._content["reproduce"]["members"] = [
        {"name": name, "estimator": "x" * 300} for name in names
    ]
    for row in report._content["leaderboard"]["rows"]:
        row["fit_time"] = row["predict_time"] = 1.234
    page = report.to_html()
    assert len(page.encode()) < 400_000
    assert page.count("<tr") > n_members
    assert len(report.to_dict()["correlation"]["members"]) == 40


def test_long_paths_are_thinned_and_end_where_they_end():
    from ensemblekit.report._sections import describe_path

    class Found:
        loss_path_ = np.linspace(1.0, 0.0, 12_345)
        picks_ = None

    path = describe_path(Found(), [])
    assert len(path["steps"]) == 1000
    assert path["steps"][-1] == 12_345
    assert path["losses"][-1] == 0.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([3.0, 3.0], [2.9, 3.0, 3.1]),
        ([-0.013, 0.021], [-0.01, 0.0, 0.01, 0.02]),
    ],
)
def test_ticks_are_round(values, expected):
    assert_allclose(_charts.ticks(values), expected)


def test_numbers_are_short():
    said = {136.4: "136", 0.28: "0.2800", 0.0: "0", 1e-6: "1.000e-06", None: "\u2013"}
    assert {value: _page.number(value) for value in said} == said | {136.4: "136.4"}
    assert _page.number(136.4, 2) == "136"
    assert _page.number(442) == "442"


def test_files_are_whole_or_absent(report, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        report.to_html(path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "before"


def test_refuses_what_is_no_source(diabetes):
    with pytest.raises(TypeError, match="source is Ridge; expected a fitted stacked"):
        EnsembleReport(Ridge())
    with pytest.raises(NotFittedError):
        EnsembleReport(StackedRegressor(members()))
    compact = StackedRegressor(members()).fit(*diabetes).compact()
    with pytest.raises(ValueError, match=r"which compact\(\) dropped"):
        EnsembleReport(compact)


def test_missing_jinja2_is_one_sentence():
    code = (
        "import sys; sys.modules['jinja2'] = sys.modules['markupsafe'] = None\n"
        "from ensemblekit import EnsembleReport, PredictionLibrary\n"
        "library = PredictionLibrary([[1.0], [2.0]], [1.0, 2.0], ['a'])\n"
        "report = EnsembleReport(library)\n"
        "assert report._repr_html_() is None\n"
        "try: report.to_html()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'ensemblekit[report]'" in done.stdout, done.stderr


def test_templates_are_package_data():
    folder = importlib.resources.files("ensemblekit.report") / "templates"
    names = {entry.name for entry in folder.iterdir()}
    assert {"page.html.j2", "charts.html.j2", "style.css", "sort.js"} <= names


def test_quantile_library_with_a_combiner():
    rng = np.random.default_rng(0)
    y, levels = rng.normal(size=40), [0.1, 0.5, 0.9]
    P = np.sort(rng.normal(size=(40, 2, 3)), axis=2).reshape(40, 6)
    library = PredictionLibrary(
        P, y, ["a", "b"], quantile_levels=levels, folds=np.arange(40) % 4
    )
    content = EnsembleReport(
        library, combiner=QuantileAggregator(quantile_levels=levels)
    ).to_dict()
    assert content["task"] == "quantile"
    assert content["leaderboard"]["metric"] == "pinball"
    assert rows_by_name(content)["ensemble"]["score"] is not None
