"""Lifetimes of delegate and interpreters: nothing leaks, in any order of destruction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.operator_models import GraphBuilder, lenet_300_100
from tests.support.opencl_device import build_opencl_shim, needs_opencl
from tflm_sparsesep.converters.rewrite import rewrite

HERE = Path(__file__).parent
CYCLES = 1000


def lead_lives(folder: Path, options: dict[str, str], environment: dict[str, str]) -> Any:
    """Return what interpreter_leak_worker.py counts for the demo's sparse model."""
    graph = lenet_300_100(quantized=True)
    model = rewrite(graph.build(), target="cortex-m4").tflite
    (folder / "model.tflite").write_bytes(model)
    np.save(folder / "in.npy", graph.samples(2)[0])
    counter = folder / "count_allocations.so"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", HERE / "count_allocations.c", "-o", counter], check=True
    )
    done = subprocess.run(
        [
            *(sys.executable, HERE / "interpreter_leak_worker.py", folder, str(ts.delegate_path())),
            *(json.dumps(options), str(CYCLES)),
        ],
        env={**os.environ, "LD_PRELOAD": str(counter), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def assert_nothing_is_left(left: Any) -> None:
    kinds = ("blocks", "objects", "threads", "files")
    assert {kind: left[kind] for kind in kinds} == dict.fromkeys(kinds, 0), left


@pytest.mark.slow
def test_cpu(tmp_path: Path) -> None:
    left = lead_lives(tmp_path, {"backend": "cpu", "threads": "2"}, {})
    assert_nothing_is_left(left)


@pytest.mark.slow
@needs_opencl
def test_opencl(tmp_path: Path) -> None:
    """Counts blocks of the delegate's code only: OpenCL's own memory belongs to its driver."""
    environment = build_opencl_shim(tmp_path)
    left = lead_lives(tmp_path, {"backend": "opencl", "cache_dir": str(tmp_path)}, environment)
    assert_nothing_is_left(left)


@pytest.mark.parametrize("way", ["cycle", "exit", "first", "twice"])
@pytest.mark.parametrize("backend", ["cpu", pytest.param("opencl", marks=needs_opencl)])
def test_the_delegate_may_be_freed_before_its_interpreters(
    backend: str, way: str, tmp_path: Path
) -> None:
    """Freed memory is filled (MALLOC_PERTURB_), so that using it does not go unnoticed."""
    graph = GraphBuilder(3, quantized=True)
    graph.fully_connected(graph.input(1, 300), 200)
    (tmp_path / "model.tflite").write_bytes(graph.build())
    done = subprocess.run(
        [
            *(sys.executable, HERE / "delegate_order_worker.py", tmp_path / "model.tflite"),
            *(str(ts.delegate_path()), backend, way),
        ],
        env={**os.environ, "MALLOC_PERTURB_": "165"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]
