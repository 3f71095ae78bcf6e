"""What notebooks show of stacks and cross-fits."""

import pytest
from sklearn import config_context
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import estimator_html_repr

from ensemblekit import AverageRegressor, CrossFit, StackedClassifier, StackedRegressor

HOSTILE = "<script>alert(1)</script>"
FITTED = 'class="ensemblekit-fitted"'


def members():
    return [("ridge", Ridge()), (HOSTILE, KNeighborsRegressor(9)), ("gone", "drop")]


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def test_before_the_fit_members_and_combiner_are_drawn():
    page = StackedRegressor(members(), AverageRegressor())._repr_html_()
    for word in (
        "Ridge",
        "KNeighborsRegressor",
        "drop",
        "combiner",
        "AverageRegressor",
    ):
        assert word in page
    assert FITTED not in page


def test_defaults_are_drawn():
    page = StackedRegressor()._repr_html_()
    assert "ConvexRegressor" in page
    assert page.count("sk-parallel-item") > 3


def test_after_the_fit_weights_and_losses_are_listed(diabetes):
    stacked = StackedRegressor(members()).fit(*diabetes)
    page = stacked._repr_html_()
    listed = page.partition(FITTED)[2]
    assert "Fitted: ConvexRegressor of 2 members, 2 with weight" in listed
    for weight, report in zip(
        stacked.weights_, stacked.cross_fit_.report_, strict=True
    ):
        assert f"<td>{weight:.4g}</td><td>{report['loss']:.4g}</td>" in listed
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in listed


def test_the_mime_bundle_has_it_once(diabetes):
    stacked = StackedRegressor(members()).fit(*diabetes)
    bundle = stacked._repr_mimebundle_()
    assert bundle["text/html"].count(FITTED) == 1
    with config_context(display="text"):
        assert "text/html" not in stacked._repr_mimebundle_()
        assert not hasattr(stacked, "_repr_html_")


def test_a_cross_fit_lists_losses(diabetes):
    cross_fit = CrossFit(members())
    assert FITTED not in cross_fit._repr_html_()
    page = cross_fit.fit(*diabetes)._repr_html_()
    assert "Fitted: 2 members on 5 folds" in page
    assert f"<td>{cross_fit.report_[0]['loss']:.4g}</td>" in page


def test_foreign_combiners_and_label_members_have_no_such_columns():
    X, y = load_iris(return_X_y=True)
    given = [("linear", LogisticRegression(max_iter=2000)), ("svm", LinearSVC())]
    stacked = StackedClassifier(given, LogisticRegression(max_iter=2000))
    listed = stacked.fit(StandardScaler().fit_transform(X), y)._repr_html_()
    listed = listed.partition(FITTED)[2]
    assert "Fitted: LogisticRegression of 2 members<" in listed
    assert ">weight<" not in listed
    assert listed.count("<td></td>") == 1  # the loss of a member that predicts margins


def test_inside_a_pipeline_members_are_drawn(diabetes):
    model = make_pipeline(StandardScaler(), StackedRegressor(members()))
    assert "KNeighborsRegressor" in estimator_html_repr(model.fit(*diabetes))


def test_many_members_stay_small(diabetes):
    X, y = diabetes
    many = [(f"m{m}", Ridge(alpha=m + 1.0)) for m in range(60)]
    few = StackedRegressor(many[:31])._repr_html_()
    page = StackedRegressor(many)._repr_html_()
    assert "and 30 more members" in page
    assert "and 1 more members" in few
    assert len(page) < 1.1 * len(few)
    stacked = StackedRegressor(many, AverageRegressor(), cv=2, refit="none")
    listed = stacked.fit(X[:40], y[:40])._repr_html_().partition(FITTED)[2]
    assert listed.count("<tr>") == 21
    assert "<p>and 40 more members</p>" in listed
