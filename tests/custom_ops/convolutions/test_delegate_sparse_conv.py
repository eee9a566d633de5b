"""SPARSE_CONV_2D in the delegate, both backends, against the kernels' oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, load_delegate

import tflm_sparsesep as ts
from tests.support import native_ops
from tests.support.delegate_jobs import Job, run_jobs, start_jobs
from tests.support.layers import check_outputs
from tests.support.models.sparse_models import sparse_conv_model
from tests.support.opencl_device import OPENCL, claimed_all, needs_opencl
from tests.support.sparse_convs import ConvCase, random_conv
from tests.support.sweeps import sweep
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding

LAYOUT = LAYOUTS[0]
OPENCL_ONLY = [pytest.mark.slow, needs_opencl]
BACKENDS = [
    pytest.param({"backend": "cpu"}, id="cpu"),
    pytest.param(OPENCL, id="opencl", marks=OPENCL_ONLY),
]


def check(conv: ConvCase, outputs: np.ndarray) -> None:
    assert outputs.shape == conv.output_shape
    check_outputs(conv.case, outputs.reshape(-1, conv.output_shape[3]))


def on_cpu(model: bytes) -> Interpreter:
    delegate = load_delegate(str(ts.delegate_path()), {"backend": "cpu", "threads": "3"})
    return Interpreter(model_content=model, experimental_delegates=[delegate])


def invoke(interpreter: Interpreter, images: np.ndarray) -> np.ndarray:
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    outputs: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return outputs


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_random_convolutions_on_the_cpu(layout: Layout) -> None:
    for rng in sweep(11, 25):
        conv = random_conv(rng, layout)
        check(conv, invoke(on_cpu(sparse_conv_model(conv, layout)), conv.images))


def test_large_layers_shared_by_threads() -> None:
    rng = np.random.default_rng(12)
    for window in (ConvWindow((3, 3), 24), ConvWindow((5, 4), 9, (2, 1), padding=Padding.VALID)):
        for layout in LAYOUTS:
            conv = random_conv(rng, layout, window=window, units=33, size=(23, 29), zeros=0.5)
            check(conv, invoke(on_cpu(sparse_conv_model(conv, layout)), conv.images))


@pytest.mark.slow
@needs_opencl
def test_random_convolutions_on_opencl(tmp_path: Path) -> None:
    convs = [
        (random_conv(rng, layout), layout)
        for layout in LAYOUTS
        for rng in sweep(LAYOUTS.index(layout), 8)
    ]
    # The interpreter's first dimension is an image, a job's first one the inference.
    jobs = [Job(sparse_conv_model(c, x), [c.images[None]], OPENCL) for c, x in convs]
    for (conv, _), done in zip(convs, run_jobs(tmp_path, jobs), strict=True):
        assert claimed_all(done), done.messages
        check(conv, done.outputs[0][0])


@pytest.mark.parametrize("options", BACKENDS)
def test_another_image_size(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    window = ConvWindow((3, 2), 5, (2, 1))
    conv = random_conv(rng, LAYOUT, window=window, units=7, size=(9, 11))
    images = rng.integers(-128, 128, (3, 14, 6, 5)).astype(np.int8)
    (done,) = run_jobs(
        tmp_path, [Job(sparse_conv_model(conv, LAYOUT), [images[None]], options, resize=True)]
    )
    shape = window.output_shape(images.shape, 7)
    expected = native_ops.sparse_conv_2d(conv.blob(LAYOUT), images, shape).outputs
    np.testing.assert_array_equal(done.outputs[0][0], expected.reshape(shape))


@pytest.mark.parametrize("options", BACKENDS)
@pytest.mark.parametrize("shape", [(1, 8, 8, 5), (1, 4, 8, 4), (1, 8, 4, 4), (8, 8, 4)])
def test_images_that_do_not_fit_are_refused(
    options: dict[str, str], shape: tuple[int, ...], tmp_path: Path
) -> None:
    window = ConvWindow((5, 5), 4, padding=Padding.VALID)
    conv = random_conv(np.random.default_rng(15), LAYOUT, window=window, units=6, size=(8, 8))
    job = Job(
        sparse_conv_model(conv, LAYOUT), [np.zeros((1, *shape), np.int8)], options, resize=True
    )
    done = start_jobs(tmp_path, [job])
    assert done.returncode != 0
    assert "SPARSE_CONV_2D" in done.stderr


@pytest.mark.parametrize("options", BACKENDS)
def test_damaged_blobs_and_options_are_refused(options: dict[str, str], tmp_path: Path) -> None:
    conv = random_conv(np.random.default_rng(16), LAYOUT, size=(8, 8))
    blob = conv.blob(LAYOUT)
    for broken in (blob[:40], blob[:100], blob[:6] + b"\0" + blob[7:], b"\0" * len(blob)):
        model = sparse_conv_model(conv, LAYOUT, blob=broken)
        done = start_jobs(tmp_path, [Job(model, [conv.images[None]], options)])
        assert done.returncode != 0
        assert "SPARSE_CONV_2D" in done.stderr
    model = sparse_conv_model(conv, LAYOUT, options=b"\1\2\3\4")
    done = start_jobs(tmp_path, [Job(model, [conv.images[None]], options)])
    assert done.returncode != 0
    assert "SPARSE_CONV_2D" in done.stderr
