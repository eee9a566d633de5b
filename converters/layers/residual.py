"""An int8 ADD, read as the residual of the convolution that computes one of its inputs."""

from __future__ import annotations

from tflm_sparsesep.converters.blob.pack_sparse_conv import Residual
from tflm_sparsesep.converters.blob.requantization import activation_range, quantize_multiplier
from tflm_sparsesep.converters.layers.quantized import Unsupported, activation_of
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor, TensorType

# TFLM's ADD gains so many bits before it brings both inputs to one scale.
_LEFT_SHIFT = 20


def read_residual(op: Operator, output: Tensor) -> tuple[Residual, Tensor]:
    """Return what an ADD adds to `output`, one of its two inputs, and the tensor that it adds.

    Raises:
        Unsupported: the kernels do not add such tensors as TFLM does; the message is the reason.
    """
    first, second, total = op.input(0), op.input(1), op.outputs[0]
    other = second if first is output else first
    if other is output or other.is_constant:
        raise Unsupported("adds no second feature map")
    if any(t.type != TensorType.INT8 or t.shape != total.shape for t in (other, output, total)):
        raise Unsupported("adds tensors of other types or shapes")
    scales = [_scale(tensor) for tensor in (output, other, total)]
    twice = 2.0 * max(scales[:2])
    narrow = "output" if scales[0] < scales[1] else "other"
    multiplier, shift = quantize_multiplier(min(scales[:2]) / twice)
    sum_multiplier, sum_shift = quantize_multiplier(twice / ((1 << _LEFT_SHIFT) * scales[2]))
    try:
        low, high = activation_range(activation_of(op), scales[2], total.zero_point)
        residual = Residual(
            narrow=narrow,
            zero_point=other.zero_point,
            sum_zero_point=total.zero_point,
            activation_min=low,
            activation_max=high,
            multiplier=multiplier,
            shift=-shift,
            sum_multiplier=sum_multiplier,
            sum_shift=-sum_shift,
        )
    except ValueError as error:
        raise Unsupported(str(error)) from None
    return residual, other


def _scale(tensor: Tensor) -> float:
    quantization = tensor.quantization
    scale = 0.0
    if quantization is not None and len(quantization.scales) == 1:
        scale = float(quantization.scales[0])
    if not 0 < scale < float("inf"):
        raise Unsupported("a quantization scale is not a positive number")
    return scale
