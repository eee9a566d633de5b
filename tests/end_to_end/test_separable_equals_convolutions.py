"""SEPARABLE_CONV_2D against two CONV_2D of TFLM and of LiteRT on the same .tflite, bit for bit.

Unlike FULLY_CONNECTED, the reference CONV_2D of both requantizes with two roundings.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import native_ops
from tests.support.models.separable_models import conv_model, random_pair
from tests.support.separable_layers import random_shape
from tflm_sparsesep.converters.blob.pack_separable import pack
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.passes.fuse_separable_pair import find_pair
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device.synthetic_separable import random_images
from tflm_sparsesep.runtimes import run

PAIRS = 150
ACTIVATIONS = ("NONE", "RELU", "RELU6")


@pytest.mark.parametrize("order", Order)
def test_outputs_are_those_of_two_convolutions(order: Order) -> None:
    rng = np.random.default_rng(order)
    compared = 0
    for _ in range(PAIRS):
        shape = random_shape(rng, channels=20)
        activations = [str(rng.choice(ACTIVATIONS)) for _ in range(2)]
        dense = conv_model(random_pair(rng, shape, activations), shape.input_shape)
        subgraph = editor.read(dense).subgraphs[0]
        pair = find_pair(subgraph, subgraph.operators[0])
        if pair is None:  # a kernel of one tap
            continue
        images = random_images(rng, shape)
        blob, output_shape = pack(pair.conv, order), pair.conv.output_shape(images.shape)
        outputs = native_ops.separable_conv_2d(blob, images, output_shape)
        np.testing.assert_array_equal(outputs, run(dense, images)[0])
        litert = run(dense, images, runtime="litert", reference=True)[0]
        np.testing.assert_array_equal(outputs, litert)
        compared += 1
    assert compared > PAIRS // 2
