"""Run independent work on several cores; results do not depend on their number."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from tflm_sparsesep.converters.errors import ConfigError, DeviceError

Item = TypeVar("Item")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# What a worker runs: it is forked with it, so it need not be pickled.
_task: Callable[[Any], Any] | None = None


@contextlib.contextmanager
def mapper(
    function: Callable[[Item], Result],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    on_result: Callable[[], None] = lambda: None,
) -> Iterator[Callable[[Sequence[Item]], list[Result]]]:
    """Give a map: `function` of each of some items, in their order.

    Matrix products run on one thread, whatever `workers` is: their last bits depend on the number
    of threads. Changes that `function` makes in memory may be lost; items and results are pickled.
    Processes start with the first items and keep what they learn until the end of the block.

    Args:
        function: any callable, closures too.
        workers: processes; by default one for each core that this process may use. With 1, with a
            single item, inside a worker, and where forking is unsafe (Windows, macOS), everything
            runs in this process.
        executor: runs everything in the place of such processes; `function` is pickled, too.
        on_result: called after each result, in this process.

    Raises:
        ConfigError: `workers` is no positive integer.
        DeviceError: a worker was killed, for instance for lack of memory.
        Exception: what `function` raises for the first item that fails; later ones are abandoned.

    Example:
        >>> with mapper(lambda n: n * n, workers=2) as squares:
        ...     squares([3, 1, 2])
        [9, 1, 4]
    """
    count = cores() if workers is None else workers
    if not isinstance(count, int) or count < 1:
        raise ConfigError(f"workers is {workers!r}, accepted: an integer from 1 up")
    run = _Map(function, count, executor, on_result)
    try:
        yield run
    except (KeyboardInterrupt, SystemExit):
        for process in run.pool._processes.values() if run.pool else ():
            process.kill()  # they would finish their items first
        raise
    finally:
        if run.pool is not None:
            run.pool.shutdown(cancel_futures=True)


@dataclass
class _Map:
    """What `mapper` gives; the pool is there from the first items on that need it."""

    function: Callable[[Any], Any]
    count: int
    executor: Executor | None
    on_result: Callable[[], None]
    pool: ProcessPoolExecutor | None = None

    def __call__(self, items: Sequence[Any]) -> list[Any]:
        if self.executor is not None:
            futures = [self.executor.submit(self.function, item) for item in items]
            return _collected(futures, self.on_result)
        with one_thread():
            if min(self.count, len(items)) < 2 or not _can_fork():
                return [_reported(self.function(item), self.on_result) for item in items]
            self.pool = self.pool or _forking(self.count, self.function)
            return _collected([self.pool.submit(_run, item) for item in items], self.on_result)


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """Give matrix products one thread: their last bits depend on the number of threads.

    The libraries are looked for again only after further modules were imported, which may have
    brought some: a search takes as long as some fits of a small layer.
    """
    limit: contextlib.AbstractContextManager[Any] = _libraries(len(sys.modules)).limit(limits=1)
    return limit


@functools.lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    return ThreadpoolController()


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _can_fork() -> bool:
    """Return False inside a worker and on macOS, whose system libraries do not support it."""
    return sys.platform == "linux" and _task is None


def _forking(count: int, function: Callable[[Any], Any]) -> ProcessPoolExecutor:
    """Return processes that are forked with the first item, and run a function."""
    return ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_start,
        initargs=(os.getpid(), function),
    )


def _collected(futures: Sequence[Future[Result]], on_result: Callable[[], None]) -> list[Result]:
    """Return the results in order; later futures are abandoned when one fails."""
    try:
        return [_reported(future.result(), on_result) for future in futures]
    except BrokenExecutor:
        raise DeviceError(
            "a worker process was killed, for instance for lack of memory; use fewer workers"
        ) from None
    finally:
        for future in futures:
            future.cancel()


def _start(parent: int, function: Callable[[Any], Any]) -> None:
    """Prepare a worker for a function; it ends when its parent does, killed or not."""
    global _task
    _task = function
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _run(item: Any) -> Any:
    assert _task is not None  # by `_start`
    return _task(item)


def _reported(result: Result, on_result: Callable[[], None]) -> Result:
    on_result()
    return result
