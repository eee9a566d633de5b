"""What the size of a packed layer is, read off the blob itself: an oracle for `blob/size.py`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import IndexEncoding
from tflm_sparsesep.converters.blob.pack import group_counts, layout_of, read_header
from tflm_sparsesep.converters.blob.size import PackedSize

_U16_ROUND = 8
_ESCAPE = 15


def size_of_blob(blob: bytes) -> PackedSize:
    """Return the size of a valid blob."""
    header = read_header(blob)
    layout = layout_of(header)
    counts = group_counts(blob)
    is_u16 = layout.index_encoding is IndexEncoding.U16
    round_blocks = _U16_ROUND if is_u16 else layout.run_blocks
    start, end = int(header["index_offset"]), int(header["value_offset"])
    index = np.frombuffer(blob, np.uint8, end - start, start)
    is_gap4 = layout.index_encoding is IndexEncoding.GAP4
    words, rest_bytes = (0, 0)
    if layout.index_encoding is IndexEncoding.BITMAP:
        words, rest_bytes = _nonzero_words(index, int(header["cols"]))
    return PackedSize(
        bytes=len(blob),
        rows=int(header["rows"]),
        cols=int(header["cols"]),
        groups=len(counts),
        stored_groups=int(np.count_nonzero(counts)),
        odd_groups=int(np.count_nonzero(counts % 2)),
        blocks=int(header["blocks"]),
        rest_blocks=int(np.sum(counts % layout.run_blocks)),
        runs=int(np.sum(-(-counts // round_blocks))),
        escapes=_escapes(index) if is_gap4 else 0,
        nonzero_words=words,
        nonzero_rest_bytes=rest_bytes,
    )


def _escapes(index: npt.NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(index & 15 == _ESCAPE) + np.count_nonzero(index >> 4 == _ESCAPE))


def _nonzero_words(index: npt.NDArray[np.uint8], cols: int) -> tuple[int, int]:
    """Words of bitmaps of `cols` columns that are not 0, and bytes that fill no word."""
    row_bytes = -(-cols // 8)
    # Alignment may follow the last row.
    rows = index[: len(index) // row_bytes * row_bytes].reshape(-1, row_bytes)
    whole = row_bytes // 4 * 4
    words = rows[:, :whole].reshape(len(rows), -1, 4).any(axis=2)
    return int(np.count_nonzero(words)), int(np.count_nonzero(rows[:, whole:]))
