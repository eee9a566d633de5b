"""Depthwise convolutions and blocks in the delegate, both backends, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import native_ops
from tests.support.delegate_jobs import Job, run_jobs
from tests.support.depthwise_layers import random_block, random_case
from tests.support.models.separable_models import separable_model
from tests.support.models.shared_models import shared_model
from tests.support.opencl_device import OPENCL, needs_opencl
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

# OpenCL leaves these operators to the CPU.
BACKENDS = [
    pytest.param({"backend": "cpu"}, id="cpu"),
    pytest.param(OPENCL, id="opencl", marks=[pytest.mark.slow, needs_opencl]),
]
INT8 = [x for x in LAYOUTS if x.value_type is not ValueType.FLOAT32]


@pytest.mark.parametrize("options", BACKENDS)
def test_random_layers(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cases = [random_case(rng) for _ in range(20)]
    blocks = [random_block(rng, layout) for layout in INT8]
    layers = [(pack_depthwise(x.layer), x.images, x.output_shape) for x in cases]
    layers += [(x.blob, x.depthwise.images, x.output_shape) for x in blocks]
    jobs = [Job(separable_model(b, i.shape, o), [i[None]], options) for b, i, o in layers]
    for (blob, images, shape), done in zip(layers, run_jobs(tmp_path, jobs), strict=True):
        expected = native_ops.separable_conv_2d(blob, images, shape)
        np.testing.assert_array_equal(done.outputs[0][0].reshape(shape), expected)


@pytest.mark.parametrize("options", BACKENDS)
def test_a_file_for_a_microcontroller_runs(options: dict[str, str], tmp_path: Path) -> None:
    """Its operators without blobs stay LiteRT's, which round once: almost all scores are equal."""
    data = rewrite(shared_model("vww_96_int8.tflite"), target="cortex-m4").tflite
    model = editor.read(data)
    kinds = [op.custom_code for op in model.subgraphs[0].operators]
    assert kinds.count(op_names.SEPARABLE_CONV_2D) > 8
    rng = np.random.default_rng(2)
    images = rng.integers(-128, 128, (4, 1, 96, 96, 3)).astype(np.int8)
    tflm = TflmInterpreter(data, model)
    expected = np.array([tflm.invoke([image])[0][0] for image in images], np.int32)
    (done,) = run_jobs(tmp_path, [Job(data, [images], options)])
    found = done.outputs[0].reshape(expected.shape).astype(np.int32)
    np.testing.assert_allclose(found, expected, atol=2)
