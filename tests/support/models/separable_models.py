"""Small .tflite models of two convolutions that follow each other, for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import op_names
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
from tflm_sparsesep.device.synthetic_separable import SeparableShape


@dataclass(frozen=True)
class Conv:
    """One int8 CONV_2D.

    weights: int8 [units, height, width, channels]. stride: down, right. padding: of the schema,
    SAME or VALID. dilation: in both directions.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    weight_scales: npt.NDArray[np.float32]
    output_scale: float
    output_zero_point: int
    stride: tuple[int, int]
    padding: str
    activation: str = "NONE"
    dilation: int = 1


def random_pair(
    rng: np.random.Generator, shape: SeparableShape, activations: Sequence[str] = ("NONE", "NONE")
) -> list[Conv]:
    """A vertical and a horizontal convolution of these sizes, for inputs of scale 0.02."""
    convs = []
    input_scale = 0.02
    for n in (0, 1):
        kernel = (shape.kernel[0], 1) if n == 0 else (1, shape.kernel[1])
        channels, units = shape.channels[n], shape.channels[n + 1]
        scales = rng.uniform(0.001, 0.004, units).astype(np.float32)
        taps = shape.kernel[n] * channels
        # Outputs then have a standard deviation of about 40 steps.
        output_scale = float(input_scale * 0.0025 * 74 * 74 * np.sqrt(taps) / 40)
        convs.append(
            Conv(
                weights=rng.integers(-127, 128, (units, *kernel, channels)).astype(np.int8),
                bias=rng.integers(-5000, 5000, units).astype(np.int32),
                weight_scales=scales,
                output_scale=output_scale,
                output_zero_point=int(rng.integers(-128, 128)),
                stride=(shape.stride[0], 1) if n == 0 else (1, shape.stride[1]),
                padding=shape.padding[n].name,
                activation=activations[n],
            )
        )
        input_scale = output_scale
    return convs


def conv_model(
    convs: Sequence[Conv], input_shape: Sequence[int], *, outputs: Sequence[int] = (-1,)
) -> bytes:
    """A model of CONV_2D that read each other; `outputs` says whose outputs are the model's."""
    current = _activation("input", tuple(input_shape), 0.02, 3)
    operators = []
    inputs = [current]
    for i, conv in enumerate(convs):
        operators.append(conv_operator(conv, current, f"conv{i}"))
        current = operators[-1].outputs[0]
    leaving = [operators[i].outputs[0] for i in outputs]
    return editor.write(
        Model([Subgraph("main", inputs=inputs, outputs=leaving, operators=operators)])
    )


def conv_operator(conv: Conv, source: Tensor, name: str) -> Operator:
    """One CONV_2D on `source`."""
    assert source.quantization is not None
    scale = np.float32(source.quantization.scales[0])
    bias_quantization = Quantization(scale * conv.weight_scales)
    operator = Operator(
        BuiltinOperator.CONV_2D,
        [
            source,
            Tensor.constant(
                f"{name}/weights", conv.weights, quantization=Quantization(conv.weight_scales)
            ),
            Tensor.constant(f"{name}/bias", conv.bias, quantization=bias_quantization),
        ],
        [
            _activation(
                name, _output_shape(conv, source.shape), conv.output_scale, conv.output_zero_point
            )
        ],
        version=3,
        options=schema_object(
            schema.Conv2DOptionsT,
            padding=getattr(schema.Padding, conv.padding),
            strideH=conv.stride[0],
            strideW=conv.stride[1],
            dilationHFactor=conv.dilation,
            dilationWFactor=conv.dilation,
            fusedActivationFunction=getattr(schema.ActivationFunctionType, conv.activation),
        ),
    )
    return operator


def separable_model(
    blob: bytes,
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    *,
    dtype: type = np.int8,
    options: bytes | None = None,
) -> bytes:
    """A model of one SEPARABLE_CONV_2D."""
    kind = TensorType.INT8 if dtype is np.int8 else TensorType.FLOAT32
    quantization = Quantization(0.5, 0) if dtype is np.int8 else None
    entering = Tensor("input", tuple(input_shape), kind, quantization=quantization)
    leaving = Tensor("output", tuple(output_shape), kind, quantization=quantization)
    operator = Operator.custom(
        op_names.SEPARABLE_CONV_2D,
        [entering, Tensor.constant("packed", np.frombuffer(blob, np.uint8))],
        [leaving],
        custom_options=options,
    )
    main = Subgraph("main", inputs=[entering], outputs=[leaving], operators=[operator])
    return editor.write(Model([main]))


def changed(convs: Sequence[Conv], number: int, **changes: object) -> list[Conv]:
    """`convs`, one of them with other fields."""
    result = list(convs)
    result[number] = dataclasses.replace(convs[number], **changes)  # type: ignore[arg-type]
    return result


def _output_shape(conv: Conv, input_shape: Sequence[int]) -> tuple[int, ...]:
    batch, *sizes, _ = input_shape
    kernel = conv.weights.shape[1:3]
    reach = [(taps - 1) * conv.dilation if conv.padding == "VALID" else 0 for taps in kernel]
    out = [-(-(n - less) // s) for n, less, s in zip(sizes, reach, conv.stride, strict=True)]
    return (batch, *out, len(conv.weights))


def _activation(name: str, shape: Sequence[int], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(scale, zero_point))
