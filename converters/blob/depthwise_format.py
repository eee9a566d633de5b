"""The blob of depthwise convolutions and blocks, a mirror of `sparsesep/depthwise_conv.h`.

That header (in `kernels/include/`) specifies the sections, their order and alignment, and every
field. `tests/converters/blob/test_depthwise_format.py` compares the two.
"""

from __future__ import annotations

import enum

import numpy as np

from tflm_sparsesep.converters.blob.format import struct_dtype
from tflm_sparsesep.converters.blob.separable_format import MAGIC
from tflm_sparsesep.converters.blob.sparse_conv_format import PARAMS

__all__ = ["BOUNDED", "HEADER", "MAGIC", "VERSION", "Kind", "is_depthwise"]

VERSION = 2
BOUNDED = 1 << 0


class Kind(enum.IntEnum):
    """A depthwise convolution alone, or with the pointwise convolution that follows it."""

    DEPTHWISE = 1
    BLOCK = 2


HEADER = np.dtype(
    [
        *struct_dtype("""
            u4 magic; u1 version, kind, padding, flags, kernel_height, kernel_width, stride_height,
            stride_width, dilation_height, dilation_width; u2 channels, multiplier;
            i1 input_zero_point, output_zero_point, activation_min, activation_max; u2 reserved;
            u4 bytes, bias_offset, multiplier_offset, shift_offset, weights_offset,
            pointwise_offset""").descr,
        ("pointwise", PARAMS),
        ("reserved_words", "<u4", 3),
    ]
)


def is_depthwise(blob: bytes) -> bool:
    """Return True if a blob of SEPARABLE_CONV_2D is of this version; False for others."""
    return len(blob) >= HEADER.itemsize and bool(
        np.frombuffer(blob, HEADER, 1)[0]["version"] == VERSION
    )
