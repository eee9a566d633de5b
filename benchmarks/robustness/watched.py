"""Cases in a process of its own, which may end, hang, or ask for all memory."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, Any

import tflm_sparsesep as ts

MOST_SECONDS = 30
MOST_BYTES = 6 << 30
HARMLESS = ("done", "refused", "ended")
"""A result, an error of this package, and one because a runtime ended its own process."""


@dataclass
class Outcomes:
    """What came out of one case.

    Attributes:
        kinds: by verb.
        details: of findings, and of runtimes that ended, by verb.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def note(self, verb: str, kind: str, details: str) -> None:
        """Record what came of a verb; the last word counts."""
        self.kinds[verb] = kind
        if details:
            self.details[verb] = details


class Watch:
    """Calls verbs in the watched process, and reports to the one that waits."""

    def __init__(self, reports: Connection) -> None:
        self._reports = reports

    def call(self, verb: str, function: Callable[[], Any]) -> Any:
        """Return what a verb returns; None if it raises."""
        self.note(verb, "begun", "")
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
        result, kind, details = None, "done", ""
        try:
            result = function()
        except ts.SparseSepError as error:
            kind, details = _refusal(str(error))
        except Exception:
            kind, details = "traceback", traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        self.note(verb, kind, details)
        return result

    def note(self, verb: str, kind: str, details: str) -> None:
        """Report what came of a verb; the last word counts."""
        self._reports.send((verb, kind, details))


Case = Callable[[int, Watch], None]


def _refusal(text: str) -> tuple[str, str]:
    if not text.isprintable():
        return "message", repr(text)
    return ("ended", text) if "ended its process" in text else ("refused", "")


def watched(run: Case, cases: Iterable[int]) -> Iterator[tuple[int, Outcomes]]:
    """Run cases in turn, and yield what came out of each.

    After the end of a process another one takes over with the next case.
    """
    waiting = list(cases)
    while waiting:
        for outcomes in _until_it_ends(run, list(waiting)):
            yield waiting.pop(0), outcomes


def _until_it_ends(run: Case, cases: list[int]) -> Iterator[Outcomes]:
    reports, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryFile() as printed, reports:
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(run, cases, (reports, sender), printed)
        )
        process.start()
        sender.close()
        for _ in cases:
            outcomes, start, verb = Outcomes(), time.monotonic(), ""
            try:
                while (report := reports.recv()) is not None:
                    outcomes.note(*report)
                    if report[1] == "begun":
                        verb, start = report[0], time.monotonic()
            except EOFError:
                process.join()
                kind = "hang" if time.monotonic() - start >= MOST_SECONDS else "end of process"
                outcomes.note(verb, kind, f"{process.exitcode}\n{_last_of(printed)}")
                yield outcomes
                break
            yield outcomes
        process.join()
        with contextlib.suppress(ProcessLookupError):  # a runtime that hangs outlives its caller
            os.killpg(process.pid or 0, signal.SIGKILL)


def _serve(
    run: Case, cases: list[int], ends: tuple[Connection, Connection], printed: IO[bytes]
) -> None:
    """Run cases; None ends the reports of each."""
    unused, reports = ends
    unused.close()  # or this process would outlive the one that reads
    os.setpgid(0, 0)
    for descriptor in (1, 2):
        os.dup2(printed.fileno(), descriptor)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for case in cases:
        run(case, Watch(reports))
        reports.send(None)


def _last_of(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - 3000))
    return file.read().decode(errors="replace")
