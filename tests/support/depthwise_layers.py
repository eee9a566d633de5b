"""What TFLite's reference makes of a depthwise convolution: the kernels' oracle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.support.layers import layout_case, reference
from tests.support.sparse_convs import random_window, windows_of
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, Pointwise, pack_block
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.device.synthetic_layers import LayerCase

Images = npt.NDArray[np.int8]

# Layers of real models: window, multiplier, image.
REAL = [
    (ConvWindow((3, 3), 64), 1, (25, 5)),
    (ConvWindow((3, 3), 16, (2, 2)), 1, (48, 48)),
    (ConvWindow((10, 4), 1, (2, 2)), 64, (49, 10)),
    (ConvWindow((5, 5), 24, (2, 2)), 1, (12, 12)),
    (ConvWindow((3, 1), 32), 1, (40, 1)),
    (ConvWindow((1, 3), 32, padding=Padding.VALID), 1, (1, 40)),
    (ConvWindow((3, 3), 8, dilations=(2, 3)), 2, (14, 13)),
    (ConvWindow((2, 2), 12, (3, 3), padding=Padding.VALID), 1, (11, 12)),
]


@dataclass(frozen=True)
class DepthwiseCase:
    """A depthwise convolution and images [batch, height, width, channels] for it."""

    layer: DepthwiseLayer
    images: Images

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.layer.output_shape(self.images.shape)


def random_size(rng: np.random.Generator, window: ConvWindow, most: int) -> tuple[int, int]:
    """Height and width of an image, at least that of a window where nothing is padded."""
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    least = reach if window.padding is Padding.VALID else [1, 1]
    return least[0] + int(rng.integers(0, most)), least[1] + int(rng.integers(0, most))


def random_case(
    rng: np.random.Generator, *, extreme: bool = False, most: int = 20
) -> DepthwiseCase:
    """A layer of any kind; every other one has 3x3 taps and strides of 1 or 2."""
    window = random_window(rng)
    if rng.random() < 0.5:
        window = dataclasses.replace(
            window,
            kernel=(3, 3),
            strides=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            dilations=(1, 1),
        )
    if rng.random() < 0.5:
        window = dataclasses.replace(window, channels=4 * int(rng.integers(1, 6)))
    multiplier = int(rng.integers(2, 4)) if rng.random() < 0.2 else 1
    layer = random_depthwise(rng, window, multiplier=multiplier, extreme=extreme)
    shape = (int(rng.integers(1, 3)), *random_size(rng, window, most), window.channels)
    return DepthwiseCase(layer, rng.integers(-128, 128, shape).astype(np.int8))


def real_case(
    rng: np.random.Generator, window: ConvWindow, multiplier: int, image: tuple[int, int]
) -> DepthwiseCase:
    """A layer of `REAL`."""
    layer = random_depthwise(rng, window, multiplier=multiplier)
    images = rng.integers(-128, 128, (1, *image, window.channels)).astype(np.int8)
    return DepthwiseCase(layer, images)


def outputs_of(layer: DepthwiseLayer, images: Images) -> Images:
    """What TFLM's reference kernel computes, rounded twice."""
    outputs = reference(as_dense(layer, images))
    return outputs.reshape(layer.output_shape(images.shape))


def as_dense(layer: DepthwiseLayer, images: Images) -> LayerCase[FullyConnectedWeights]:
    """The layer as a matrix [units, taps x channels] of mostly zeros, on all of its windows."""
    window, numbers = layer.window, layer.weights
    units, taps = numbers.weights.shape
    dense = np.zeros((units, taps, window.channels), np.int8)
    dense[np.arange(units), :, np.arange(units) // layer.multiplier] = numbers.weights
    return LayerCase(
        dataclasses.replace(numbers, weights=dense.reshape(units, -1)),
        layer.options,
        windows_of(images, window, numbers.input_zero_point),
    )


@dataclass(frozen=True)
class BlockCase:
    """A depthwise convolution, the pointwise one on its outputs, and images for both."""

    depthwise: DepthwiseCase
    pointwise: Pointwise

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return (*self.depthwise.output_shape[:3], len(self.pointwise.weights.bias))

    @property
    def blob(self) -> bytes:
        return pack_block(self.depthwise.layer, self.pointwise)


def random_block(
    rng: np.random.Generator,
    layout: Layout,
    *,
    case: DepthwiseCase | None = None,
    units: int | None = None,
    zeros: float | None = None,
) -> BlockCase:
    """A block of any kind whose pointwise weights `layout` can hold."""
    case = case or random_case(rng, most=12)
    drawn = layout_case(
        rng,
        layout,
        units or int(rng.integers(1, 30)),
        case.layer.units,
        zeros=float(rng.choice([0.0, 0.5, 0.9])) if zeros is None else zeros,
    )
    zero_point = case.layer.options.output_zero_point
    weights = dataclasses.replace(drawn.layer, input_zero_point=zero_point)
    options = dataclasses.replace(drawn.options, input_zero_point=zero_point)
    return BlockCase(case, Pointwise(weights, options, layout))


def block_outputs(block: BlockCase, images: Images) -> Images:
    """What TFLM's two reference kernels compute, rounded twice."""
    middle = outputs_of(block.depthwise.layer, images)
    pointwise = block.pointwise
    inputs = middle.reshape(-1, middle.shape[3])
    outputs = reference(LayerCase(pointwise.weights, pointwise.options, inputs))
    return outputs.reshape(*middle.shape[:3], -1)
