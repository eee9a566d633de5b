"""Consecutive int8 operators as layers of real numbers, for `factorize.chain`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tflm_sparsesep.converters.factorize.chain import DenseLayer
from tflm_sparsesep.converters.factorize.steps import Image, MaxPool, Step, Windows
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph

LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)


def read(operators: Sequence[Operator]) -> list[DenseLayer]:
    """The layers among `operators`, each of which reads what the one before writes.

    Raises:
        Unsupported: one is neither an int8 layer, nor a max pool of windows side by side, nor a
            reshape.
    """
    found: list[DenseLayer] = []
    steps: list[Step] = []
    for op in operators:
        if op.builtin_code in LAYERS:
            layer = real_layer.read(op)
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
    """Positions of operators that `read` can take together, longest runs, layers at both ends."""
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
    """What the layers multiply and give, for one sample."""
    total = 0
    for op in operators:
        if op.builtin_code in LAYERS:
            rows, *rest = op.weights.shape
            total += math.prod(op.outputs[0].shape) // rows * (rows + math.prod(rest))
    return total


def _continues(subgraph: Subgraph, start: int, end: int) -> bool:
    """Whether the operator at `end` can be read, and reads what the one before alone writes."""
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
    """None for a 1x1 convolution of stride 1, whose windows are its pixels."""
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
        raise Unsupported("pool of windows that overlap")
    if op.is_same and not is_whole:
        raise Unsupported("pool with padding")
    return MaxPool(image, size)


def _image(op: Operator) -> Image:
    _, height, width, channels = op.input(0).shape
    return (height, width, channels)
