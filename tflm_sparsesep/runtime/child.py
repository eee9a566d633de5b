"""A process of its own for native code that may end it, and requests to it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.errors import DeviceError

_WORKER = Path(__file__).with_name("worker.py")


class Refusal(Exception):
    """The worker refused a request; holds the reason and the lines that it printed.

    Attributes:
        kind: ImportError where the runtime is not installed, else Exception.
        printed: lines on its stderr.
    """

    def __init__(self, kind: type[Exception], reason: str, printed: list[str]) -> None:
        super().__init__(reason)
        self.kind = kind
        self.printed = printed


class Child:
    """A running `worker.py`.

    Attributes:
        garbage: interpreters to free with the next request. Python may collect one in the middle
            of another request, so finalizers only append here.
        keys: numbers for interpreters.
    """

    def __init__(self, runtime: str) -> None:
        self.garbage: list[int] = []
        self.keys = itertools.count()
        self._lock = threading.Lock()
        self._obituary = ""
        self._pid = os.getpid()
        # The worker shares this file and its position: it can be emptied between two requests.
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), runtime],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._spool,
        )
        self._send(sys.path)
        atexit.register(self.end)

    @property
    def is_alive(self) -> bool:
        """True until its process has ended."""
        return self._process.poll() is None

    def ask(self, method: str, *arguments: Any) -> tuple[Any, list[str]]:
        """Return the result of a request, and the lines that the worker printed meanwhile.

        Raises:
            Refusal: the worker raised an exception.
            DeviceError: its process ended.
        """
        if os.getpid() != self._pid:
            raise DeviceError("an interpreter does not pass to a forked process")
        with self._lock:
            if self._obituary:
                raise DeviceError(self._obituary)
            try:
                if self.garbage:
                    self._exchange("close", [self.garbage.pop() for _ in range(len(self.garbage))])
                done, result = self._exchange(method, *arguments)
            except (EOFError, OSError, pickle.UnpicklingError):
                self._obituary = self._how_it_ended()
                raise DeviceError(self._obituary) from None
            except BaseException:  # half a reply may be in the pipe
                self.end()
                raise
            lines = self._drain()
        if not done:
            kind, reason = result
            raise Refusal(kind, reason, lines)
        return result, lines

    def end(self) -> None:
        """End the process."""
        if os.getpid() != self._pid:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._spool):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        atexit.unregister(self.end)

    def _exchange(self, method: str, *arguments: Any) -> tuple[bool, Any]:
        self._send((method, arguments))
        assert self._process.stdout is not None
        done, result = pickle.load(self._process.stdout)
        return done, result

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(value, self._process.stdin, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()

    def _drain(self) -> list[str]:
        spool = self._spool.fileno()
        size = os.fstat(spool).st_size
        if size == 0:
            return []
        data = os.pread(spool, size, 0)
        os.ftruncate(spool, 0)
        os.lseek(spool, 0, os.SEEK_SET)
        return data.decode(errors="replace").splitlines()

    def _how_it_ended(self) -> str:
        """End the process and say what ended it, and what it printed last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        code, lines = self._process.returncode, self._drain()
        self.end()
        how = f"with exit code {code}"
        if code is not None and code < 0:
            how = f"by {signal.Signals(-code).name}"
        said = "".join(f"; {line.strip()}" for line in lines[-3:] if line.strip())
        return f"the model ended its process {how}{said}"


def child(runtime: str) -> Child:
    """Return the worker of this process for "tflm" or "litert"; start one if there is none."""
    found = _started(os.getpid(), runtime)
    if not found.is_alive:
        _started.cache_clear()
        found = _started(os.getpid(), runtime)
    return found


@functools.lru_cache(maxsize=2)
def _started(pid: int, runtime: str) -> Child:
    del pid  # only the cache's key: a forked process gets a worker of its own
    return Child(runtime)
