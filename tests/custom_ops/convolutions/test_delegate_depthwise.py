"""Depthwise convolutions and blocks in the delegate, both backends, bit for bit."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from tests.support.delegate_jobs import Done, Job, run_jobs, start_jobs
from tests.support.depthwise_layers import (
    REAL,
    BlockCase,
    DepthwiseCase,
    Images,
    block_outputs,
    outputs_of,
    random_block,
    random_case,
    real_case,
)
from tests.support.models.separable_models import separable_model
from tests.support.models.shared_models import needs_shared_models, shared_model
from tests.support.opencl_device import OPENCL, claimed_all, needs_opencl
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

OPENCL_ONLY = [pytest.mark.slow, needs_opencl]
BACKENDS = [
    pytest.param({"backend": "cpu"}, id="cpu"),
    pytest.param(OPENCL, id="opencl", marks=OPENCL_ONLY),
]
INT8 = [x for x in LAYOUTS if x.value_type is not ValueType.FLOAT32]


def job_of(
    blob: bytes, images: Images, output_shape: tuple[int, ...], options: dict[str, str]
) -> Job:
    """One inference: the interpreter's first dimension is an image, a job's first the inference."""
    return Job(separable_model(blob, images.shape, output_shape), [images[None]], options)


def layer_job(case: DepthwiseCase, options: dict[str, str]) -> Job:
    return job_of(pack_depthwise(case.layer), case.images, case.output_shape, options)


def block_job(case: BlockCase, options: dict[str, str]) -> Job:
    return job_of(case.blob, case.depthwise.images, case.output_shape, options)


def check(done: Done, expected: Images, options: dict[str, str]) -> None:
    assert options["backend"] != "opencl" or claimed_all(done), done.messages
    np.testing.assert_array_equal(done.outputs[0][0], expected)


@pytest.mark.parametrize("options", BACKENDS)
def test_random_layers(options: dict[str, str], tmp_path: Path) -> None:
    cases = [random_case(rng) for rng in sweep(1, 60)]
    cases += [random_case(rng, extreme=True) for rng in sweep(2, 10)]
    cases += [real_case(np.random.default_rng(3), *layer) for layer in REAL]
    jobs = [layer_job(case, options) for case in cases]
    for case, done in zip(cases, run_jobs(tmp_path, jobs), strict=True):
        check(done, outputs_of(case.layer, case.images), options)


@pytest.mark.parametrize(
    "options",
    [
        *BACKENDS,
        # None of these changes an int8 output.
        pytest.param(
            {**OPENCL, "precision": "fp16", "lanes": "4", "vectors": "4"},
            id="launch",
            marks=OPENCL_ONLY,
        ),
    ],
)
def test_random_blocks(options: dict[str, str], tmp_path: Path) -> None:
    cases = [random_block(rng, x) for x in INT8 for rng in sweep(INT8.index(x), 3)]
    jobs = [block_job(case, options) for case in cases]
    for case, done in zip(cases, run_jobs(tmp_path, jobs), strict=True):
        check(done, block_outputs(case, case.depthwise.images), options)


@pytest.mark.parametrize("options", BACKENDS)
def test_another_image_size(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    layer = random_depthwise(rng, ConvWindow((3, 2), 5, (2, 1)), multiplier=2)
    case = DepthwiseCase(layer, rng.integers(-128, 128, (1, 9, 11, 5)).astype(np.int8))
    block = random_block(rng, INT8[0], case=case)
    images = rng.integers(-128, 128, (3, 14, 6, 5)).astype(np.int8)
    jobs = [
        dataclasses.replace(job, inputs=[images[None]], resize=True)
        for job in (layer_job(case, options), block_job(block, options))
    ]
    alone, fused = run_jobs(tmp_path, jobs)
    check(alone, outputs_of(layer, images), options)
    check(fused, block_outputs(block, images), options)


@pytest.mark.parametrize("options", BACKENDS)
def test_what_does_not_fit_is_refused(options: dict[str, str], tmp_path: Path) -> None:
    window = ConvWindow((5, 5), 4, padding=Padding.VALID)
    rng = np.random.default_rng(5)
    case = DepthwiseCase(random_depthwise(rng, window), np.zeros((1, 8, 8, 4), np.int8))
    job = block_job(random_block(rng, INT8[0], case=case), options)
    blob = random_block(rng, INT8[0], case=case).blob
    model = functools.partial(separable_model, input_shape=(1, 8, 8, 4), output_shape=(1, 4, 4, 4))
    refused = [
        dataclasses.replace(job, inputs=[np.zeros((1, *shape), np.int8)], resize=True)
        for shape in ((1, 8, 8, 5), (1, 4, 8, 4), (1, 8, 4, 4), (8, 8, 4))
    ]
    refused += [
        dataclasses.replace(job, model=model(broken))
        for broken in (blob[:40], blob[:100], blob[:5] + b"\3" + blob[6:])
    ]
    for each in refused:
        done = start_jobs(tmp_path, [each])
        assert done.returncode != 0
        assert "SEPARABLE_CONV_2D" in done.stderr


@needs_shared_models
@pytest.mark.slow
@needs_opencl
def test_converted_models_are_one_partition(tmp_path: Path) -> None:
    """On OpenCL, whose other operators round as TFLM's do, too."""
    rng, jobs, expected = np.random.default_rng(6), [], []
    for name, shape in (("vww_96_int8", (1, 96, 96, 3)), ("kws_ref_model", (1, 49, 10, 1))):
        data = rewrite(shared_model(f"{name}.tflite"), target="cortex-m4").tflite
        images = rng.integers(-128, 128, (8, *shape)).astype(np.int8)
        tflm = TflmInterpreter(data, editor.read(data))
        jobs.append(Job(data, [images], OPENCL))
        expected.append(np.array([tflm.invoke([image])[0] for image in images]))
    for done, outputs in zip(run_jobs(tmp_path, jobs), expected, strict=True):
        assert claimed_all(done), done.messages
        np.testing.assert_array_equal(done.outputs[0], outputs)


def test_a_file_for_a_microcontroller_runs(tmp_path: Path) -> None:
    """Its operators without blobs stay LiteRT's, which round once: almost all scores are equal."""
    data = rewrite(shared_model("vww_96_int8.tflite"), target="cortex-m4").tflite
    model = editor.read(data)
    kinds = [op.custom_code for op in model.subgraphs[0].operators]
    assert kinds.count(op_names.SEPARABLE_CONV_2D) > 8
    rng = np.random.default_rng(2)
    images = rng.integers(-128, 128, (4, 1, 96, 96, 3)).astype(np.int8)
    tflm = TflmInterpreter(data, model)
    expected = np.array([tflm.invoke([image])[0][0] for image in images], np.int32)
    (done,) = run_jobs(tmp_path, [Job(data, [images], {"backend": "cpu"})])
    found = done.outputs[0].reshape(expected.shape).astype(np.int32)
    np.testing.assert_allclose(found, expected, atol=2)
