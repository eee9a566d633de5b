"""The packed sparse convolution in Python: mirror of `sparsesep/sparse_conv.h`.

That header (`kernels/include/sparsesep/sparse_conv.h`) is the specification: order of the columns,
alignment, meaning of every field. This file only names the same things;
`tests/converters/blob/test_sparse_conv_format.py` holds one against the other.
"""

from __future__ import annotations

import numpy as np

MAGIC = 0x31435053
VERSION = 1
MAX_CHANNELS = 65535
MAX_KERNEL = 255
"""Of kernel sizes, strides and dilations."""

PARAMS = np.dtype(
    [
        ("input_zero_point", "<i4"),
        ("output_zero_point", "<i4"),
        ("activation_min", "<i4"),
        ("activation_max", "<i4"),
        ("input_step", "<i4"),
    ]
)

RESIDUAL_KINDS = ("other", "output")
"""Which operand has the smaller scale, from kind 1 on: bits 0 and 1 of `residual`."""
SHIFT_BIT, SUM_SHIFT_BIT = 2, 7
"""Where the right shifts begin in `residual`."""
MAX_SHIFT = 31

RESIDUAL = np.dtype(
    [
        ("zero_point", "i1"),
        ("sum_zero_point", "i1"),
        ("activation_min", "i1"),
        ("activation_max", "i1"),
        ("multiplier", "<i4"),
        ("sum_multiplier", "<i4"),
    ]
)

HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("version", "u1"),
        ("padding", "u1"),
        ("kernel_height", "u1"),
        ("kernel_width", "u1"),
        ("stride_height", "u1"),
        ("stride_width", "u1"),
        ("dilation_height", "u1"),
        ("dilation_width", "u1"),
        ("channels", "<u2"),
        ("residual", "<u2"),
        ("params", PARAMS),
        ("addition", RESIDUAL),
    ]
)
