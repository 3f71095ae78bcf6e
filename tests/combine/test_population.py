import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier

from ensemblekit import (
    EnsembleSelectionClassifier,
    EnsembleSelectionRegressor,
    QDOEnsembleSelectionClassifier,
    QDOEnsembleSelectionRegressor,
    QOEnsembleSelectionClassifier,
    QOEnsembleSelectionRegressor,
    evaluate_loss,
)

REGRESSORS = [QOEnsembleSelectionRegressor(), QDOEnsembleSelectionRegressor()]
CLASSIFIERS = [QOEnsembleSelectionClassifier(), QDOEnsembleSelectionClassifier()]
DIVERSE = [QDOEnsembleSelectionRegressor(), QDOEnsembleSelectionClassifier()]


def check_losses(combiner, P, y, weight):
    """Losses of weights_ and of all elites are those of their predictions."""
    found = clone(combiner).fit(P, y, sample_weight=weight)
    mixed, loss = clone(combiner).fit(P, y), combiner.loss
    method = mixed.predict_proba if is_classifier(mixed) else mixed.predict

    def loss_of(weights):
        mixed.weights_ = weights
        return evaluate_loss(loss, y, method(P), weight)

    assert_allclose(found.loss_, loss_of(found.weights_), rtol=1e-9, atol=1e-15)
    archive = found.archive_
    assert_allclose(
        archive.losses, list(map(loss_of, archive.weights)), rtol=1e-9, atol=1e-15
    )
    assert found.loss_ <= archive.losses[0] * (1 + 1e-12)
    assert (np.diff(archive.losses) >= 0).all()
    assert_allclose(archive.weights.sum(axis=1), 1.0)
    assert archive.weights.shape == (len(archive.losses), len(found.weights_))
    assert found.loss_ <= found.loss_path_[-1] * (1 + 1e-12)
    return found


@pytest.mark.parametrize("combiner", REGRESSORS, ids=str)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_losses(regression_predictions, combiner, loss, weighted):
    P, y, weight = regression_predictions(n_members=4, n_samples=80)
    combiner = clone(combiner).set_params(loss=loss)
    check_losses(combiner, P, y, weight if weighted else None)


