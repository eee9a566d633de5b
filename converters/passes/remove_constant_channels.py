"""Channels that never change, and channels that nobody reads, leave the model.

Given:   CONV_2D or FULLY_CONNECTED -> any DEPTHWISE_CONV_2D -> CONV_2D or FULLY_CONNECTED
Result:  the same operators with fewer channels between the first and the last one

A channel is constant if its output is the same for every input: quantizers leave many of them, dead
after a RELU. The last operator adds what a constant contributes to its bias. A channel is unread if
all weights of the last operator for it are zero. int8 outputs are bit-exact. The pass takes int8
chains in which each feature map has one reader and no weights have other users. It keeps a multiple
of four channels, because dense kernels handle the rest of a division by four channels one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.constant_rows import accumulator_outputs
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import (
    KNOWN_OPERATORS,
    Unsupported,
    layer_name,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
)

Array = npt.NDArray[Any]

_PRODUCERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)
_CHANNEL_MULTIPLE = 4
_ROWS_AT_ONCE = 64  # bounds the memory of wide layers
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class _Numbers:
    """An operator as a matrix: one output channel in each row.

    Attributes:
        weights: int8 [rows, taps, channels]; one channel where the operator is depthwise.
        layer: bias and requantization.
        options: zero points and activation limits.
    """

    weights: npt.NDArray[np.int8]
    layer: FullyConnectedWeights
    options: FullyConnectedOptions


@dataclass(frozen=True)
class _Chain:
    """Operators that hand on the same channels.

    Attributes:
        operators: the producer, depthwise convolutions, the consumer.
    """

    operators: tuple[Operator, ...]

    @property
    def producer(self) -> Operator:
        """The operator whose rows are the channels."""
        return self.operators[0]

    @property
    def consumer(self) -> Operator:
        """The operator that reads the channels last."""
        return self.operators[-1]

    @property
    def channels(self) -> int:
        """Of each feature map between the producer and the consumer."""
        return self.producer.outputs[0].shape[-1]


def run(subgraph: Subgraph, conversion: Conversion) -> dict[str, int]:
    """Remove the channels; return how many left each producer, by the name of the layer."""
    uses = subgraph.uses()
    found = (_chain(subgraph, op, conversion, uses) for op in subgraph.operators)
    chains = [chain for chain in found if chain]
    values = [_channel_values(chain) for chain in chains]
    removed = {}
    # From the end: rows that leave a consumer may have been the only readers of a channel before.
    for chain, value in reversed(list(zip(chains, values, strict=True))):
        keep = _kept(chain, value)
        if len(keep) < chain.channels:
            removed[layer_name(chain.producer)] = chain.channels - len(keep)
            _shrink(chain, value, keep)
    return removed


def _chain(
    subgraph: Subgraph,
    op: Operator,
    conversion: Conversion,
    uses: Mapping[Tensor, Sequence[Operator]],
) -> _Chain | None:
    """Return the chain that starts with `op`; None if there is none."""
    operators = [op] if op.builtin_code in _PRODUCERS else []
    while operators and operators[-1].outputs:
        reader = subgraph.only_reader(operators[-1].outputs[0], uses)
        if reader is None or reader.inputs[0] is not operators[-1].outputs[0]:
            return None
        operators.append(reader)
        if reader.builtin_code != BuiltinOperator.DEPTHWISE_CONV_2D:
            break
    usable = operators and all(_is_usable(x, conversion) for x in operators)
    chain = _Chain(tuple(operators))
    return chain if usable and _hands_on_channels(chain) else None


def _is_usable(op: Operator, conversion: Conversion) -> bool:
    """Return True for an operator with int8 numbers of its own."""
    constants = [t for t in op.inputs[1:] if t is not None]
    if any(conversion.users.get(t.buffer, 1) > 1 for t in constants if t.buffer is not None):
        return False
    try:
        _read(op)
    except (Unsupported, ModelError):
        return False
    return True


def _hands_on_channels(chain: _Chain) -> bool:
    """Return True if the last dimension is the channel, from the producer to the consumer."""
    depthwise = all(
        op.weights.shape[-1] == op.input(0).shape[-1] == chain.channels
        for op in chain.operators[1:-1]
    )
    rows, columns = chain.producer.weights.shape[0], chain.consumer.weights.shape[-1]
    return depthwise and rows == columns == chain.consumer.input(0).shape[-1] == chain.channels


def _read(op: Operator) -> _Numbers:
    """Return the numbers of an int8 operator.

    Raises:
        Unsupported: it is no int8 operator with constant weights.
        ModelError: the operator lacks an input.
    """
    is_depthwise = op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D
    if op.builtin_code not in KNOWN_OPERATORS:
        raise Unsupported(f"{op.op_name} does not multiply weights")
    weights = read_weights(op)
    axis = weights.ndim - 1 if is_depthwise else 0
    rows = np.moveaxis(weights, axis, 0) if is_depthwise else weights
    layer, options = read_numbers(op, rows.reshape(len(rows), -1), axis=axis)
    if not isinstance(layer, FullyConnectedWeights):
        raise Unsupported("float32")
    channels = 1 if is_depthwise else weights.shape[-1]
    return _Numbers(rows.reshape(len(rows), -1, channels), layer, options)


def _channel_values(chain: _Chain) -> Array:
    """Return the value of each channel at the consumer, int64; one above int8 where it varies."""
    low, high = np.full(1, -128), np.full(1, 127)
    for op in chain.operators[:-1]:
        low, high = _output_range(op, low, high)
    return np.where(low == high, low, 128)


def _output_range(op: Operator, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the least and the greatest output of each channel.

    Args:
        op: the operator.
        low, high: of its inputs: [channels], or [1] for all.
    """
    numbers = _read(op)
    zero_point = numbers.layer.input_zero_point
    if _pads(op):
        low, high = np.minimum(low, zero_point), np.maximum(high, zero_point)
    least, greatest = _accumulators(op, numbers, low - zero_point, high - zero_point)
    outputs = [
        _outputs(ends, row, numbers)
        for row, ends in enumerate(zip(least.tolist(), greatest.tolist(), strict=True))
    ]
    return np.array([x for x, _ in outputs]), np.array([x for _, x in outputs])


