"""SPARSE_CONV_2D against LiteRT's and TFLM's reference CONV_2D on the same .tflite, bit for bit.

Unlike FULLY_CONNECTED, LiteRT's reference CONV_2D rounds twice, as TFLM does.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support import native_ops
from tests.support.models.separable_models import Conv, conv_model
from tests.support.sweeps import sweep
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import can_pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import pack_conv
from tflm_sparsesep.converters.layers.convolution import read_convolution
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtimes import run

CHUNKS, SHAPES = 4, 40
INT8_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is ValueType.INT8]


def random_model(rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """A model of one CONV_2D and its images int8[batch, height, width, channels]."""
    kernel = tuple(int(n) for n in rng.integers(1, 6, 2))
    units, channels = int(rng.integers(1, 40)), int(rng.integers(1, 30))
    weights = rng.integers(-127, 128, (units, *kernel, channels)).astype(np.int8)
    weights[rng.random(weights.shape) < rng.choice([0.0, 0.5, 0.9, 0.98])] = 0
    dilation = int(rng.choice([1, 1, 2, 3]))
    # LiteRT takes either strides or dilations from models, as TensorFlow does.
    stride = (1, 1) if dilation > 1 else (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    spread = 0.02 * 0.0025 * 74 * 74 * np.sqrt(weights[0].size)
    conv = Conv(
        weights=weights,
        bias=rng.integers(-5000, 5000, units).astype(np.int32),
        weight_scales=rng.uniform(0.001, 0.004, units).astype(np.float32),
        output_scale=float(spread / 40 * 2.0 ** rng.integers(-3, 3)),
        output_zero_point=int(rng.integers(-128, 128)),
        stride=stride,
        padding=str(rng.choice(["SAME", "VALID"])),
        activation=str(rng.choice(["NONE", "RELU", "RELU6"])),
        dilation=dilation,
    )
    height, width = ((k - 1) * dilation + 1 + int(rng.integers(0, 12)) for k in kernel)
    images = rng.integers(-128, 128, (int(rng.integers(1, 3)), height, width, channels))
    return conv_model([conv], images.shape), images.astype(np.int8)


def litert_reference(model: bytes, images: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found


@pytest.mark.sweep
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_convolutions(chunk: int) -> None:
    layouts = itertools.cycle(INT8_LAYOUTS)
    for rng in sweep(100 + chunk, SHAPES):
        model, images = random_model(rng)
        layer = read_convolution(editor.read(model).subgraphs[0].operators[0])
        layout = next(layout for layout in layouts if can_pack(layer.weights, layout))
        blob = pack_conv(layer.window, layer.options, layer.weights, layout)
        expected = litert_reference(model, images)
        found = native_ops.sparse_conv_2d(blob, images, expected.shape).outputs
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
        (tflm,) = run(model, images[None], runtime="tflm")
        np.testing.assert_array_equal(found.reshape(expected.shape), tflm.reshape(expected.shape))
