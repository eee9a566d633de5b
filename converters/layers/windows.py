"""Convolutions whose windows are contiguous in memory: those along one axis."""

from __future__ import annotations

from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator


def input_step(op: Operator) -> int | None:
    """Return the elements between the starts of consecutive windows of a CONV_2D along one axis.

    None for other operators: windows of several rows have gaps, padding is not stored in the input,
    and the windows of a 1x1 convolution of stride 1 are its pixels.
    """
    if op.builtin_code != BuiltinOperator.CONV_2D or op.options is None or len(op.inputs) < 2:
        return None
    inputs, weights = op.inputs[0], op.inputs[1]
    if inputs is None or weights is None or len(inputs.shape) != 4 or len(weights.shape) != 4:
        return None
    is_grouped = weights.shape[3] != inputs.shape[3]
    if is_grouped or op.options.padding != schema.Padding.VALID or op.dilation != (1, 1):
        return None
    return step_between_windows(inputs.shape, weights.shape[1:3], op.strides)


def step_between_windows(
    inputs: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> int | None:
    """Return `input_step` of a VALID convolution without dilation and groups.

    Args:
        inputs: [batch, height, width, channels].
        kernel: height and width.
        strides: down, right.
    """
    batch, height, width, channels = inputs
    if batch != 1 or (*kernel, *strides) == (1, 1, 1, 1):
        return None
    if height == kernel[0] == 1:
        return strides[1] * channels
    return strides[0] * width * channels if width == kernel[1] else None
