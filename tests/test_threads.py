"""One BLAS thread inside of fits, and as many as before after the last of them."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from ensemblekit import LinearStackClassifier, LinearStackRegressor, _threads
from ensemblekit._threads import one_blas_thread


@pytest.fixture
def blas():
    """Two threads, whatever the environment allows and tests before have left.

    Some packages, such as scs, bring a BLAS that was built without threads.
    """
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    before = counts(found)
    for library in found:
        _threads._set(library, 2)
    several = [library for library in found if library.num_threads == 2]
    if several:
        yield several
    for library, number in zip(found, before, strict=True):
        _threads._set(library, number)
    if not several:
        pytest.skip("no BLAS whose threads can be set")


def counts(blas):
    return [library.num_threads for library in blas]


def test_one_thread_inside_and_all_restored(blas):
    inside = one_blas_thread(lambda: counts(blas))
    assert set(inside()) == {1}
    assert set(counts(blas)) == {2}


def test_nested_calls_restore_at_the_last(blas):
    inner = one_blas_thread(lambda: None)
    outer = one_blas_thread(lambda: (inner(), counts(blas))[1])
    assert set(outer()) == {1}
    assert set(counts(blas)) == {2}


def test_an_error_restores(blas):
    @one_blas_thread
    def fail():
        raise ValueError("fails")

    with pytest.raises(ValueError, match="fails"):
        fail()
    assert set(counts(blas)) == {2}


def test_overlapping_threads_restore_when_the_last_leaves(blas):
    entered, first_left = threading.Event(), threading.Event()
    seen = []

    @one_blas_thread
    def first():
        assert entered.wait(30)

    @one_blas_thread
    def second():
        entered.set()
        assert first_left.wait(30)
        seen.extend(counts(blas))

    threads = [threading.Thread(target=f) for f in (first, second)]
    threads[0].start(), threads[1].start()
    threads[0].join()
    first_left.set()
    threads[1].join()
    assert set(seen) == {1}
    assert set(counts(blas)) == {2}


def test_fits_in_threads_leave_the_process_as_it_was(blas):
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    P = y[:, None] + rng.normal(size=(60, 3))

    def fit_both():
        LinearStackRegressor(cv=3).fit(P, y)
        LinearStackClassifier(ridge=0.1).fit(1.0 / (1.0 + np.exp(-P)), y > 0.0)

    threads = [threading.Thread(target=fit_both) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(counts(blas)) == {2}
