"""Tables of contents: the C header, its Python mirror, and what tools make of damaged ones."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.c_headers import evaluate, offset_of
from tests.support.layers import layout_case
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import paged_format
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import PAGE, PAGED_HEADER, Table, checksum


def table_of_a_layer() -> bytes:
    case = layout_case(np.random.default_rng(3), LAYOUTS[0], 60, 100, zeros=0.8)
    blob = pack(case.layer, LAYOUTS[0])
    return page_weights(blob, page_bytes=800, input_zero_point=0, offset=4096)[0]


def test_constants_and_fields_agree(tmp_path: Path) -> None:
    constants = {
        "SPARSESEP_PAGED_MAGIC": paged_format.MAGIC,
        "SPARSESEP_PAGED_VERSION": paged_format.VERSION,
        "SPARSESEP_PAGE_ALIGNMENT": paged_format.PAGE_ALIGNMENT,
        "sizeof(SparsesepPagedHeader)": PAGED_HEADER.itemsize,
        "sizeof(SparsesepPage)": PAGE.itemsize,
    }
    for struct, dtype in (("SparsesepPagedHeader", PAGED_HEADER), ("SparsesepPage", PAGE)):
        for name in dtype.names or ():
            constants[f"offsetof({struct}, {name})"] = offset_of(dtype, name)
    assert evaluate(list(constants), tmp_path) == list(constants.values())


def test_the_layout_lies_where_packed_weights_have_theirs(tmp_path: Path) -> None:
    fields = (PAGED_HEADER.names or ())[:9]
    assert evaluate(
        [f"offsetof(SparsesepPackedHeader, {name})" for name in fields], tmp_path
    ) == evaluate([f"offsetof(SparsesepPagedHeader, {name})" for name in fields], tmp_path)


def test_checksum_is_the_devices() -> None:
    library = ctypes.CDLL(str(native.library_path("libsparsesep_host.so")))
    library.sparsesep_host_page_checksum.restype = ctypes.c_uint32
    rng = np.random.default_rng(0)
    for size in (16, 64, 1600):
        page = rng.bytes(size)
        room = ctypes.create_string_buffer(page, size)
        assert checksum(page) == library.sparsesep_host_page_checksum(room, size)


def test_checksum_tells_every_changed_word() -> None:
    page = bytearray(np.random.default_rng(1).bytes(256))
    right = checksum(bytes(page))
    for bit in range(len(page) * 8):
        page[bit // 8] ^= 1 << bit % 8
        assert checksum(bytes(page)) != right
        page[bit // 8] ^= 1 << bit % 8
    # Stuck lines and erased memory change many words alike.
    assert checksum(bytes(byte | 0x80 for byte in page)) != right
    assert len({checksum(bytes([fill]) * 256) for fill in (0, 0xFF)} | {right}) == 3


def test_tables_round_trip() -> None:
    data = table_of_a_layer()
    table = Table.from_bytes(data)
    assert table.to_bytes() == data
    assert table.layout == LAYOUTS[0]
    assert (table.rows, table.cols, table.offset) == (60, 100, 4096)
    assert len(table.pages) > 3
    assert table.largest_page <= 800


# Any number of columns and any offset is as good as another.
@pytest.mark.parametrize("name", sorted({*(PAGED_HEADER.names or ())} - {"cols", "offset"}))
def test_tables_that_contradict_themselves_are_refused(name: str) -> None:
    data = np.frombuffer(table_of_a_layer(), np.uint8).copy()
    header = data[: PAGED_HEADER.itemsize].view(PAGED_HEADER)
    header[name] += 1
    with pytest.raises(ValueError, match=r"paged weights|not a valid"):
        Table.from_bytes(data.tobytes())
    with pytest.raises(ValueError, match=re.escape("paged weights")):
        Table.from_bytes(table_of_a_layer()[:-1])
