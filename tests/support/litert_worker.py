"""Runs .tflite models with an external delegate, in a process of its own.

    python litert_worker.py JOB_FOLDER

Standalone, since the interpreters of other environments run it, too: it needs numpy and LiteRT or
tflite-runtime. The folder holds jobs.json: the delegate's `library` and a list of `jobs`, see
delegate_jobs.py. Per job the arrays of `input`.npz, inferences along the first axis, go through
the model, and outputs are written to `output`.npz. The messages of the delegate go to stderr.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

try:
    from ai_edge_litert import interpreter as litert
except ImportError:
    from tflite_runtime import interpreter as litert


def run(folder: Path, job: dict[str, Any], library: str) -> None:
    """Run one job, and write its outputs."""
    delegates = [] if job["options"] is None else [litert.load_delegate(library, job["options"])]
    resolvers = litert.OpResolverType
    interpreter = litert.Interpreter(
        model_content=(folder / job["model"]).read_bytes(),
        experimental_delegates=delegates,
        experimental_op_resolver_type=resolvers.BUILTIN_REF if job["reference"] else resolvers.AUTO,
    )
    arrays = np.load(folder / f"{job['input']}.npz")
    inputs = [arrays[name] for name in arrays.files]
    for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
        if job["resize"]:
            interpreter.resize_tensor_input(detail["index"], array.shape[1:])
    interpreter.allocate_tensors()
    entries = [detail["index"] for detail in interpreter.get_input_details()]
    exits = [detail["index"] for detail in interpreter.get_output_details()]
    results: list[list[Any]] = [[] for _ in exits]
    for values in zip(*inputs, strict=True):
        for entry, value in zip(entries, values, strict=True):
            interpreter.set_tensor(entry, value)
        interpreter.invoke()
        for column, index in zip(results, exits, strict=True):
            column.append(interpreter.get_tensor(index))
    np.savez(folder / f"{job['output']}.npz", *[np.stack(column) for column in results])


def main() -> None:
    """Run all jobs of the folder."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / "jobs.json").read_text())
    for number, job in enumerate(request["jobs"]):
        print(f"job {number}", file=sys.stderr, flush=True)
        run(folder, job, request["library"])


if __name__ == "__main__":
    main()
