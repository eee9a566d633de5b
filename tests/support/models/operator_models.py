"""Small .tflite models of builtin operators with random numbers, int8 and float32, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

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

Array = npt.NDArray[Any]


class GraphBuilder:
    """A model in the making; every method adds an operator and returns its output.

    quantized: int8 throughout, with scales around what the numbers need, else float32. zeros: the
    fraction of zeros in weights.
    """

    def __init__(self, seed: int, *, quantized: bool, zeros: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.zeros = zeros
        self.quantized = quantized
        self.inputs: list[Tensor] = []
        self.operators: list[Operator] = []

    def input(self, *shape: int) -> Tensor:
        """A model input."""
        tensor = self.tensor("input", shape, 0.05, 3)
        self.inputs.append(tensor)
        return tensor

    def tensor(self, name: str, shape: Any, scale: float, zero_point: int) -> Tensor:
        """An activation."""
        name = f"{name}{len(self.operators)}"
        if not self.quantized:
            return Tensor(name, tuple(shape), TensorType.FLOAT32)
        quantization = Quantization(scale, zero_point)
        return Tensor(name, tuple(shape), TensorType.INT8, quantization=quantization)

    def fully_connected(self, x: Tensor, rows: int, activation: str = "NONE") -> Tensor:
        """Append FULLY_CONNECTED of `rows` outputs."""
        cols = x.shape[-1]
        weights, bias = self._weights((rows, cols), rows, cols, 0, x)
        options = self._options(schema.FullyConnectedOptionsT, activation)
        out = self.tensor("fc", (*x.shape[:-1], rows), 0.1, -7)
        return self.add(BuiltinOperator.FULLY_CONNECTED, [x, weights, bias], out, options, 4)

    def conv(
        self,
        x: Tensor,
        units: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
        depthwise: bool = False,
    ) -> Tensor:
        """Append CONV_2D, or DEPTHWISE_CONV_2D, of `units` outputs."""
        channels = x.shape[3]
        shape = (1, *kernel, units) if depthwise else (units, *kernel, channels)
        terms = kernel[0] * kernel[1] * (1 if depthwise else channels)
        weights, bias = self._weights(shape, units, terms, 3 if depthwise else 0, x)
        fields: dict[str, Any] = {
            "strideH": stride[0],
            "strideW": stride[1],
            "dilationHFactor": dilation[0],
            "dilationWFactor": dilation[1],
            "padding": getattr(schema.Padding, padding),
        }
        kind = schema.DepthwiseConv2DOptionsT if depthwise else schema.Conv2DOptionsT
        if depthwise:
            fields["depthMultiplier"] = units // channels
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        out = self.tensor("conv", (x.shape[0], *_window(x, reach, stride, padding), units), 0.1, 5)
        code = BuiltinOperator.DEPTHWISE_CONV_2D if depthwise else BuiltinOperator.CONV_2D
        options = self._options(kind, activation, **fields)
        return self.add(code, [x, weights, bias], out, options, 3)

    def pool(
        self,
        x: Tensor,
        kind: str,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> Tensor:
        """`kind`: MAX or AVERAGE."""
        options = self._options(
            schema.Pool2DOptionsT,
            activation,
            strideH=stride[0],
            strideW=stride[1],
            filterHeight=kernel[0],
            filterWidth=kernel[1],
            padding=getattr(schema.Padding, padding),
        )
        shape = (x.shape[0], *_window(x, kernel, stride, padding), x.shape[3])
        out = self._like(x, "pool", shape)
        return self.add(getattr(BuiltinOperator, f"{kind}_POOL_2D"), [x], out, options, 2)

    def arithmetic(self, name: str, a: Tensor, b: Tensor, activation: str = "NONE") -> Tensor:
        """ADD or MUL of two tensors, stretched to each other's shape."""
        kind = schema.AddOptionsT if name == "ADD" else schema.MulOptionsT
        shape = np.broadcast_shapes(tuple(a.shape), tuple(b.shape))
        out = self.tensor(name, shape, 0.11, -4)
        options = self._options(kind, activation)
        return self.add(getattr(BuiltinOperator, name), [a, b], out, options, 2)

    def constant(self, *shape: int) -> Tensor:
        """A constant that is no layer's weights."""
        if not self.quantized:
            values = self.rng.normal(0, 1, shape).astype(np.float32)
            return Tensor.constant("constant", values)
        values = self.rng.integers(-128, 128, shape).astype(np.int8)
        return Tensor.constant("constant", values, quantization=Quantization(0.03, -9))

    def function(self, name: str, x: Tensor) -> Tensor:
        """RELU of any kind, LOGISTIC or SOFTMAX."""
        options = None
        out = self._like(x, name, x.shape)
        if name in ("LOGISTIC", "SOFTMAX"):
            out = self.tensor(name, x.shape, 1 / 256, -128)
        if name == "SOFTMAX":
            options = schema_object(schema.SoftmaxOptionsT, beta=1.0)
        if name == "RELU":
            out = self.tensor(name, x.shape, 0.04, -20)
        version = 1 if name.endswith("TO_1") else 2
        return self.add(getattr(BuiltinOperator, name), [x], out, options, version)

    def convert(self, x: Tensor, to: Tensor) -> Tensor:
        """QUANTIZE or DEQUANTIZE."""
        back = to.type == TensorType.FLOAT32
        code = BuiltinOperator.DEQUANTIZE if back else BuiltinOperator.QUANTIZE
        return self.add(code, [x], to, None, 2)

    def pad(self, x: Tensor, amounts: list[tuple[int, int]]) -> Tensor:
        """Append PAD by `amounts` before and after each axis."""
        shape = [n + a + b for n, (a, b) in zip(x.shape, amounts, strict=True)]
        values = Tensor.constant("amounts", np.array(amounts, np.int32))
        options = schema_object(schema.PadOptionsT)
        out = self._like(x, "pad", shape)
        return self.add(BuiltinOperator.PAD, [x, values], out, options, 2)

    def concatenate(self, tensors: list[Tensor], axis: int) -> Tensor:
        """Append CONCATENATION along `axis`."""
        shape = list(tensors[0].shape)
        shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
        options = self._options(schema.ConcatenationOptionsT, "NONE", axis=axis)
        out = self._like(tensors[0], "concatenation", shape)
        return self.add(BuiltinOperator.CONCATENATION, tensors, out, options, 2)

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        """Append RESHAPE to `shape`."""
        target = Tensor.constant("shape", np.array(shape, np.int32))
        options = schema_object(schema.ReshapeOptionsT, newShape=list(shape))
        out = self._like(x, "reshape", shape)
        return self.add(BuiltinOperator.RESHAPE, [x, target], out, options, 1)

    def add(
        self, code: int, inputs: list[Tensor], out: Tensor, options: Any, int8_version: int
    ) -> Tensor:
        """Append an operator that makes `out`."""
        version = int8_version if self.quantized else 1
        operator = Operator(code, [*inputs], [out], version=version, options=options)
        self.operators.append(operator)
        return out

    def build(self, *outputs: Tensor) -> bytes:
        """The model; its output is the last operator's unless others are named."""
        leaving = list(outputs) or self.operators[-1].outputs
        main = Subgraph("main", inputs=self.inputs, outputs=leaving, operators=self.operators)
        return editor.write(Model([main]))

    def samples(self, count: int) -> list[Array]:
        """Inputs [count, *shape], one array per model input."""
        return [self._samples((count, *tensor.shape)) for tensor in self.inputs]

    def _samples(self, shape: tuple[int, ...]) -> Array:
        if self.quantized:
            return self.rng.integers(-128, 128, shape).astype(np.int8)
        return self.rng.normal(0, 1, shape).astype(np.float32)

    def _like(self, x: Tensor, name: str, shape: Any) -> Tensor:
        if x.quantization is None:
            return self.tensor(name, shape, 1.0, 0)
        scale, zero_point = x.quantization.scales[0], x.quantization.zero_points[0]
        return self.tensor(name, shape, float(scale), int(zero_point))

    def _weights(
        self, shape: tuple[int, ...], units: int, terms: int, dimension: int, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weights and biases: outputs then have a standard deviation of about 2."""
        name = f"weights{len(self.operators)}"
        kept = self.rng.random(shape) >= self.zeros
        terms = max(1, round(terms * (1 - self.zeros)))
        if not self.quantized:
            values = (kept * self.rng.normal(0, 2 / np.sqrt(terms), shape)).astype(np.float32)
            bias = self.rng.normal(0, 1, units).astype(np.float32)
            return Tensor.constant(name, values), Tensor.constant(name + "/bias", bias)
        assert x.quantization is not None
        input_scale = np.float32(x.quantization.scales[0])
        deviation = 74 * float(input_scale) * 74 * np.sqrt(terms)
        scales = (2 / deviation * self.rng.uniform(0.5, 2, units)).astype(np.float32)
        values = (kept * self.rng.integers(-127, 128, shape)).astype(np.int8)
        bias = np.round(self.rng.normal(0, 1, units) / (input_scale * scales)).astype(np.int32)
        return (
            Tensor.constant(name, values, quantization=Quantization(scales, axis=dimension)),
            Tensor.constant(name + "/bias", bias, quantization=Quantization(input_scale * scales)),
        )

    def _options(self, kind: Any, activation: str, **fields: Any) -> Any:
        code = getattr(schema.ActivationFunctionType, activation)
        return schema_object(kind, fusedActivationFunction=code, **fields)


def _window(x: Tensor, kernel: Any, stride: tuple[int, int], padding: str) -> list[int]:
    sizes = zip(x.shape[1:3], kernel, stride, strict=True)
    return [-(-(n - (k - 1 if padding == "VALID" else 0)) // s) for n, k, s in sizes]


def lenet_5(*, quantized: bool, zeros: float = 0.0) -> GraphBuilder:
    """LeNet-5 on 28 x 28, with max pools."""
    graph = GraphBuilder(5, quantized=quantized, zeros=zeros)
    x = graph.conv(graph.input(1, 28, 28, 1), 20, (5, 5), padding="VALID", activation="RELU")
    x = graph.pool(x, "MAX", (2, 2), (2, 2))
    x = graph.conv(x, 50, (5, 5), padding="VALID", activation="RELU")
    x = graph.pool(x, "MAX", (2, 2), (2, 2))
    x = graph.fully_connected(graph.reshape(x, 1, 800), 500, "RELU")
    graph.function("SOFTMAX", graph.fully_connected(x, 10))
    return graph


def lenet_300_100(*, quantized: bool) -> GraphBuilder:
    """The demo's model, 90% zeros."""
    graph = GraphBuilder(6, quantized=quantized, zeros=0.9)
    x = graph.fully_connected(graph.input(1, 784), 300, "RELU")
    x = graph.fully_connected(x, 100, "RELU")
    graph.zeros = 0.0
    graph.function("SOFTMAX", graph.fully_connected(x, 10))
    return graph


def conv1d(*, quantized: bool) -> GraphBuilder:
    """Two convolutions along a line of six readings, 90% zeros."""
    graph = GraphBuilder(8, quantized=quantized, zeros=0.9)
    x = graph.conv(graph.input(1, 1, 60, 6), 16, (1, 5), padding="VALID", activation="RELU")
    x = graph.pool(x, "MAX", (1, 2), (1, 2))
    x = graph.conv(x, 24, (1, 5), stride=(1, 2), padding="VALID", activation="RELU")
    graph.fully_connected(graph.reshape(x, 1, 288), 100)
    return graph


def autoencoder(*, quantized: bool) -> GraphBuilder:
    """ad01's layers, 90% zeros."""
    graph = GraphBuilder(7, quantized=quantized, zeros=0.9)
    x = graph.input(1, 640)
    for rows in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = graph.fully_connected(x, rows, "RELU")
    graph.fully_connected(x, 640)
    return graph
