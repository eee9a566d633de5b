"""Work over processes: in order, bit for bit the same, and its errors as they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tflm_sparsesep.compression.parallel import cores, map_ordered
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ModelError


def products(seed: int) -> bytes:
    """Enough matrix products for the last bits to depend on the number of threads."""
    x = np.random.default_rng(seed).normal(size=(300, 400))
    return np.linalg.solve(x @ x.T + np.eye(300), x).tobytes()


def test_results_are_the_same_whatever_the_number_of_workers() -> None:
    wanted = map_ordered(products, range(6), workers=1)
    assert len(set(wanted)) == 6
    for workers in (2, 3, 8, None):
        assert map_ordered(products, range(6), workers=workers) == wanted


def test_they_come_in_order_from_other_processes() -> None:
    others_are_done = multiprocessing.get_context("fork").Event()

    def slow_first(n: int) -> tuple[int, int]:
        if n == 8:
            others_are_done.set()
        assert n or others_are_done.wait(timeout=60)
        return n, os.getpid()

    reports: list[int] = []
    found = map_ordered(slow_first, range(9), workers=3, on_result=lambda: reports.append(1))
    assert [n for n, _ in found] == list(range(9))
    processes = {process for _, process in found}
    assert os.getpid() not in processes
    assert 2 <= len(processes) <= 3
    assert len(reports) == 9


def test_a_map_inside_a_worker_stays_in_it() -> None:
    def inner(n: int) -> list[bool]:
        here = os.getpid()
        return map_ordered(lambda _: os.getpid() == here, range(n), workers=4)

    assert map_ordered(inner, [1, 2, 3], workers=2) == [[True], [True] * 2, [True] * 3]


# A shell that starts tests in the background has them ignore SIGINT.
FOREVER = """
import os, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from tflm_sparsesep.compression.parallel import map_ordered

def wait(n):
    os.write(1, b"x")
    time.sleep(3600)

map_ordered(wait, [1, 2], workers=2)
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

    with pytest.raises(ModelError, match="layer 2 is broken"):
        map_ordered(fails, range(5), workers=workers)
    assert map_ordered(fails, range(2), workers=workers) == [0, 1]


def test_a_killed_worker_is_reported() -> None:
    with pytest.raises(DeviceError, match="a worker process was killed"):
        map_ordered(lambda n: os._exit(9), range(4), workers=2)


def test_workers_must_be_a_positive_integer() -> None:
    for workers in (0, -1, 1.5, "2"):
        with pytest.raises(ConfigError, match="workers is"):
            map_ordered(products, [1], workers=workers)  # type: ignore[arg-type]
    assert map_ordered(products, []) == []
    assert cores() >= 1
