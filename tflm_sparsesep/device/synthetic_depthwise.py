"""Random depthwise convolutions of a given shape, for benchmarks and tests."""

from __future__ import annotations

import math

import numpy as np

from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.device.synthetic_layers import random_case


def random_depthwise(
    rng: np.random.Generator, window: ConvWindow, *, multiplier: int = 1, extreme: bool = False
) -> DepthwiseLayer:
    """Draw an int8 depthwise convolution whose outputs spread over int8.

    Args:
        rng: source of randomness.
        window: the geometry.
        multiplier: output channels of each input channel.
        extreme: weights are at their limits, and accumulators and left shifts wrap.
    """
    units, taps = window.channels * multiplier, math.prod(window.kernel)
    case = random_case(rng, units, taps, zeros=0.0, extreme=extreme)
    return DepthwiseLayer(window, case.layer, case.options)
