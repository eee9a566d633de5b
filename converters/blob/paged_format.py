"""Paged weights in Python: mirror of `kernels/include/sparsesep/paged_weights.h`.

That header is the specification; `tests/converters/blob/test_paged_format.py` holds one against the
other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.blob.format import HEADER, Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import layout_of

MAGIC = 0x31505053
VERSION = 1
PAGE_ALIGNMENT = 16

PAGED_HEADER = np.dtype(
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
        ("rows", "<u4"),
        ("cols", "<u4"),
        ("pages", "<u4"),
        ("largest_page", "<u4"),
        ("offset", "<u4"),
    ]
)
PAGE = np.dtype([("bytes", "<u4"), ("rows", "<u4"), ("checksum", "<u4")])
_LAYOUT_FIELDS = (PAGED_HEADER.names or ())[2:9]


@dataclass(frozen=True)
class Page:
    """One page: its bytes in external memory, its rows, and the checksum of the bytes."""

    bytes: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class Table:
    """The table of contents of a layer: what the model holds in place of its weights.

    cols: input units. offset: of the first page in external memory; the others follow.
    """

    layout: Layout
    cols: int
    offset: int
    pages: tuple[Page, ...]

    @property
    def rows(self) -> int:
        """Output units."""
        return sum(page.rows for page in self.pages)

    @property
    def external_bytes(self) -> int:
        """All pages in external memory."""
        return sum(page.bytes for page in self.pages)

    @property
    def largest_page(self) -> int:
        """Bytes of arena that a page takes at most."""
        return max(page.bytes for page in self.pages)

    @property
    def weight_bytes(self) -> int:
        """Bytes of one weight in the dense layer."""
        return 4 if self.layout.value_type is ValueType.FLOAT32 else 1

    def to_bytes(self) -> bytes:
        """The constant tensor of the model."""
        header = np.zeros((), PAGED_HEADER)
        header["magic"], header["version"] = MAGIC, VERSION
        for name in _LAYOUT_FIELDS:
            header[name] = getattr(self.layout, name)
        header["rows"], header["cols"] = self.rows, self.cols
        header["pages"], header["largest_page"] = len(self.pages), self.largest_page
        header["offset"] = self.offset
        entries = [(page.bytes, page.rows, page.checksum) for page in self.pages]
        return header.tobytes() + np.array(entries, PAGE).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Table:
        """Inverse of `to_bytes`. Raises ValueError where the numbers do not agree."""
        if not is_table(data) or len(data) < PAGED_HEADER.itemsize:
            raise ValueError("not a table of contents of paged weights")
        header = np.frombuffer(data, PAGED_HEADER, count=1)[0]
        count = int(header["pages"])
        if header["version"] != VERSION or len(data) != PAGED_HEADER.itemsize + count * (
            PAGE.itemsize
        ):
            raise ValueError(f"not paged weights of version {VERSION} with {count} pages")
        entries = np.frombuffer(data, PAGE, count, PAGED_HEADER.itemsize).tolist()
        pages = tuple(Page(*entry) for entry in entries)
        table = cls(layout_of(header), int(header["cols"]), int(header["offset"]), pages)
        if not pages or table.layout not in LAYOUTS or table.to_bytes() != data:
            raise ValueError("paged weights contradict themselves")
        return table

    def page_header(self) -> bytes:
        """The header of a blob with the most rows of a page: what kernel and scratch go by."""
        header = np.zeros((), HEADER)
        for name in _LAYOUT_FIELDS:
            header[name] = getattr(self.layout, name)
        header["rows"], header["cols"] = max(page.rows for page in self.pages), self.cols
        return header.tobytes()


def is_table(data: bytes) -> bool:
    """Whether a constant tensor holds a table of contents, and not packed weights."""
    return data[:4] == MAGIC.to_bytes(4, "little")


def checksum(page: bytes) -> int:
    """FxHash of little-endian words, as `sparsesep_page_checksum` of paged_weights.h."""
    value = 0
    for word in np.frombuffer(page, "<u4").tolist():
        value = ((((value << 5) | (value >> 27)) & 0xFFFFFFFF) ^ word) * 0x9E3779B9 & 0xFFFFFFFF
    return value


def smallest_page() -> int:
    """Bytes below which no page can be: its header."""
    return HEADER.itemsize
