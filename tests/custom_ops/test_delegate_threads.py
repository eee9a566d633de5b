"""Several interpreters with delegates of their own in one process, under ThreadSanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz.graph_seeds import graphs
from tests.fuzz.libfuzzer import includes, sources

ROOT = Path(__file__).parents[2]
# The flag of `fuzz_delegate` that gives the thread pool of the CPU backend a second thread.
TWO_THREADS = 4


@pytest.mark.slow
def test_interpreters_in_threads_do_not_race(tmp_path: Path) -> None:
    program = tmp_path / "delegate"
    main = ROOT / "tests/fuzz/fuzz_delegate.c"
    flags = ("-std=gnu11", "-g", "-O1", "-fsanitize=thread")
    files = map(str, (main, *sources("delegate")))
    command = ["cc", *flags, *includes(), *files, "-lm", "-lpthread", "-o", str(program)]
    subprocess.run(command, check=True)
    paths = []
    for number, graph in enumerate(graphs()):
        paths.append(tmp_path / f"graph{number}")
        paths[-1].write_bytes(bytes([graph[0] | TWO_THREADS]) + graph[1:])
    done = subprocess.run(
        [str(program), "4", "2", *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:3000]
    assert "WARNING: ThreadSanitizer" not in done.stderr
