"""The packed weight blob in Python: mirror of `kernels/include/sparsesep/packed_weights.h`.

That header is the specification: sections, order, alignment, meaning of every field. This file
only names the same things; `tests/converters/test_packed_format.py` holds one against the other.
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
FLAG_BIAS_FOLDED = 1 << 0
FLAG_BOUNDED = 1 << 1


class ValueType(enum.IntEnum):
    """How a weight is stored."""

    INT8 = 0
    PALETTE4 = 1
    FLOAT32 = 2
    FLOAT16 = 3


class IndexEncoding(enum.IntEnum):
    """How the position of a block is stored."""

    U16 = 0
    DELTA8 = 1
    GAP4 = 2
    BITMAP = 3
    OFFSET16 = 4
    WINDOW8 = 5


class Major(enum.IntEnum):
    """Whether a group of blocks is a row or a column of tiles."""

    ROW = 0
    COLUMN = 1


class ValueOrder(enum.IntEnum):
    """Order of the weights inside a block."""

    NATURAL = 0
    PAIRS = 1
    ROWS16 = 2
    WOVEN = 3


@dataclass(frozen=True)
class Layout:
    """What a kernel must know of a blob to run it: the choice that the packer makes."""

    index_encoding: IndexEncoding
    block_rows: int = 1
    block_cols: int = 1
    count_multiple: int = 4
    value_type: ValueType = ValueType.INT8
    major: Major = Major.ROW
    value_order: ValueOrder = ValueOrder.NATURAL

    @property
    def pattern(self) -> str:
        """Block shape as users write it, e.g. `1x4`."""
        return f"{self.block_rows}x{self.block_cols}"

    @property
    def run_blocks(self) -> int:
        """Blocks of a run of WINDOW8 and ROWS16: together 16 columns wide."""
        return 16 // self.block_cols

    @property
    def index(self) -> str:
        """Index encoding as users write it, e.g. `delta8`."""
        return self.index_encoding.name.lower()

    def __str__(self) -> str:
        name = f"{self.pattern}_{self.index}_{self.value_type.name.lower()}"
        if self.value_order is ValueOrder.WOVEN:
            name += "_woven"
        return f"{name}_column" if self.major is Major.COLUMN else name


HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("version", "u1"),
        ("value_type", "u1"),
        ("index_encoding", "u1"),
        ("major", "u1"),
        ("block_rows", "u1"),
        ("block_cols", "u1"),
        ("count_multiple", "u1"),
        ("value_order", "u1"),
        ("flags", "<u4"),
        ("rows", "<u4"),
        ("cols", "<u4"),
        ("blocks", "<u4"),
        ("bytes", "<u4"),
        ("bias_offset", "<u4"),
        ("multiplier_offset", "<u4"),
        ("shift_offset", "<u4"),
        ("counts_offset", "<u4"),
        ("index_offset", "<u4"),
        ("value_offset", "<u4"),
        ("palette_offset", "<u4"),
        ("reserved", "<u4"),
    ]
)

OPTIONS_VERSION = 1
_OPTIONS = struct.Struct("<HHiiii")


@dataclass(frozen=True)
class FullyConnectedOptions:
    """custom_options of SPARSE_FULLY_CONNECTED (`custom_ops/op_options.h`)."""

    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int

    def to_bytes(self) -> bytes:
        """The 20 bytes of `SparsesepFullyConnectedOptions`."""
        return _OPTIONS.pack(
            OPTIONS_VERSION,
            _OPTIONS.size,
            self.input_zero_point,
            self.output_zero_point,
            self.activation_min,
            self.activation_max,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> FullyConnectedOptions:
        """Inverse of `to_bytes`. Raises ValueError for another size or version."""
        if len(data) != _OPTIONS.size:
            raise ValueError(f"custom options have {len(data)} bytes, expected {_OPTIONS.size}")
        version, size, *params = _OPTIONS.unpack(data)
        if version != OPTIONS_VERSION or size != _OPTIONS.size:
            raise ValueError(
                f"custom options have version {version} and size {size}, "
                f"expected {OPTIONS_VERSION} and {_OPTIONS.size}"
            )
        return cls(*params)
