"""Residuals of SPARSE_CONV_2D in the delegate, both backends, against TFLite's arithmetic."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import native_ops
from tests.support.delegate_jobs import Job, run_jobs, start_jobs
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.sparse_models import misfits, second_feature_map, sparse_conv_model
from tests.support.opencl_device import OPENCL, claimed_all, needs_opencl
from tests.support.residuals import COMMON_SHIFTS, random_residual, sums
from tests.support.sparse_convs import ConvCase, random_conv
from tests.support.sweeps import sweep
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import (
    ConvWindow,
    Residual,
    unpack_conv,
    with_residual,
)
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.types import numpy_dtype

Int8 = npt.NDArray[np.int8]

LAYOUT = LAYOUTS[0]
INT8_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is not ValueType.FLOAT32]
ALL_SHIFTS = (COMMON_SHIFTS, (1, 31))
CPU = {"backend": "cpu", "threads": "3"}
BACKENDS = [
    pytest.param(CPU, id="cpu"),
    pytest.param(OPENCL, id="opencl", marks=[pytest.mark.slow, needs_opencl]),
]


@dataclasses.dataclass(frozen=True)
class Sum:
    """A convolution, what it adds to its outputs, and the second feature map."""

    conv: ConvCase
    layout: Layout
    residual: Residual
    other: Int8

    @property
    def blob(self) -> bytes:
        return with_residual(self.conv.blob(self.layout), self.residual)

    def job(self, options: dict[str, str]) -> Job:
        """The layer in the delegate. A job's first dimension is the inference."""
        other = second_feature_map(self.conv)
        model = sparse_conv_model(self.conv, self.layout, blob=self.blob, other=other)
        return Job(model, [self.conv.images[None], self.other[None]], options)

    def expected(self) -> Int8:
        conv = self.conv
        alone = native_ops.sparse_conv_2d(conv.blob(self.layout), conv.images, conv.output_shape)
        zero_point = conv.case.options.output_zero_point
        return sums(self.residual, alone.outputs, zero_point, self.other)


def random_sum(
    rng: np.random.Generator, layout: Layout, conv: ConvCase, *, narrow: str | None = None
) -> Sum:
    residual = random_residual(rng, shifts=ALL_SHIFTS[int(rng.integers(2))])
    if narrow is not None:
        residual = dataclasses.replace(residual, narrow=narrow)
    other = rng.integers(-128, 128, conv.output_shape).astype(np.int8)
    return Sum(conv, layout, residual, other)


def check(folder: Path, options: dict[str, str], cases: list[Sum]) -> None:
    """Assert that the delegate runs all of every case, and computes what TFLite's ADD does."""
    jobs = [case.job(options) for case in cases]
    for case, done in zip(cases, run_jobs(folder, jobs), strict=True):
        assert options is CPU or claimed_all(done), done.messages
        np.testing.assert_array_equal(done.outputs[0][0], case.expected())


@pytest.mark.parametrize("options", BACKENDS)
def test_random_sums(options: dict[str, str], tmp_path: Path) -> None:
    cases = [
        random_sum(rng, layout, random_conv(rng, layout))
        for seed, layout in enumerate(INT8_LAYOUTS)
        for rng in sweep(seed, 3)
    ]
    assert {case.residual.narrow for case in cases} == {"other", "output"}
    ranges = {(case.residual.activation_min, case.residual.activation_max) for case in cases}
    assert len(ranges) > 5
    check(tmp_path, options, cases)


@pytest.mark.parametrize("options", BACKENDS)
def test_large_layers(options: dict[str, str], tmp_path: Path) -> None:
    """Threads share them; parts begin in the middle of an image."""
    rng, cases = np.random.default_rng(21), []
    for window in (ConvWindow((3, 3), 24), ConvWindow((5, 4), 9, (2, 1), padding=Padding.VALID)):
        conv = random_conv(rng, LAYOUT, window=window, units=33, size=(23, 29), zeros=0.5)
        images = rng.integers(-128, 128, (3, *conv.images.shape[1:])).astype(np.int8)
        conv = dataclasses.replace(conv, images=images)
        cases += [random_sum(rng, LAYOUT, conv, narrow=narrow) for narrow in ("other", "output")]
    check(tmp_path, options, cases)


