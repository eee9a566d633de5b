"""`compress` over executors: the same bytes, with nothing shared but what is sent, or the cache."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.latent_models import latent_samples, mlp
from tflm_sparsesep.compression.parallel import mapper

pytestmark = pytest.mark.slow

BUDGET = ts.Budget(min_output_sqnr_db=20)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return latent_samples(200, seed=0)


@pytest.fixture(scope="module")
def alone(x: np.ndarray) -> ts.CompressResult:
    return ts.compress(mlp(), budget=BUDGET, representative_dataset=x, cache_dir=None, workers=1)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    """Two processes that inherit nothing."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


class Counting(Executor):
    """Passes calls on, and counts them."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.calls = inner, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.inner.submit(fn, *args, **kwargs)


def test_processes_that_share_nothing(
    x: np.ndarray, alone: ts.CompressResult, processes: Executor
) -> None:
    executor = Counting(processes)
    found = ts.compress(
        mlp(), budget=BUDGET, representative_dataset=x, cache_dir=None, executor=executor
    )
    assert found == alone
    assert executor.calls >= len(alone.layers) + len(set(alone.visited))


def test_processes_that_share_the_cache(
    x: np.ndarray, alone: ts.CompressResult, processes: Executor, tmp_path: Path
) -> None:
    found = ts.compress(
        mlp(), budget=BUDGET, representative_dataset=x, cache_dir=tmp_path, executor=processes
    )
    assert found == alone
    assert len(list(tmp_path.glob("*.trial"))) > len(set(alone.visited))


def test_threads_will_do(x: np.ndarray, alone: ts.CompressResult) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = ts.compress(
            mlp(), budget=BUDGET, representative_dataset=x, cache_dir=None, executor=executor
        )
    assert found == alone


def test_a_dask_cluster_of_two_workers(x: np.ndarray, alone: ts.CompressResult) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask: pip install distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = ts.compress(
            mlp(),
            budget=BUDGET,
            representative_dataset=x,
            cache_dir=None,
            executor=client.get_executor(),
        )
    assert found == alone


def test_a_worker_that_dies_is_named() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor,
        mapper(os._exit, executor=executor) as run,
        pytest.raises(ts.DeviceError, match="a worker process was killed"),
    ):
        run([9])
