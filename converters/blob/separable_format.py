"""The blob of SEPARABLE_CONV_2D in Python, a mirror of `sparsesep/separable_conv.h`.

That header (in `kernels/include/`) specifies the sections, their order and alignment, and every
field. This module gives them Python names; `tests/converters/blob/test_separable_format.py`
compares the two.
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
    """The storage of a weight."""

    INT8 = 0
    FLOAT32 = 2


class Order(enum.IntEnum):
    """The order of the weights of a stage. WOVEN interleaves two output channels in each int16."""

    NATURAL = 0
    WOVEN = 1


class Padding(enum.IntEnum):
    """The paddings of TFLite, with the numbers of its schema."""

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
