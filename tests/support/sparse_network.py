"""A small network to which `convert` gives every operator of this project, for firmware."""

from __future__ import annotations

import functools

import tflm_sparsesep as ts
from tests.support.models.operator_models import GraphBuilder


def dense_network() -> bytes:
    """Return the int8 model before it is converted: only RESHAPE is left of its operators."""
    net = GraphBuilder(0, quantized=True, zeros=0.9)
    image = net.conv(net.input(1, 8, 8, 8), 16, (3, 3), activation="RELU")
    net.zeros = 0.0
    image = net.conv(net.conv(image, 4, (3, 1)), 16, (1, 3), activation="RELU")
    net.zeros = 0.9
    net.fully_connected(net.reshape(image, 1, 1024), 12)
    return net.build()


@functools.cache
def sparse_network(target: str = "cortex-m4") -> bytes:
    """Return a converted int8 model of five operators, of four kinds."""
    return ts.convert(dense_network(), target=target).tflite
