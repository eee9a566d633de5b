"""The blob of SEPARABLE_CONV_2D in Python, a mirror of `sparsesep/separable_conv.h`.

That header (in `kernels/include/`) specifies the sections, their order and alignment, and every
field. This module gives them Python names; `tests/converters/blob/test_separable_format.py`
compares the two.
"""

from __future__ import annotations

import enum

import numpy as np

from tflm_sparsesep.converters.blob.format import struct_dtype

MAGIC = 0x31435353
VERSION = 1
MAX_CHANNELS = 65535
MAX_KERNEL = 255
STAGE_BOUNDED = 1 << 0


class Order(enum.IntEnum):
    """The order of the weights of a stage. WOVEN interleaves two output channels in each int16."""

    NATURAL = 0
    WOVEN = 1


class Padding(enum.IntEnum):
    """The paddings of TFLite, with the numbers of its schema."""

    SAME = 0
    VALID = 1


STAGE = struct_dtype("""
    u4 bias_offset, multiplier_offset, shift_offset, weights_offset;
    i4 activation_min, activation_max; u1 kernel, stride, padding, flags""")
HEADER = np.dtype(
    [
        *struct_dtype("""
            u4 magic; u1 version, value_type, order;
            i1 input_zero_point, middle_zero_point, output_zero_point;
            u2 input_channels, middle_channels, output_channels; u4 bytes""").descr,
        ("vertical", STAGE),
        ("horizontal", STAGE),
        ("reserved", "<u4"),
    ]
)
