"""Models as a converter deploys them, built of trained layers without TensorFlow.

input -> (RESHAPE) -> SPARSE_FULLY_CONNECTED ... -> FULLY_CONNECTED -> SOFTMAX
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.support.tensors import quantization_of
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.requantization import activation_range, float_activation_range
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
from tflm_sparsesep.opencl import Deployment, SparseLayer, write_blob

Images = npt.NDArray[np.float32]


def outputs(layers: list[SparseLayer], x: Images) -> list[Images]:
    """What enters the first layer and leaves each, [samples, units]."""
    found = [x]
    for layer in layers:
        z = found[-1] @ layer.to_dense().T + layer.bias
        found.append(np.clip(z, layer.low, layer.high))
    return found


def deployed(
    layers: list[SparseLayer], x: Images, *, dtype: str, image: tuple[int, int] | None = None
) -> bytes:
    """A model of these layers for one sample: the last dense, the others packed.

    `x` says which activations there are; int8 holds those of them. `image`: height and width of
    the model's input, which is then flattened.
    """
    flow = outputs(layers, x)
    names = ["input", *(f"layer{i}" for i in range(len(layers)))]
    tensors = [_tensor(name, a, dtype) for name, a in zip(names, flow, strict=True)]
    entry, operators = tensors[0], []
    if image is not None:
        quantization = tensors[0].quantization
        entry = Tensor("image", (1, *image), tensors[0].type, quantization=quantization)
        shape = Tensor.constant("shape", np.array(tensors[0].shape, np.int32))
        operators.append(Operator(BuiltinOperator.RESHAPE, [entry, shape], [tensors[0]]))
    operators += [
        _packed(layer, tensors[i], tensors[i + 1], dtype) for i, layer in enumerate(layers[:-1])
    ]
    operators.append(_dense(layers[-1], tensors[-2], tensors[-1], dtype))
    quantization = Quantization(1 / 256, -128) if dtype == "int8" else None
    result = Tensor("result", tensors[-1].shape, tensors[-1].type, quantization=quantization)
    options = schema_object(schema.SoftmaxOptionsT, beta=1.0)
    operators.append(
        Operator(BuiltinOperator.SOFTMAX, [tensors[-1]], [result], version=2, options=options)
    )
    return editor.write(
        Model([Subgraph("main", inputs=[entry], outputs=[result], operators=operators)])
    )


def layout_of(layer: SparseLayer, dtype: str) -> Layout:
    """The first layout of all that stores the layer's blocks."""
    value_type = ValueType.FLOAT32 if dtype == "float32" else ValueType.INT8
    return next(
        layout
        for layout in LAYOUTS
        if (layout.block_rows, layout.block_cols) == layer.block and layout.value_type == value_type
    )


def _tensor(name: str, values: Images, dtype: str) -> Tensor:
    shape = (1, values.shape[1])
    if dtype == "float32":
        return Tensor(name, shape, TensorType.FLOAT32)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / 255
    quantization = Quantization(scale, round(-128 - low / scale))
    return Tensor(name, shape, TensorType.INT8, quantization=quantization)


def _packed(layer: SparseLayer, entering: Tensor, leaving: Tensor, dtype: str) -> Operator:
    activation = "RELU" if layer.low == 0 else "NONE"
    layout = layout_of(layer, dtype)
    if dtype == "float32":
        options = FullyConnectedOptions(0, 0, *float_activation_range(activation))
        deployment = Deployment(layout, options)
    else:
        points = (entering.zero_point, leaving.zero_point)
        scales = [float(quantization_of(t).scales[0]) for t in (entering, leaving)]
        limits = activation_range(activation, scales[1], points[1])
        options = FullyConnectedOptions(*points, *limits)
        deployment = Deployment(layout, options, *scales)
    blob, _ = write_blob(layer, deployment)
    weights = Tensor.constant(f"{leaving.name}/packed", np.frombuffer(blob, np.uint8))
    return Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [entering, weights],
        [leaving],
        custom_options=options.to_bytes(),
    )


def _dense(layer: SparseLayer, entering: Tensor, leaving: Tensor, dtype: str) -> Operator:
    weights, bias = layer.to_dense(), layer.bias
    quantization: list[Quantization | None] = [None, None]
    if dtype == "int8":
        scale = np.abs(weights).max(axis=1) / 127
        bias_scale = scale * float(quantization_of(entering).scales[0])
        weights = np.rint(weights / scale[:, None]).astype(np.int8)
        bias = np.rint(bias / bias_scale).astype(np.int32)
        quantization = [Quantization(scale, axis=0), Quantization(bias_scale, axis=0)]
    constants = [
        Tensor.constant(f"{leaving.name}/{name}", values, quantization=q)
        for name, values, q in zip(("weights", "bias"), (weights, bias), quantization, strict=True)
    ]
    return Operator(
        BuiltinOperator.FULLY_CONNECTED,
        [entering, *constants],
        [leaving],
        version=4 if dtype == "int8" else 1,
        options=schema_object(schema.FullyConnectedOptionsT),
    )