def _accumulators(op: Operator, numbers: _Numbers, low: Array, high: Array) -> tuple[Array, Array]:
    """Return the least and the greatest accumulator of each row, int64."""
    least, greatest = numbers.layer.bias.astype(np.int64), numbers.layer.bias.astype(np.int64)
    is_depthwise = op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D
    for start in range(0, len(least), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        weights = numbers.weights[part].astype(np.int64)
        shape = (-1, 1, 1) if is_depthwise else (1, 1, -1)
        ends = [(end[part] if is_depthwise and len(end) > 1 else end) for end in (low, high)]
        at_low, at_high = (weights * end.reshape(shape) for end in ends)
        least[part] += np.minimum(at_low, at_high).sum(axis=(1, 2))
        greatest[part] += np.maximum(at_low, at_high).sum(axis=(1, 2))
    return least, greatest


def _outputs(ends: tuple[int, int], row: int, numbers: _Numbers) -> tuple[int, int]:
    """Return the int8 outputs at the ends of an accumulator's range, for either rounding."""
    multiplier, shift = int(numbers.layer.multiplier[row]), int(numbers.layer.shift[row])
    options = numbers.options
    least, most = options.activation_min, options.activation_max
    found = [accumulator_outputs(end, multiplier, shift) for end in ends]
    if None in found:  # the accumulator wraps
        return least, most
    values = [
        min(max(value + options.output_zero_point, least), most)
        for pair in found
        for value in pair or ()
    ]
    return min(values), max(values)


def _kept(chain: _Chain, value: Array) -> Array:
    """Return the channels that stay, in order."""
    weights, consumer = _read(chain.consumer).weights, chain.consumer
    unread = ~weights.any(axis=(0, 1))
    zero_point = consumer.input(0).zero_point
    # Padding differs from other constants; and the sum needs a bias to go to.
    foldable = value == zero_point
    if not _pads(consumer) and consumer.bias is not None:
        foldable = value < 128
        contribution = _contribution(weights, value, ~unread & foldable, zero_point)
        bias = _read(consumer).layer.bias + contribution
        if bias.min() < _INT32.min or bias.max() > _INT32.max:
            foldable = value == zero_point
    keep = ~(unread | foldable)
    spare = np.flatnonzero(~keep)
    missing = max(-keep.sum() % _CHANNEL_MULTIPLE, _CHANNEL_MULTIPLE - keep.sum())
    keep[spare[:missing]] = True
    return np.flatnonzero(keep)


def _contribution(weights: Array, value: Array, removed: Array, zero_point: int) -> Array:
    """Return what the `removed` channels add to each accumulator, int64 [rows]."""
    inputs = np.where(removed, value - zero_point, 0).astype(np.int64)
    sums: Array = weights.sum(axis=1, dtype=np.int64) @ inputs
    return sums


def _shrink(chain: _Chain, value: Array, keep: Array) -> None:
    """Leave only the channels `keep` in the operators of a chain."""
    numbers = _read(chain.consumer)
    removed = np.ones(chain.channels, bool)
    removed[keep] = False
    removed &= numbers.weights.any(axis=(0, 1))  # the value of an unread channel does not count
    contribution = _contribution(
        numbers.weights, value, removed, chain.consumer.input(0).zero_point
    )
    if contribution.any():
        _replace(chain.consumer, 2, (numbers.layer.bias + contribution).astype(np.int32))
    _replace(chain.consumer, 1, read_weights(chain.consumer)[..., keep])
    for op in chain.operators[:-1]:
        is_depthwise = op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D
        bias = _read(op).layer.bias
        _replace(op, 1, np.take(read_weights(op), keep, -1 if is_depthwise else 0), keep)
        if op.bias is not None:
            _replace(op, 2, bias[keep], keep)
        op.outputs[0].shape = (*op.outputs[0].shape[:-1], len(keep))


def _replace(op: Operator, at: int, array: Array, keep: Array | None = None) -> None:
    """Replace the constant input `at`; `keep` are the channels that its quantization keeps."""
    old = op.input(at)
    quantization = old.quantization
    if quantization is not None and keep is not None and len(quantization.scales) > 1:
        points = quantization.zero_points
        quantization = Quantization(
            quantization.scales[keep],
            points[keep] if len(points) > 1 else points,
            axis=quantization.axis,
        )
    new = np.ascontiguousarray(array)
    op.inputs[at] = Tensor.constant(old.name, new, type=old.type, quantization=quantization)


def _pads(op: Operator) -> bool:
    """Return True if windows of the operator reach beyond the image."""
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        return False
    return op.is_same and op.weights.shape[1:3] != (1, 1)
