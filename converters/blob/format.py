"""The packed weight blob in Python, a mirror of `kernels/include/sparsesep/packed_weights.h`.

That header specifies the sections, their order and alignment, and every field. This module gives
them Python names; `tests/converters/blob/test_format.py` compares the two.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np

MAGIC = 0x31575053
VERSION = 1
MAX_DIM = 65535
ALIGNMENT = 16
MAX_DELTA8 = 255
"""The largest step of DELTA8."""
GAP4_ESCAPE = 15
"""The nibble of GAP4 that is a step without a block."""
WINDOW_TILES = 256
"""Tiles of a window of WINDOW8. A group with more tiles has several windows."""
FLAG_BIAS_FOLDED = 1 << 0
FLAG_BOUNDED = 1 << 1


class ValueType(enum.IntEnum):
    """The storage of a weight."""

    INT8 = 0
    PALETTE4 = 1
    FLOAT32 = 2


class IndexEncoding(enum.IntEnum):
    """The storage of the position of a block. DENSE stores none: every tile is there."""

    U16 = 0
    DELTA8 = 1
    GAP4 = 2
    OFFSET16 = 4
    WINDOW8 = 5
    DENSE = 6


class Major(enum.IntEnum):
    """The direction of a group of blocks: a row or a column of tiles."""

    ROW = 0
    COLUMN = 1


class ValueOrder(enum.IntEnum):
    """The order of the weights in a block. WOVEN interleaves two rows in each int16."""

    NATURAL = 0
    PAIRS = 1
    ROWS16 = 2
    WOVEN = 3


@dataclass(frozen=True)
class Layout:
    """The storage of a blob: what a kernel is written for, and what the packer selects.

    Attributes:
        index_encoding: of the positions of blocks.
        block_rows, block_cols: size of a block.
        count_multiple: the number of blocks of a group is a multiple of this.
        value_type: of the weights.
        major: direction of groups.
        value_order: of the weights in a block.
    """

    index_encoding: IndexEncoding
    block_rows: int = 1
    block_cols: int = 1
    count_multiple: int = 4
    value_type: ValueType = ValueType.INT8
    major: Major = Major.ROW
    value_order: ValueOrder = ValueOrder.NATURAL

    @property
    def pattern(self) -> str:
        """The pattern as users write it, such as `1x4`."""
        return f"{self.block_rows}x{self.block_cols}"

    @property
    def run_blocks(self) -> int:
        """Blocks of a run of WINDOW8 and ROWS16, which is 16 columns wide."""
        return 16 // self.block_cols

    @property
    def index(self) -> str:
        """The index encoding as users write it, such as `delta8`."""
        return self.index_encoding.name.lower()

    def __str__(self) -> str:
        name = f"{self.pattern}_{self.index}_{self.value_type.name.lower()}"
        if self.value_order is ValueOrder.WOVEN:
            name += "_woven"
        return f"{name}_column" if self.major is Major.COLUMN else name


def struct_dtype(declaration: str) -> np.dtype[np.void]:
    """Return a packed little-endian struct.

    Example:
        >>> struct_dtype("u4 magic; u1 rows, cols").itemsize
        6
    """
    fields: list[tuple[str, str]] = []
    for line in declaration.split(";"):
        kind, names = line.split(maxsplit=1)
        fields += [(name.strip(), f"<{kind}") for name in names.split(",")]
    return np.dtype(fields)


LAYOUT_FIELDS = """value_type, index_encoding, major, block_rows, block_cols, count_multiple,
    value_order"""
HEADER = struct_dtype(f"""
    u4 magic; u1 version, {LAYOUT_FIELDS};
    u4 flags, rows, cols, blocks, bytes, bias_offset, multiplier_offset, shift_offset,
    counts_offset, index_offset, value_offset, palette_offset, reserved""")

OPTIONS_VERSION, OPTIONS_VERSION_WINDOWS = 1, 2
_OPTIONS = {
    OPTIONS_VERSION: struct.Struct("<HHiiii"),
    OPTIONS_VERSION_WINDOWS: struct.Struct("<HHiiiii"),
}


@dataclass(frozen=True)
class FullyConnectedOptions:
    """The custom_options of SPARSE_FULLY_CONNECTED (`custom_ops/op_options.h`).

    Attributes:
        input_zero_point, output_zero_point: 0 for float32.
        activation_min, activation_max: limits of the output; for float32 the int32 of their bits.
        input_step: elements between the starts of consecutive windows, if the input vectors are
            windows of the input; 0 if they are contiguous, one after the other.
    """

    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int
    input_step: int = 0

    def windows(self, elements: int, cols: int) -> int:
        """Return the number of whole vectors of `cols` elements in an input of `elements`."""
        return (elements - cols) // (self.input_step or cols) + 1

    def to_bytes(self) -> bytes:
        """Return the 20 (version 1) or 24 bytes of `SparsesepFullyConnectedOptions`."""
        version = OPTIONS_VERSION_WINDOWS if self.input_step else OPTIONS_VERSION
        step = [self.input_step] if self.input_step else []
        return _OPTIONS[version].pack(
            version,
            _OPTIONS[version].size,
            self.input_zero_point,
            self.output_zero_point,
            self.activation_min,
            self.activation_max,
            *step,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> FullyConnectedOptions:
        """Return the options in `data`, the inverse of `to_bytes`; what follows them is not read.

        Raises:
            ValueError: the size or the version is unknown.
        """
        for version, layout in _OPTIONS.items():
            if len(data) >= layout.size:
                found, size, *params = layout.unpack_from(data)
                if (found, size) == (version, layout.size):
                    return cls(*params)
        accepted = " or ".join(f"{layout.size} of version {v}" for v, layout in _OPTIONS.items())
        raise ValueError(
            f"custom options have {len(data)} bytes: {data[:4].hex()}.., expected {accepted}"
        )
