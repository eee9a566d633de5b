"""Work over processes: in order, bit for bit the same, and its errors as they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tflm_sparsesep.compression.parallel import cores, mapper
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ModelError


def products(seed: int) -> bytes:
    """Enough matrix products for the last bits to depend on the number of threads."""
    x = np.random.default_rng(seed).normal(size=(300, 400))
    return np.linalg.solve(x @ x.T + np.eye(300), x).tobytes()


def test_results_are_the_same_whatever_the_number_of_workers() -> None:
    with mapper(products, workers=1) as run:
        wanted = run(range(6))
    assert len(set(wanted)) == 6
    for workers in (2, 3, 8, None):
        with mapper(products, workers=workers) as run:
            assert run(range(6)) == wanted


def test_libraries_that_are_loaded_later_have_one_thread_too() -> None:
    program = """
from threadpoolctl import threadpool_info
from tflm_sparsesep.compression.parallel import one_thread
with one_thread():
    before = len(threadpool_info())
import scipy.linalg
with one_thread():
    found = [library["num_threads"] for library in threadpool_info()]
assert len(found) > before, found
assert set(found) == {1}, found
"""
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
    )


def test_processes_live_until_the_end_of_the_block() -> None:
    counts: list[int] = []

    def call(_: int) -> tuple[int, int]:
        counts.append(1)
        return os.getpid(), len(counts)

    with mapper(call, workers=2) as run:
        found = [*run(range(6)), *run(range(6))]
    last = {process: 0 for process, _ in found}
    for process, count in found:
        last[process] = max(last[process], count)
    assert os.getpid() not in last
    assert len(last) <= 2
    assert sum(last.values()) == 12


def test_they_come_in_order_from_other_processes() -> None:
    others_are_done = multiprocessing.get_context("fork").Event()

    def slow_first(n: int) -> tuple[int, int]:
        if n == 8:
            others_are_done.set()
        assert n or others_are_done.wait(timeout=60)
        return n, os.getpid()

    reports: list[int] = []
    with mapper(slow_first, workers=3, on_result=lambda: reports.append(1)) as run:
        found = run(range(9))
    assert [n for n, _ in found] == list(range(9))
    processes = {process for _, process in found}
    assert os.getpid() not in processes
    assert 2 <= len(processes) <= 3
    assert len(reports) == 9


def test_a_map_inside_a_worker_stays_in_it() -> None:
    def inner(n: int) -> list[bool]:
        here = os.getpid()
        with mapper(lambda _: os.getpid() == here, workers=4) as run:
            return run(range(n))

    with mapper(inner, workers=2) as run:
        assert run([1, 2, 3]) == [[True], [True] * 2, [True] * 3]


# A shell that starts tests in the background has them ignore SIGINT.
FOREVER = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from tflm_sparsesep.compression.parallel import mapper

def wait(n):
    os.write(1, b"x")
    time.sleep(3600)

with mapper(wait, workers=2) as run:
    run([1, 2])
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FOREVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    assert parent.stdout.read(2) == b"xx"
    parent.send_signal(how)
    # The pipe ends when the last process that holds it has ended.
    assert parent.stdout.read() == b""
    assert parent.wait() != 0


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_those_of_the_function(workers: int) -> None:
    def fails(n: int) -> int:
        if n == 2:
            raise ModelError("layer 2 is broken")
        return n

    with mapper(fails, workers=workers) as run:
        with pytest.raises(ModelError, match="layer 2 is broken"):
            run(range(5))
        assert run(range(2)) == [0, 1]


def test_a_killed_worker_is_reported() -> None:
    with (
        mapper(os._exit, workers=2) as run,
        pytest.raises(DeviceError, match="a worker process was killed"),
    ):
        run([9] * 4)


def test_workers_must_be_a_positive_integer() -> None:
    for workers in (0, -1, 1.5, "2"):
        with (
            pytest.raises(ConfigError, match="workers is"),
            mapper(products, workers=workers),  # type: ignore[arg-type]
        ):
            pass
    with mapper(products) as run:
        nothing: list[int] = []
        assert run(nothing) == []
    assert cores() >= 1
