"""Models of one fully-connected layer, sparse or dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import can_pack, pack
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
from tflm_sparsesep.device.synthetic_layers import random_case, random_float_case

ZEROS = 0.9


@dataclass(frozen=True)
class LayerShape:
    """block: rows and columns that are kept or dropped together; None for a dense layer."""

    rows: int
    cols: int
    block: tuple[int, int] | None
    dtype: str
    batch: int

    @property
    def name(self) -> str:
        kind = "dense" if self.block is None else f"{self.block[0]}x{self.block[1]}"
        return f"{self.cols}->{self.rows} {self.dtype} {kind}, batch {self.batch}"


def layer_model(shape: LayerShape) -> bytes:
    """A model of one layer with random weights, sparse ones with 90% zeros."""
    rng = np.random.default_rng(0)
    is_float = shape.dtype == "float32"
    entering = _activation("input", [shape.batch, shape.cols], is_float)
    leaving = _activation("output", [shape.batch, shape.rows], is_float)
    make = _dense if shape.block is None else _sparse
    operator = make(rng, shape, entering, leaving)
    main = Subgraph("main", inputs=[entering], outputs=[leaving], operators=[operator])
    return editor.write(Model([main]))


def _sparse(
    rng: np.random.Generator, shape: LayerShape, entering: Tensor, leaving: Tensor
) -> Operator:
    make = random_float_case if shape.dtype == "float32" else random_case
    case = make(rng, shape.rows, shape.cols, zeros=ZEROS, block=shape.block or (1, 1))
    value_type = ValueType.FLOAT32 if shape.dtype == "float32" else ValueType.INT8
    layout = next(
        layout
        for layout in LAYOUTS
        if (layout.block_rows, layout.block_cols) == shape.block
        and layout.value_type is value_type
        and can_pack(case.layer, layout)
    )
    blob = Tensor.constant("packed", np.frombuffer(pack(case.layer, layout), np.uint8))
    return Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [entering, blob],
        [leaving],
        custom_options=case.options.to_bytes(),
    )


def _dense(
    rng: np.random.Generator, shape: LayerShape, entering: Tensor, leaving: Tensor
) -> Operator:
    size = (shape.rows, shape.cols)
    if shape.dtype == "float32":
        weights = Tensor.constant("weights", rng.normal(0, 1, size).astype(np.float32))
        bias = Tensor.constant("bias", rng.normal(0, 1, shape.rows).astype(np.float32))
    else:
        # Outputs of about +-40 steps: products of two values of +-74, cols of them, times scales.
        scale = 40 / (74 * 74 * np.sqrt(shape.cols))
        weights = Tensor.constant(
            "weights",
            rng.integers(-127, 128, size).astype(np.int8),
            quantization=Quantization(scale),
        )
        bias = Tensor.constant(
            "bias", np.zeros(shape.rows, np.int32), quantization=Quantization(0.5 * scale)
        )
    return Operator(
        BuiltinOperator.FULLY_CONNECTED,
        [entering, weights, bias],
        [leaving],
        version=1 if shape.dtype == "float32" else 4,
        options=schema_object(schema.FullyConnectedOptionsT),
    )


def _activation(name: str, shape: list[int], is_float: bool) -> Tensor:
    if is_float:
        return Tensor(name, shape, TensorType.FLOAT32)
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(0.5, 0))
