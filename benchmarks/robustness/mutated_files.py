"""Run every verb on damaged .tflite files.

    python benchmarks/robustness/mutated_files.py FILES [--count N] [--seed S] [--runtime tflm]

Damages the files in turn, N times in all, and puts each result through `convert`, `inspect`, `plan`
and one inference. Prints every case in which something else came out than a result or an error of
this package, in which a file name other than the output appeared, or that took over 30 s; then the
totals. The exit code is 1 if there is such a case. A case is repeated with its seed.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tflm_sparsesep as ts
from tests.converters.tflite.mutations import MUTATIONS
from tflm_sparsesep.converters.tflite import editor, types
from tflm_sparsesep.runtime import files

MOST_SECONDS = 30.0
# Inputs of models that ask for more are not made.
MOST_INPUT_ELEMENTS = 1 << 22


def zeros_for(data: bytes) -> list[np.ndarray[Any, Any]]:
    """Return one inference of zeros for the model."""
    tensors = editor.read(data).subgraphs[0].inputs
    if sum(np.prod(t.shape, dtype=np.float64) for t in tensors) > MOST_INPUT_ELEMENTS:
        raise ts.ConfigError("inputs too large to try")
    return [np.zeros((1, *t.shape), types.numpy_dtype(t.type)) for t in tensors]


def run_in(runtime: str, data: bytes) -> None:
    """Run one inference of zeros."""
    ts.run(data, zeros_for(data), runtime=runtime)


def verbs(folder: Path, runtimes: list[str]) -> dict[str, Callable[[bytes], Any]]:
    """Return what each case goes through, by name."""

    def convert(data: bytes) -> None:
        files.write_atomically(folder / "out.tflite", ts.convert(data).tflite)

    found: dict[str, Callable[[bytes], Any]] = {
        "convert": convert,
        "inspect": ts.inspect,
        "plan": ts.plan,
    }
    return found | {f"run {name}": functools.partial(run_in, name) for name in runtimes}


def outcome(verb: Callable[[bytes], Any], data: bytes) -> tuple[str, str]:
    """Return what came out, and its details."""
    start = time.monotonic()
    try:
        verb(data)
        kind, details = "done", ""
    except ts.SparseSepError as error:
        text = str(error)
        kind, details = ("refused", "") if text.isprintable() else ("message", repr(text))
    except Exception:
        kind, details = "traceback", traceback.format_exc()
    took = time.monotonic() - start
    return ("slow", f"{took:.0f} s") if took > MOST_SECONDS else (kind, details)


def main() -> int:
    """Run the cases; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runtime", action="append", default=[])
    options = parser.parse_args()
    contents = [path.read_bytes() for path in options.files]
    totals: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in range(options.count):
            rng = np.random.default_rng((options.seed, case))
            mutate = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
            data = bytes(mutate(bytearray(contents[case % len(contents)]), rng))
            for verb, call in verbs(folder, options.runtime).items():
                kind, details = outcome(call, data)
                if {path.name for path in folder.iterdir()} - {"out.tflite"}:
                    kind, details = "partial file", ", ".join(p.name for p in folder.iterdir())
                totals[verb, kind] += 1
                if kind not in ("done", "refused"):
                    at = f"--seed {options.seed}, case {case}, {mutate.__name__}"
                    print(f"{verb}: {kind} ({at}): {details}", flush=True)
    for (verb, kind), number in sorted(totals.items()):
        print(f"{verb:12} {kind:10} {number:7,}")
    return int(any(kind not in ("done", "refused") for _, kind in totals))


if __name__ == "__main__":
    sys.exit(main())
