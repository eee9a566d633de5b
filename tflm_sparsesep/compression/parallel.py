"""Run independent work on several cores; results do not depend on their number."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from tflm_sparsesep.converters.errors import ConfigError, DeviceError

Item = TypeVar("Item")
Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

# What workers run. They are forked while it is set, so it need not be pickled.
_task: Callable[[Any], Any] | None = None


def map_ordered(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    on_result: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Return `function` of each item, in the order of the items.

    Matrix products run on one thread, whatever `workers` is: their last bits depend on the number
    of threads. Changes that `function` makes in memory may be lost; items and results are pickled.

    Args:
        function: any callable, closures too.
        items: its arguments.
        workers: processes; by default one for each core that this process may use. With 1, inside a
            worker, and where forking is unsafe (Windows, macOS), everything runs in this process.
        executor: runs everything in the place of such processes; `function` is pickled, too.
        on_result: called after each result, in this process.

    Raises:
        ConfigError: `workers` is no positive integer.
        DeviceError: a worker was killed, for instance for lack of memory.
        Exception: what `function` raises for the first item that fails; later ones are abandoned.

    Example:
        >>> map_ordered(lambda n: n * n, [3, 1, 2], workers=2)
        [9, 1, 4]
    """
    wanted = cores() if workers is None else workers
    if not isinstance(wanted, int) or wanted < 1:
        raise ConfigError(f"workers is {workers!r}, accepted: an integer from 1 up")
    if executor is not None:
        futures = [executor.submit(function, item) for item in items]
        return _collected(futures, on_result)
    count = min(wanted, len(items))
    with threadpool_limits(limits=1):
        if count < 2 or not _can_fork():
            return [_reported(function(item), on_result) for item in items]
        return _forked(function, items, count, on_result)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _can_fork() -> bool:
    """Return False inside a worker and on macOS, whose system libraries do not support it."""
    return sys.platform == "linux" and _task is None


def _forked(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    count: int,
    on_result: Callable[[], None],
) -> list[Result]:
    global _task
    _task = function
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_end_with,
        initargs=(os.getpid(),),
    )
    try:
        return _collected([pool.submit(_run, item) for item in items], on_result)
    except (KeyboardInterrupt, SystemExit):
        for process in pool._processes.values():  # they would finish their items first
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        _task = None


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


def _end_with(parent: int) -> None:
    """End this worker when its parent ends, killed or not: nobody else would."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _run(item: Any) -> Any:
    assert _task is not None  # set when this process was forked
    return _task(item)


def _reported(result: Result, on_result: Callable[[], None]) -> Result:
    on_result()
    return result
