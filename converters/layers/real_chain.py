"""Read consecutive int8 operators as layers in real numbers, for `factorize.chain`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.steps import Image, MaxPool, Step, Windows
from tflm_sparsesep.converters.layers import real
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.layers.real import LAYERS
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph


def read(operators: Sequence[Operator]) -> list[RealLayer]:
    """Return the layers among `operators`, each of which reads the output of the one before.

    Raises:
        Unsupported: one is neither an int8 layer, nor a max pool without overlap, nor a reshape.
    """
    found: list[RealLayer] = []
    steps: list[Step] = []
    for op in operators:
        if op.builtin_code in LAYERS:
            layer = real.read(op)
            if op.builtin_code == BuiltinOperator.CONV_2D:
                steps += _windows(op)
            found.append(replace(layer, steps=tuple(steps)))
            steps = []
        elif op.builtin_code == BuiltinOperator.MAX_POOL_2D:
            steps.append(_pool(op))
        elif op.builtin_code != BuiltinOperator.RESHAPE:
            raise Unsupported(op.op_name)
    return found


def runs(subgraph: Subgraph) -> list[range]:
    """Return the longest ranges of operators that `read` accepts, with layers at both ends."""
    found, start = [], 0
    operators = subgraph.operators
    while start < len(operators):
        end = start
        while end < len(operators) and _continues(subgraph, start, end):
            end += 1
        layers = [i for i in range(start, end) if operators[i].builtin_code in LAYERS]
        if layers:
            found.append(range(layers[0], layers[-1] + 1))
        start = max(end, start + 1)
    return found


def floats_per_sample(operators: Sequence[Operator]) -> int:
    """Return the numbers that enter and leave the layers' products, for one sample."""
    total = 0
    for op in operators:
        if op.builtin_code in LAYERS:
            rows, *rest = op.weights.shape
            total += math.prod(op.outputs[0].shape) // rows * (rows + math.prod(rest))
    return total


def _continues(subgraph: Subgraph, start: int, end: int) -> bool:
    """Return True if `end` can be read and is the only reader of the output of `end - 1`."""
    op = subgraph.operators[end]
    try:
        read([op])
    except Unsupported:
        return False
    if end == start:
        return True
    before = subgraph.operators[end - 1].outputs[0]
    is_seen = any(tensor is before for tensor in subgraph.outputs)
    return op.inputs[0] is before and len(subgraph.consumers(before)) == 1 and not is_seen


def _windows(op: Operator) -> list[Windows]:
    """Return no step for a 1x1 convolution of stride 1: its windows are its pixels."""
    kernel = op.weights.shape[1:3]
    strides = op.strides
    if (*kernel, *strides) == (1, 1, 1, 1):
        return []
    return [Windows(_image(op), (kernel[0], kernel[1]), strides, op.is_same)]


def _pool(op: Operator) -> MaxPool:
    options, image = op.options, _image(op)
    size = (int(options.filterHeight), int(options.filterWidth))
    is_whole = all(n % k == 0 for n, k in zip(image, size, strict=False))
    if size != op.strides or options.fusedActivationFunction:
        raise Unsupported("pool of overlapping windows")
    if op.is_same and not is_whole:
        raise Unsupported("pool with padding")
    return MaxPool(image, size)


def _image(op: Operator) -> Image:
    _, height, width, channels = op.input(0).shape
    return (height, width, channels)
