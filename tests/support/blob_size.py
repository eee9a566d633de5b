"""The size of a packed layer, read from its blob: an oracle for `blob/size.py`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import IndexEncoding
from tflm_sparsesep.converters.blob.pack import group_counts, layout_of, read_header
from tflm_sparsesep.converters.blob.size import PackedSize

_U16_ROUND = 8
_ESCAPE = 15
_WORD = 8


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
    escapes = _escapes(index, counts) if is_gap4 else []
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
        escapes=len(escapes),
        escaped_words=len({(group, nibble // _WORD) for group, nibble in escapes}),
    )


def _escapes(
    index: npt.NDArray[np.uint8], counts: npt.NDArray[np.integer]
) -> list[tuple[int, int]]:
    """Return group and place in its gaps of every escape."""
    nibbles = np.stack([index & 15, index >> 4], axis=1).ravel()
    found, start = [], 0
    for group, count in enumerate(counts):
        at = 0
        while count > 0:
            if nibbles[start + at] == _ESCAPE:
                found.append((group, at))
            else:
                count -= 1
            at += 1
        start += at + at % 2
    return found
