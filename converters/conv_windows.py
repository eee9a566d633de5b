"""Convolutions whose windows lie in one piece of the input each: those along one axis."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.model_editor import BuiltinOperator, Operator


def input_step(op: Operator) -> int | None:
    """Elements from one window to the next of a CONV_2D along one axis.

    None for other operators: windows of several rows have gaps, padding is nowhere in the input,
    and those of a 1x1 convolution of stride 1 are its pixels, side by side.
    """
    if op.builtin_code != BuiltinOperator.CONV_2D or op.options is None or len(op.inputs) < 2:
        return None
    entering, weights = op.inputs[0], op.inputs[1]
    if entering is None or weights is None or len(entering.shape) != 4 or len(weights.shape) != 4:
        return None
    options = op.options
    strides = (int(options.strideH), int(options.strideW))
    batch, height, width, channels = entering.shape
    _, kernel_height, kernel_width, depth = weights.shape
    if (
        batch != 1
        or depth != channels
        or options.padding != schema.Padding.VALID
        or (options.dilationHFactor, options.dilationWFactor) != (1, 1)
        or (kernel_height, kernel_width, *strides) == (1, 1, 1, 1)
    ):
        return None
    if height == kernel_height == 1:
        return strides[1] * channels
    return strides[0] * width * channels if width == kernel_width else None
