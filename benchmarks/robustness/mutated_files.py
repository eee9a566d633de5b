"""Run every verb on damaged .tflite files.

    python benchmarks/robustness/mutated_files.py FILES --log LOG [--count N] [--seed S]
    python benchmarks/robustness/mutated_files.py FILES --case C [--seed S] [--keep DAMAGED]

Each file also gets two other forms: one with 90% zeros, and what `convert` makes of that. All of
them are damaged in turn, N times in all. Each result goes through `convert`, `inspect`, `plan` and
one inference in each runtime; if `convert` changed layers, so does the converted file, whose int8
outputs in TFLM have to be those of the file in TFLM, or in LiteRT. Findings are all that is
neither a result nor an error of this package: tracebacks, messages with control characters, files
other than the output, the end of a process, over 30 s, over 6 GiB. LOG gets one line for each case,
and a run goes on where it ends. Prints findings and totals; the exit code is 1 if there is a
finding. `--case` repeats one.

A runtime that ends its own process is an error of this package, since `run` survives it. It counts
apart ("ended"), and as a finding if the file has operators of this project.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from watched import HARMLESS, Watch, watched

import tflm_sparsesep as ts
from tests.converters.tflite.mutations import MUTATIONS, Mutation
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.tflite import editor, types
from tflm_sparsesep.runtime import files

RUNTIMES = ("tflm", "litert")
OUTPUT = "out.tflite"
# Inputs of models that ask for more are not made.
MOST_INPUT_ELEMENTS = 1 << 22
ZEROS = 0.9

Verbs = dict[str, Callable[[bytes], Any]]


def mutation_of(seed: int, case: int) -> tuple[Mutation, np.random.Generator]:
    """Return what is done to the file of a case; the same each time."""
    rng = np.random.default_rng((seed, case))
    return MUTATIONS[int(rng.integers(len(MUTATIONS)))], rng


def damage(contents: list[bytes], seed: int, case: int) -> bytes:
    """Return the damaged file of a case."""
    mutate, rng = mutation_of(seed, case)
    return bytes(mutate(bytearray(contents[case % len(contents)]), rng))


def forms(data: bytes) -> Iterator[bytes]:
    """Yield a file, one with zeros in its place, and what `convert` makes of that."""
    yield data
    model = editor.read(data)
    for op in model.operators:
        for tensor in filter(None, op.inputs[1:2]):
            if tensor.array is not None and len(tensor.shape) > 1:
                values = tensor.array.copy()
                values[abs(values) <= np.quantile(abs(values), ZEROS)] = 0
                tensor.buffer = editor.Buffer(values.tobytes())
    editor.prune_unused(model)
    sparse = editor.write(model)
    yield sparse
    yield ts.convert(sparse).tflite


def convert(folder: Path, data: bytes) -> ts.ConvertResult:
    """Convert a file, and write what it becomes."""
    result = ts.convert(data)
    files.write_atomically(folder / OUTPUT, result.tflite)
    return result


def zeros_for(data: bytes) -> list[np.ndarray[Any, Any]]:
    """Return zeros for one inference."""
    tensors = editor.read(data).subgraphs[0].inputs
    if sum(np.prod(t.shape, dtype=np.float64) for t in tensors) > MOST_INPUT_ELEMENTS:
        raise ts.ConfigError("inputs too large to try")
    return [np.zeros((1, *t.shape), types.numpy_dtype(t.type)) for t in tensors]


def has_own_operators(data: bytes) -> bool:
    """Return True for an intact file with operators of this project."""
    return any(op.custom_code in op_names.ALL for op in editor.read(data).operators)


def run_case(contents: list[bytes], seed: int, folder: Path, case: int, watch: Watch) -> None:
    """Put one case through every verb."""
    damaged = damage(contents, seed, case)
    inputs = watch.call("read", functools.partial(zeros_for, damaged)) or []
    verbs: Verbs = {
        "convert": functools.partial(convert, folder),
        "inspect": ts.inspect,
        "plan": ts.plan,
    }
    runs: Verbs = {
        f"run {runtime}": functools.partial(ts.run, inputs=inputs, runtime=runtime)
        for runtime in RUNTIMES
    }
    found: dict[str, Any] = {}
    for verb, call in (verbs | runs).items():
        found[verb] = watch.call(verb, functools.partial(call, damaged))
        extra = {path.name for path in folder.iterdir()} - {OUTPUT}
        if extra:
            watch.note(verb, "partial file", ", ".join(extra))
    converted = found["convert"]
    if converted is None or not any(layer.rewritten for layer in converted.layers):
        return
    after = {
        verb: watch.call(f"{verb} after convert", functools.partial(call, converted.tflite))
        for verb, call in runs.items()
    }
    # What LiteRT reads from shapes, TFLM reads from options. Damaged ones contradict each other.
    outputs = [found[verb] for verb in runs if found[verb] is not None]
    differ = not any(same(x, after["run tflm"]) for x in outputs)
    if found["run tflm"] is not None and differ and reads_what_is_written(damaged):
        watch.note("run tflm after convert", "other outputs", "")


def same(dense: list[np.ndarray[Any, Any]], sparse: list[np.ndarray[Any, Any]] | None) -> bool:
    """Return True if integer outputs are equal; floats are summed in another order."""
    if sparse is None:
        return False
    pairs = zip(dense, sparse, strict=True)
    return all(a.dtype.kind == "f" or np.array_equal(a, b) for a, b in pairs)


def reads_what_is_written(data: bytes) -> bool:
    """Return False if outputs of the file depend on memory that nothing has written."""
    for subgraph in editor.read(data).subgraphs:
        known = set(subgraph.inputs)
        for op in subgraph.operators:
            if any(is_unknown(t, known) for t in op.inputs):
                return False
            known.update(op.outputs)
        if any(is_unknown(t, known) for t in subgraph.outputs):
            return False
    return True


def is_unknown(tensor: editor.Tensor | None, known: set[editor.Tensor]) -> bool:
    """Return True for a tensor without a value."""
    return not (tensor is None or tensor.is_constant or tensor.is_variable or tensor in known)


def logged(path: Path | None) -> list[dict[str, Any]]:
    """Return the cases of a log."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def report(cases: list[dict[str, Any]], contents: list[bytes], seed: int) -> int:
    """Print findings and totals; return the number of findings."""
    totals: Counter[tuple[str, str]] = Counter()
    findings = 0
    for entry in cases:
        totals.update(entry["kinds"].items())
        for verb, kind in entry["kinds"].items():
            own = kind == "ended" and has_own_operators(damage(contents, seed, entry["case"]))
            if kind in HARMLESS and not own:
                continue
            findings += 1
            details = entry["details"].get(verb, "")
            print(f"{verb}: {kind} (case {entry['case']}, {entry['mutation']}): {details}")
    for (verb, kind), number in sorted(totals.items()):
        print(f"{verb:26} {kind:20} {number:7,}")
    print(f"{len(cases):,} files, {findings} findings")
    return findings


def main() -> int:
    """Run the cases; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--case", type=int)
    parser.add_argument("--keep", type=Path, help="write the damaged file of --case")
    options = parser.parse_args()
    contents = [form for path in options.files for form in forms(path.read_bytes())]
    done = logged(options.log) if options.case is None else []
    cases = range(len(done), options.count) if options.case is None else [options.case]
    if options.keep is not None:
        options.keep.write_bytes(damage(contents, options.seed, options.case))
    with tempfile.TemporaryDirectory() as name:
        run = functools.partial(run_case, contents, options.seed, Path(name))
        for case, outcomes in watched(run, cases):
            mutation = mutation_of(options.seed, case)[0].__name__
            done.append({"case": case, "mutation": mutation, **asdict(outcomes)})
            if options.log is not None:
                with options.log.open("a") as log:
                    log.write(json.dumps(done[-1]) + "\n")
    return int(report(done, contents, options.seed) > 0)


if __name__ == "__main__":
    sys.exit(main())
