"""Small graphs in the form that `fuzz_delegate` reads (`fake_runtime.h`)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import tflm_sparsesep
from tests.support.depthwise_layers import DepthwiseCase, random_block
from tests.support.layers import layout_case
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.separable_models import separable_model
from tests.support.models.sparse_models import (
    misfits,
    residual_chain,
    second_feature_map,
    sparse_conv_model,
    sparse_model,
)
from tests.support.residuals import random_residual
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob import pack_separable
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor, TensorType
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_images,
    random_separable,
)

_TYPES = (TensorType.FLOAT32, TensorType.INT32, TensorType.UINT8, TensorType.INT8)
_ACTIVATION, _CONSTANT = 0, 1
# Flags of `fuzz_delegate`: the backend that claims all, and the CPU's alone.
_BACKENDS = (1, 0)


def graphs() -> Iterator[bytes]:
    """Yield graphs of each operator, and of several, for each backend."""
    for data in _models():
        for flags in _BACKENDS:
            yield encode(data, flags)


def encode(data: bytes, flags: int) -> bytes:
    """Return the first graph of a .tflite file, and a resize of its input to a batch of 2."""
    (main,) = editor.read(data).subgraphs
    tensors = list(dict.fromkeys(t for op in main.operators for t in op.tensors))
    parts = [bytes([flags, len(tensors) - 1]), *map(_tensor, tensors)]
    parts += [bytes([len(main.operators)]), *(_node(op, tensors) for op in main.operators)]
    entering = main.inputs[0]
    resized = (2, *entering.shape[1:])
    return b"".join([*parts, bytes([tensors.index(entering)]), _dims(resized)])


def _models() -> Iterator[bytes]:
    rng = np.random.default_rng(4)
    for layout in LAYOUTS:
        yield sparse_model(layout_case(rng, layout, 6, 20, zeros=0.7), layout=layout)
    window = ConvWindow((3, 2), 4, (1, 1), (1, 2))
    yield sparse_conv_model(
        random_conv(rng, LAYOUTS[0], window=window, units=5, size=(5, 6)), LAYOUTS[0]
    )
    yield from _residuals(rng)
    yield from _separable(rng)
    for quantized in (True, False):
        for make in _OPERATORS:
            graph = GraphBuilder(4, quantized=quantized)
            make(graph)
            yield graph.build()


def _residuals(rng: np.random.Generator) -> Iterator[bytes]:
    """Yield a residual that other convolutions outlive, and third inputs that do not fit."""
    window = ConvWindow((3, 2), 4)
    conv = random_conv(rng, LAYOUTS[0], window=window, units=4, size=(5, 6))
    blob = conv.blob(LAYOUTS[0])
    fused = with_residual(blob, random_residual(rng))
    yield residual_chain(conv, blob, fused)
    for other in (None, second_feature_map(conv), *misfits(conv)):
        yield sparse_conv_model(conv, LAYOUTS[0], blob=fused, other=other)


def _separable(rng: np.random.Generator) -> Iterator[bytes]:
    """Yield a separable convolution, a depthwise one, and a block of two."""
    shape = SeparableShape(6, 6, (3, 4, 5), (3, 2))
    conv, images = random_separable(rng, shape), random_images(rng, shape)
    blob = pack_separable.pack(conv, Order.NATURAL)
    yield separable_model(blob, images.shape, conv.output_shape(images.shape))
    layer = random_depthwise(rng, ConvWindow((3, 3), 4, (1, 1)))
    case = DepthwiseCase(layer, rng.integers(-128, 128, (1, 4, 4, 4)).astype(np.int8))
    yield separable_model(pack_depthwise(layer), case.images.shape, case.output_shape)
    block = random_block(rng, LAYOUTS[0], case=case, units=6)
    yield separable_model(block.blob, case.images.shape, (*case.output_shape[:3], 6))


def _chain(graph: GraphBuilder) -> None:
    x = graph.conv(graph.input(1, 6, 6, 2), 4, (3, 3), padding="VALID", activation="RELU")
    y = graph.pool(x, "MAX", (2, 2), (2, 2))
    z = graph.arithmetic("ADD", y, graph.function("RELU6", y))
    graph.function("SOFTMAX", graph.fully_connected(graph.reshape(z, 1, 16), 5))


def _movements(graph: GraphBuilder) -> None:
    x = graph.pad(graph.input(1, 2, 3, 2), [(0, 0), (1, 1), (0, 1), (0, 0)])
    graph.concatenate([x, x], 1)


def _pools(graph: GraphBuilder) -> None:
    x = graph.pool(graph.input(1, 5, 5, 2), "AVERAGE", (2, 2), (1, 1), "SAME")
    graph.conv(x, 2, (2, 2), depthwise=True)


def _arithmetic(graph: GraphBuilder) -> None:
    x = graph.input(1, 3, 4)
    y = graph.arithmetic("MUL", x, graph.constant(4))
    graph.function("LOGISTIC", graph.arithmetic("ADD", y, x, "RELU"))


def _functions(graph: GraphBuilder) -> None:
    x = graph.input(1, 6)
    for name in ("RELU", "RELU_N1_TO_1", "RELU_0_TO_1", "LOGISTIC"):
        x = graph.function(name, x)
    if graph.quantized:
        x = graph.convert(x, Tensor("real", x.shape, TensorType.FLOAT32))
        graph.convert(x, graph.tensor("again", x.shape, 0.1, 3))


_OPERATORS: tuple[Callable[[GraphBuilder], None], ...] = (
    _chain,
    _movements,
    _pools,
    _arithmetic,
    _functions,
)


def _kinds() -> list[str]:
    """Return the operators of the delegate in the order of its table."""
    table = tflm_sparsesep.source_dir() / "custom_ops/litert_delegate/graph/operators.inc"
    return re.findall(r"^ROW\((\w+),", table.read_text(), re.MULTILINE)


def _dims(shape: Sequence[int]) -> bytes:
    return struct.pack(f"<B{len(shape)}i", len(shape), *shape)


def _tensor(tensor: Tensor) -> bytes:
    kind = _CONSTANT if tensor.is_constant else _ACTIVATION
    head = bytes([_TYPES.index(tensor.type), kind]) + _dims(tensor.shape)
    data = b"" if tensor.buffer is None else tensor.buffer.data.tobytes()
    quantization = tensor.quantization
    if quantization is None or not len(quantization.scales):
        return head + b"\0" + data
    scales = quantization.scales
    numbers = bytes([len(scales), quantization.axis]) + scales.tobytes()
    return head + numbers + struct.pack("<i", tensor.zero_point) + data


def _node(op: Operator, tensors: list[Tensor]) -> bytes:
    def indices(listed: Sequence[Tensor | None]) -> bytes:
        numbers = [0 if t is None else tensors.index(t) + 1 for t in listed]
        return bytes([len(numbers), *numbers])

    parameters, options = _parameters(op), op.custom_options or b""
    kind = bytes([_kinds().index(op.op_name)])
    lists = indices(op.inputs) + indices(op.outputs)
    return kind + lists + _counted(parameters) + _counted(options)


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _parameters(op: Operator) -> bytes:
    """Return the builtin parameters as the structures of `tflite_abi.h`."""
    options: Any = op.options
    if options is None:
        return b""
    activation = int(getattr(options, "fusedActivationFunction", 0))
    if op.op_name == "FULLY_CONNECTED":
        return struct.pack("<iiB", activation, options.weightsFormat, options.keepNumDims)
    if op.op_name == "SOFTMAX":
        return struct.pack("<f", options.beta)
    if op.op_name == "CONCATENATION":
        return struct.pack("<ii", options.axis, activation)
    if op.op_name == "RESHAPE":
        shape = [*options.newShape]
        return struct.pack("<8ii", *shape, *[0] * (8 - len(shape)), len(shape))
    if not hasattr(options, "strideW"):
        return struct.pack("<i", activation)
    window = [options.padding + 1, options.strideW, options.strideH]
    if "POOL" in op.op_name:
        fields = [options.filterWidth, options.filterHeight, activation]
    else:
        multiplier = [options.depthMultiplier] if "DEPTHWISE" in op.op_name else []
        dilation = [options.dilationWFactor, options.dilationHFactor]
        fields = [*multiplier, activation, *dilation]
    return struct.pack(f"<{len(window + fields)}i", *window, *fields)
