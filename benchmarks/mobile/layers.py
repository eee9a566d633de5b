"""One fully-connected layer or convolution as .tflite models: dense, and sparse in a layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, from_columns, pack_conv
from tflm_sparsesep.converters.layers.convolution import is_convolution, read_convolution
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)

_INPUT_SCALE, _WEIGHT_SCALE, _ZERO_POINT = 0.05, 0.01, 3
# Versions that TensorFlow's converter gives operators.
_VERSIONS = {
    "int8": {"fully_connected": 4, "conv": 3},
    "float32": {"fully_connected": 1, "conv": 1},
}


@dataclass(frozen=True)
class Shape:
    """A layer of a real model.

    Attributes:
        name: for tables.
        rows, cols: of the matrix; cols of a convolution are taps times channels.
        pixels: [height, width] of the input of a convolution with SAME padding, else None.
        kernel: [height, width] of a convolution.
    """

    name: str
    rows: int
    cols: int
    pixels: tuple[int, int] | None = None
    kernel: tuple[int, int] = (1, 1)

    @property
    def window(self) -> ConvWindow:
        """The geometry of a convolution."""
        taps = self.kernel[0] * self.kernel[1]
        return ConvWindow(self.kernel, self.cols // taps)

    @property
    def vectors(self) -> int:
        """Input vectors of one inference."""
        return 1 if self.pixels is None else self.pixels[0] * self.pixels[1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the model's input; its output differs in the last dimension."""
        return (1, *(self.pixels or ()), self.window.channels)


def random_weights(
    shape: Shape, dtype: str, pattern: str, zeros: float, seed: int = 0
) -> npt.NDArray[np.float32]:
    """float32[rows, cols] of `dtype`'s values, zero in whole blocks of the pattern.

    Columns are in the order of packed weights.
    """
    rng = np.random.default_rng(seed)
    height, width = map(int, pattern.split("x"))
    grid = -(-shape.rows // height), -(-shape.cols // width)
    kept = np.zeros(grid[0] * grid[1], np.bool_)
    kept[rng.choice(kept.size, round(kept.size * (1 - zeros)), replace=False)] = True
    mask = kept.reshape(grid).repeat(height, 0).repeat(width, 1)[: shape.rows, : shape.cols]
    if dtype == "float32":
        values = rng.standard_normal(mask.shape, np.float32)
    else:
        signs = rng.choice(np.array([-1, 1], np.float32), mask.shape)
        values = rng.integers(1, 128, mask.shape).astype(np.float32) * signs
    return np.where(mask, values, np.float32(0))


def dense_model(shape: Shape, weights: npt.NDArray[np.float32], dtype: str) -> bytes:
    """The builtin operator. int8 outputs spread over the whole range."""
    kind = "fully_connected" if shape.pixels is None else "conv"
    terms = max(1.0, np.count_nonzero(weights) / shape.rows)
    spread = 74 * 74 * _INPUT_SCALE * _WEIGHT_SCALE * terms**0.5
    output = _activation("output", (*shape.input_shape[:-1], shape.rows), dtype, spread / 40)
    tensors = [_activation("input", shape.input_shape, dtype, _INPUT_SCALE)]
    if kind == "conv":
        weights = from_columns(weights, shape.window)
    tensors.append(_constant("weights", weights, dtype, "int8", _WEIGHT_SCALE))
    tensors.append(
        _constant("bias", np.zeros(shape.rows), dtype, "int32", _INPUT_SCALE * _WEIGHT_SCALE)
    )
    if kind == "conv":
        code, options = (
            BuiltinOperator.CONV_2D,
            schema_object(schema.Conv2DOptionsT, padding=schema.Padding.SAME, strideH=1, strideW=1),
        )
    else:
        code, options = (
            BuiltinOperator.FULLY_CONNECTED,
            schema_object(schema.FullyConnectedOptionsT),
        )
    version = _VERSIONS[dtype][kind]
    operator = Operator(code, [*tensors], [output], version=version, options=options)
    main = Subgraph("main", inputs=tensors[:1], outputs=[output], operators=[operator])
    return editor.write(Model([main]))


def sparse_model(dense: bytes, layout: Layout) -> tuple[bytes, bytes]:
    """The same layer as a sparse operator in a layout, wanted or not; and its blob."""
    model = editor.read(dense)
    (main,) = model.subgraphs
    (operator,) = main.operators
    if is_convolution(operator):
        conv = read_convolution(operator)
        name, options = op_names.SPARSE_CONV_2D, None
        blob = pack_conv(conv.window, conv.options, conv.weights, layout)
    else:
        layer = read_matrix_layer(operator)
        name, options = op_names.SPARSE_FULLY_CONNECTED, layer.options.to_bytes()
        blob = pack(layer.weights, layout)
    packed = Tensor.constant("packed", np.frombuffer(blob, np.uint8))
    sparse = Operator.custom(
        name, [operator.inputs[0], packed], operator.outputs, custom_options=options
    )
    main.replace(operator, sparse)
    editor.prune_unused(model)
    return editor.write(model), blob


def _activation(name: str, shape: tuple[int, ...], dtype: str, scale: float) -> Tensor:
    if dtype == "float32":
        return Tensor(name, shape, TensorType.FLOAT32)
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(scale, _ZERO_POINT))


def _constant(
    name: str, values: npt.NDArray[np.floating], dtype: str, stored_as: str, scale: float
) -> Tensor:
    if dtype == "float32":
        return Tensor.constant(name, values.astype(np.float32))
    rows = values.shape[0]
    quantization = Quantization(np.full(rows, scale, np.float32))
    return Tensor.constant(name, values.astype(stored_as), quantization=quantization)