@pytest.mark.parametrize("combiner", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("loss", ["log_loss", "brier", "zero_one", "auc"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_classification_losses(class_predictions, combiner, loss, n_classes, weighted):
    P, y, weight = class_predictions(n_members=4, n_samples=80, n_classes=n_classes)
    combiner = clone(combiner).set_params(loss=loss)
    weight = weight if weighted else None
    if loss == "auc" and n_classes == 3:
        with pytest.raises(ValueError, match="'auc' needs two classes"):
            combiner.fit(P, y)
        return
    check_losses(combiner, P, y, weight)


@pytest.mark.parametrize("combiner", REGRESSORS + CLASSIFIERS, ids=str)
@pytest.mark.parametrize("seed", range(30))
def test_never_worse_than_greedy(
    regression_predictions, class_predictions, combiner, seed
):
    if is_classifier(combiner):
        P, y, weight = class_predictions(n_members=10, seed=seed)
        greedy = EnsembleSelectionClassifier().fit(P, y, sample_weight=weight)
    else:
        P, y, weight = regression_predictions(n_members=10, seed=seed)
        greedy = EnsembleSelectionRegressor().fit(P, y, sample_weight=weight)
    found = clone(combiner).set_params(random_state=seed)
    found.fit(P, y, sample_weight=weight)
    assert found.loss_ <= greedy.loss_path_.min() * (1 + 1e-12)
    assert found.n_evaluations_ == 500
    # Each round of the greedy selection tries all; then its path is evaluated.
    assert 0 <= found.n_init_evaluations_ - 500 <= 50


@pytest.mark.parametrize("combiner", DIVERSE, ids=str)
def test_one_elite_in_each_cell(regression_predictions, class_predictions, combiner):
    make = class_predictions if is_classifier(combiner) else regression_predictions
    P, y, _ = make(n_members=12)
    archive = clone(combiner).fit(P, y).archive_
    assert archive.descriptor_names == ["loss_correlation", "ensemble_size"]
    assert len(np.unique(archive.cells, axis=0)) == len(archive.cells) > 5
    assert archive.cells.min() >= 0
    assert archive.cells.max() <= 6
    assert_array_equal(archive.descriptors[:, 1], (archive.weights > 0).sum(axis=1))
    errors = P - y[:, None]
    if is_classifier(combiner):
        errors = np.where(y[:, None] == 1, P, 1 - P)
    similarity = np.abs(np.corrcoef(errors.T))
    for weights, (correlation, size) in zip(
        archive.weights, archive.descriptors, strict=True
    ):
        if size > 1:
            inside = similarity[np.ix_(weights > 0, weights > 0)]
            pairs = inside[np.triu_indices(len(inside), 1)]
            assert_allclose(correlation, pairs.mean(), rtol=1e-8)


@pytest.mark.parametrize("combiner", REGRESSORS + CLASSIFIERS, ids=str)
def test_copies_get_nothing(regression_predictions, class_predictions, combiner):
    make = class_predictions if is_classifier(combiner) else regression_predictions
    P, y, _ = make(n_members=5)
    plain = clone(combiner).fit(P, y)
    copied = clone(combiner).fit(P[:, [0, 0, 1, 2, 3, 2, 4]], y)
    assert_array_equal(copied.weights_[[0, 2, 3, 4, 6]], plain.weights_)
    assert_array_equal(copied.archive_.counts[:, [1, 5]], 0)
    assert copied.n_evaluations_ == plain.n_evaluations_ == 250


def test_configurations_span_the_archive(class_predictions):
    P, y, _ = class_predictions(n_members=6)
    configurations = [{"depth": d, "kind": "ab"[d % 2]} for d in range(6)]
    found = QDOEnsembleSelectionClassifier(configurations=configurations).fit(P, y)
    names = ["loss_correlation", "configuration_similarity"]
    assert found.archive_.descriptor_names == names
    pairs = found.archive_.descriptors[(found.archive_.weights > 0).sum(axis=1) > 1]
    assert pairs[:, 1].max() <= 0.8  # two of the same kind, two apart in depth
    columns = {"depth": list(range(6)), "kind": list("ababab")}
    other = QDOEnsembleSelectionClassifier(configurations=columns).fit(P, y)
    assert_array_equal(other.archive_.descriptors, found.archive_.descriptors)


@pytest.mark.parametrize("combiner", REGRESSORS + CLASSIFIERS, ids=str)
def test_published_definition(regression_predictions, class_predictions, combiner):
    make = class_predictions if is_classifier(combiner) else regression_predictions
    P, y, _ = make(n_members=8)
    found = check_losses(clone(combiner).set_params(definition="published"), P, y, None)
    assert found.n_init_evaluations_ == 0
    assert found.n_evaluations_ == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"crossover": "average"},
        {"crossover": "two_point"},
        {"elite": "deterministic"},
        {"elite": "tournament"},
        {"mutation": "add"},
        {"batch_size": 7},
        {"n_evaluations": 123},
        {"random_state": np.random.RandomState(3)},
    ],
    ids=lambda changed: " ".join(changed),
)
@pytest.mark.parametrize("combiner", REGRESSORS, ids=str)
def test_parameters(regression_predictions, combiner, changed):
    P, y, _ = regression_predictions(n_members=8)
    found = clone(combiner).set_params(**changed).fit(P, y)
    assert found.n_evaluations_ == changed.get("n_evaluations", 400)
    batches = -(-(found.n_evaluations_ - 12) // changed.get("batch_size", 40))
    assert len(found.loss_path_) == 1 + batches
    greedy = EnsembleSelectionRegressor().fit(P, y)
    assert found.loss_ <= greedy.loss_path_.min() * (1 + 1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_evaluations": 3}, "n_evaluations=3 is less than the 6 distinct members"),
        ({"n_evaluations": 0}, r"n_evaluations.*range \[1, inf\).*Got 0"),
        ({"loss": "hinge"}, "loss.*Got 'hinge'"),
        ({"crossover": "uniform"}, "crossover.*Got 'uniform'"),
        ({"definition": "other"}, "definition.*Got 'other'"),
        ({"descriptors": ("ensemble_size",)}, "not two different ones out of"),
        ({"descriptors": ["ensemble_size"] * 2}, "not two different ones out of"),
        ({"descriptors": ("ensemble_size", "cost")}, "not two different ones out of"),
        (
            {"descriptors": ("ensemble_size", "configuration_similarity")},
            "give configurations, a dict for each member",
        ),
        ({"configurations": [{}] * 5}, "those of 5 members; expected one for each"),
    ],
)
def test_refusals(regression_predictions, parameters, message):
    P, y, _ = regression_predictions()
    with pytest.raises(ValueError, match=message):
        QDOEnsembleSelectionRegressor(**parameters).fit(P, y)
