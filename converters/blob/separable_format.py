"""The packed separable convolution in Python: mirror of `sparsesep/separable_conv.h`.

That header (`kernels/include/sparsesep/separable_conv.h`) is the specification: sections, order,
alignment, meaning of every field. This file only names the same things;
`tests/converters/blob/test_separable_format.py` holds one against the other.
"""

from __future__ import annotations

import enum

import numpy as np

MAGIC = 0x31435353
VERSION = 1
MAX_CHANNELS = 65535
MAX_KERNEL = 255
STAGE_BOUNDED = 1 << 0


class ValueType(enum.IntEnum):
    """How a weight is stored."""

    INT8 = 0
    FLOAT32 = 2


class Order(enum.IntEnum):
    """Order of the weights of a stage."""

    NATURAL = 0
    WOVEN = 1


class Padding(enum.IntEnum):
    """TFLite's two kinds; the numbers are those of its schema, too."""

    SAME = 0
    VALID = 1


STAGE = np.dtype(
    [
        ("bias_offset", "<u4"),
        ("multiplier_offset", "<u4"),
        ("shift_offset", "<u4"),
        ("weights_offset", "<u4"),
        ("activation_min", "<i4"),
        ("activation_max", "<i4"),
        ("kernel", "u1"),
        ("stride", "u1"),
        ("padding", "u1"),
        ("flags", "u1"),
    ]
)

HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("version", "u1"),
        ("value_type", "u1"),
        ("order", "u1"),
        ("input_zero_point", "i1"),
        ("middle_zero_point", "i1"),
        ("output_zero_point", "i1"),
        ("input_channels", "<u2"),
        ("middle_channels", "<u2"),
        ("output_channels", "<u2"),
        ("bytes", "<u4"),
        ("vertical", STAGE),
        ("horizontal", STAGE),
        ("reserved", "<u4"),
    ]
)