@pytest.mark.parametrize("options", BACKENDS)
def test_other_image_sizes(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(22)
    conv = random_conv(rng, LAYOUT, window=ConvWindow((3, 2), 5, (2, 1)), units=7, size=(9, 11))
    case, images = random_sum(rng, LAYOUT, conv), rng.integers(-128, 128, (3, 14, 6, 5))
    larger = dataclasses.replace(conv, images=images.astype(np.int8))
    resized = random_sum(rng, LAYOUT, larger)
    resized = dataclasses.replace(resized, residual=case.residual)
    inputs = resized.job(options).inputs
    job = dataclasses.replace(case.job(options), inputs=inputs, resize=True)
    (done,) = run_jobs(tmp_path, [job])
    np.testing.assert_array_equal(done.outputs[0][0], resized.expected())


@pytest.mark.parametrize("options", BACKENDS)
def test_misfits_are_refused(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(23)
    conv = random_conv(rng, LAYOUT, window=ConvWindow((3, 3), 4), units=6, size=(5, 7))
    case = random_sum(rng, LAYOUT, conv)
    for other in (None, *misfits(conv)):
        model = sparse_conv_model(conv, LAYOUT, blob=case.blob, other=other)
        inputs = [conv.images[None]]
        if other is not None and not other.is_constant:
            inputs.append(np.zeros((1, *other.shape), numpy_dtype(other.type)))
        done = start_jobs(tmp_path, [Job(model, inputs, options)])
        assert done.returncode != 0, other
        # LiteRT names the operators that the delegate has not taken.
        is_taken = other is None or not other.is_constant
        found = "SPARSE_CONV_2D: tensors do not fit" in done.stderr
        assert found if is_taken else "SPARSE_CONV_2D" in done.stderr, done.stderr


@pytest.mark.parametrize("options", BACKENDS)
def test_only_one_input_is_resized(options: dict[str, str], tmp_path: Path) -> None:
    rng = np.random.default_rng(24)
    conv = random_conv(rng, LAYOUT, window=ConvWindow((3, 3), 4), units=6, size=(5, 7))
    job = random_sum(rng, LAYOUT, conv).job(options)
    images, other = job.inputs
    for inputs in (
        [np.pad(images, [(0, 0)] * 2 + [(0, 1)] + [(0, 0)] * 2), other],
        [images, other[:, :, 1:]],
    ):
        done = start_jobs(tmp_path, [dataclasses.replace(job, inputs=inputs, resize=True)])
        assert done.returncode != 0
        assert "SPARSE_CONV_2D" in done.stderr


@pytest.mark.parametrize("options", BACKENDS)
def test_a_third_input_of_a_blob_that_adds_none_is_ignored(
    options: dict[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(25)
    case = random_sum(rng, LAYOUT, random_conv(rng, LAYOUT))
    plain = case.conv.blob(LAYOUT)
    model = sparse_conv_model(case.conv, LAYOUT, blob=plain, other=second_feature_map(case.conv))
    (done,) = run_jobs(tmp_path, [dataclasses.replace(case.job(options), model=model)])
    alone = native_ops.sparse_conv_2d(plain, case.conv.images, case.conv.output_shape)
    np.testing.assert_array_equal(done.outputs[0][0], alone.outputs)


def small_resnet(seed: int) -> GraphBuilder:
    """Convolutions of many zeros with identity and projection shortcuts, of random scales."""
    graph, rng = GraphBuilder(seed, quantized=True, zeros=0.9), np.random.default_rng(seed)
    x = graph.conv(graph.input(1, 12, 12, 8), 16, (3, 3), activation="RELU")
    for units, stride, activation in ((16, 1, "RELU"), (16, 1, "NONE"), (24, 2, "RELU6")):
        strides = (stride, stride)
        y = graph.conv(x, units, (3, 3), stride=strides, activation="RELU")
        y = graph.conv(y, units, (3, 3))
        if units != x.shape[3]:
            x = graph.conv(x, units, (1, 1), stride=strides)
        x = graph.arithmetic("ADD", x, y, activation)
        for tensor in (x, y):
            assert tensor.quantization is not None
            tensor.quantization.raw.scale *= np.float32(rng.uniform(0.3, 3))
    return graph


@pytest.mark.parametrize("options", BACKENDS)
def test_a_small_resnet_of_a_microcontroller(options: dict[str, str], tmp_path: Path) -> None:
    """Its file runs in the delegate as in TFLM, and as the convolutions and sums on OpenCL."""
    kinds = set()
    for seed in range(6):
        graph = small_resnet(seed)
        dense, inputs = graph.build(), graph.samples(4)
        tflite = rewrite(dense, target="cortex-m4").tflite
        operators = list(editor.read(tflite).operators)
        assert {op.op_name for op in operators} == {SPARSE_CONV_2D}
        fused = [unpack_conv(blob_of(op)).residual for op in operators if len(op.inputs) == 3]
        assert len(fused) == 3
        kinds |= {residual.narrow for residual in fused if residual is not None}
        jobs = [Job(tflite, inputs, options)]
        if options is OPENCL:
            jobs.append(Job(dense, inputs, options))
        expected = runtimes.run(dense, inputs)[0]
        np.testing.assert_array_equal(runtimes.run(tflite, inputs)[0], expected)
        for done in run_jobs(tmp_path, jobs):
            assert options is CPU or claimed_all(done), done.messages
            np.testing.assert_array_equal(done.outputs[0][:, 0], expected)
    assert kinds == {"other", "output"}
