"""The battery of `checks` over every public combiner."""

import pytest

from . import checks


def _name(value):
    return (
        getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    )


# A vote of one says that nothing can be accepted.
@pytest.mark.filterwarnings("ignore:No vote of 1 member is:UserWarning")
@pytest.mark.parametrize("check", checks.CHECKS, ids=_name)
@pytest.mark.parametrize(("combiner", "task"), list(checks.combiner_cases()), ids=_name)
def test_combiner(combiner, task, check):
    check(combiner, task)


def test_every_combiner_is_found():
    found = {type(combiner).__name__ for combiner, _ in checks.combiner_cases()}
    assert found >= {"ConvexRegressor", "ConvexClassifier", "AverageClassifier"}
    assert found == set(checks.combine.__all__)
