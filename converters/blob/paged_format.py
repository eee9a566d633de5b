"""Paged weights in Python, a mirror of `kernels/include/sparsesep/paged_weights.h`.

That header is the specification; `tests/converters/blob/test_paged_format.py` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.blob.format import (
    HEADER,
    LAYOUT_FIELDS,
    Layout,
    ValueType,
    struct_dtype,
)
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import layout_of

MAGIC = 0x31505053
VERSION = 1
PAGE_ALIGNMENT = 16

PAGED_HEADER = struct_dtype(
    f"u4 magic; u1 version, {LAYOUT_FIELDS}; u4 rows, cols, pages, largest_page, offset"
)
PAGE = struct_dtype("u4 bytes, rows, checksum")
_LAYOUT_FIELDS = (PAGED_HEADER.names or ())[2:9]


@dataclass(frozen=True)
class Page:
    """A page: its bytes in external memory, its rows, and the checksum of its bytes."""

    bytes: int
    rows: int
    checksum: int


@dataclass(frozen=True)
class Table:
    """The table of contents of a paged layer, which the model holds in place of its weights.

    Attributes:
        layout: of every page.
        cols: input channels.
        offset: of the first page in external memory; the other pages follow.
        pages: in the order of their rows.
    """

    layout: Layout
    cols: int
    offset: int
    pages: tuple[Page, ...]

    @property
    def rows(self) -> int:
        """Output channels."""
        return sum(page.rows for page in self.pages)

    @property
    def external_bytes(self) -> int:
        """Bytes of all pages in external memory."""
        return sum(page.bytes for page in self.pages)

    @property
    def largest_page(self) -> int:
        """Bytes of the largest page, which needs as much arena."""
        return max(page.bytes for page in self.pages)

    @property
    def weight_bytes(self) -> int:
        """Bytes of one weight in the dense layer."""
        return 4 if self.layout.value_type is ValueType.FLOAT32 else 1

    def to_bytes(self) -> bytes:
        """Return the constant tensor of the model."""
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
        """Return the table in `data`, the inverse of `to_bytes`.

        Raises:
            ValueError: `data` is not a table, or its fields contradict each other.
        """
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

    def page_headers(self) -> list[bytes]:
        """Return the headers of empty blobs with the rows of the pages, one for each number.

        The kernel and its scratch depend on them only.
        """
        return [self._header(rows) for rows in sorted({page.rows for page in self.pages})]

    def _header(self, rows: int) -> bytes:
        header = np.zeros((), HEADER)
        for name in _LAYOUT_FIELDS:
            header[name] = getattr(self.layout, name)
        header["rows"], header["cols"] = rows, self.cols
        return header.tobytes()


def is_table(data: bytes) -> bool:
    """Return True if a constant tensor holds a table of contents, not packed weights."""
    return data[:4] == MAGIC.to_bytes(4, "little")


def checksum(page: bytes) -> int:
    """Return the FxHash of little-endian words, as `sparsesep_page_checksum` in C does."""
    value = 0
    for word in np.frombuffer(page, "<u4").tolist():
        value = ((((value << 5) | (value >> 27)) & 0xFFFFFFFF) ^ word) * 0x9E3779B9 & 0xFFFFFFFF
    return value


def smallest_page() -> int:
    """Return the size of a page header, the lower bound of `page_bytes`."""
    return HEADER.itemsize
