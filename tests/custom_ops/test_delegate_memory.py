"""Allocations of the delegate that fail, one after the other: clean errors, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.depthwise_layers import random_block
from tests.support.layers import layout_case
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.separable_models import separable_model
from tests.support.models.sparse_models import sparse_model
from tests.support.opencl_device import build_opencl_shim, needs_opencl
from tests.support.separable_layers import random_shape
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_separable import pack as pack_separable
from tflm_sparsesep.device.synthetic_separable import random_images, random_separable

HERE = Path(__file__).parent
MOST = 200


def sparse() -> bytes:
    """A layer that two threads share by rows, and with more vectors by vectors."""
    return sparse_model(layout_case(np.random.default_rng(3), LAYOUTS[0], 512, 512, zeros=0.5))


def separable() -> bytes:
    rng = np.random.default_rng(5)
    shape = random_shape(rng)
    conv, images = random_separable(rng, shape), random_images(rng, shape)[:1]
    return separable_model(pack_separable(conv), images.shape, conv.output_shape(images.shape))


def depthwise_block() -> bytes:
    case = random_block(np.random.default_rng(6), LAYOUTS[0])
    images = case.depthwise.images[:1]
    return separable_model(case.blob, images.shape, (1, *case.output_shape[1:]))


def operators() -> bytes:
    """All operators that the delegate computes, in one chain."""
    g = GraphBuilder(2, quantized=True)
    x = g.conv(g.input(1, 8, 8, 4), 8, (3, 3), activation="RELU6")
    x = g.pool(g.conv(x, 8, (3, 3), depthwise=True), "MAX", (2, 2), (2, 2))
    x = g.arithmetic("MUL", g.arithmetic("ADD", x, g.constant(8)), x)
    x = g.pad(g.concatenate([x, x], 3), [(0, 0), (1, 0), (0, 1), (0, 0)])
    x = g.fully_connected(g.reshape(x, 1, 400), 40, "RELU")
    x = g.function("LOGISTIC", g.function("RELU", x))
    g.function("SOFTMAX", g.fully_connected(x, 10))
    return g.build()


@pytest.mark.parametrize("model", [sparse, separable, depthwise_block, operators])
@pytest.mark.parametrize(
    "options",
    [
        {"backend": "cpu", "threads": "2"},
        pytest.param({"backend": "opencl"}, marks=[pytest.mark.slow, needs_opencl]),
        pytest.param(
            {"backend": "opencl", "precision": "fp16", "cache_dir": "cache"},
            marks=[pytest.mark.slow, needs_opencl],
        ),
    ],
    ids=["cpu", "opencl", "cache"],
)
def test_allocations_that_fail(model: object, options: dict[str, str], tmp_path: Path) -> None:
    assert callable(model)
    (tmp_path / "model.tflite").write_bytes(model())
    (tmp_path / "cache").mkdir()
    counter = tmp_path / "count_allocations.so"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", HERE / "count_allocations.c", "-o", counter], check=True
    )
    environment = build_opencl_shim(tmp_path) if options["backend"] == "opencl" else {}
    done = subprocess.run(
        [
            *(sys.executable, HERE / "failing_memory_worker.py", tmp_path, str(ts.delegate_path())),
            *(json.dumps(options), str(MOST), "1" if model is operators else "3"),
        ],
        cwd=tmp_path,
        env={**os.environ, "LD_PRELOAD": str(counter), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["calls"] >= 10
    assert result["right"] + len(result["errors"]) == result["calls"]
    assert (result["leaks"], result["objects"]) == ([], 0)
    unclear = [e for e in result["errors"] if "sparsesep" not in e or "out of memory" not in e]
    assert unclear == []
