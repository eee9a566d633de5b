"""Run models in LiteRT with the delegate, in child processes: some OpenCL drivers crash in a
process with TensorFlow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tflm_sparsesep as ts

Array = npt.NDArray[Any]
WORKER = Path(__file__).with_name("litert_worker.py")


@dataclass(frozen=True)
class Job:
    """One model on inputs [inferences, *shape], one array per model input.

    options: of the delegate; None for LiteRT alone. reference: LiteRT uses its reference kernels.
    resize: resize the model's inputs to the shapes of the arrays.
    """

    model: bytes
    inputs: Sequence[Array]
    options: Mapping[str, str] | None
    reference: bool = False
    resize: bool = False


@dataclass(frozen=True)
class Done:
    """outputs: [inferences, *shape] per model output. messages: the delegate's own lines."""

    outputs: list[Array]
    messages: list[str]


def run_jobs(
    folder: Path,
    jobs: Sequence[Job],
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
    library: Path | None = None,
) -> list[Done]:
    """Run all jobs in order in one new process."""
    done = start_jobs(folder, jobs, python=python, environment=environment, library=library)
    assert done.returncode == 0, done.stderr[-3000:]
    messages = re.split(r"^job \d+$", done.stderr, flags=re.MULTILINE)[1:]
    results = []
    for number, text in enumerate(messages):
        arrays = np.load(folder / f"out{number}.npz")
        lines = [line for line in text.splitlines() if line.startswith("sparsesep delegate:")]
        results.append(Done([arrays[name] for name in arrays.files], lines))
    return results


def start_jobs(
    folder: Path,
    jobs: Sequence[Job],
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
    library: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run all jobs like `run_jobs`, whatever the exit status is."""
    described = []
    for number, job in enumerate(jobs):
        (folder / f"model{number}.tflite").write_bytes(job.model)
        np.savez(folder / f"in{number}.npz", *job.inputs)
        described.append(
            {
                "model": f"model{number}.tflite",
                "input": f"in{number}",
                "output": f"out{number}",
                "options": None if job.options is None else dict(job.options),
                "reference": job.reference,
                "resize": job.resize,
            }
        )
    request = {"library": str(library or ts.delegate_path()), "jobs": described}
    (folder / "jobs.json").write_text(json.dumps(request))
    return subprocess.run(
        [python, str(WORKER), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )
