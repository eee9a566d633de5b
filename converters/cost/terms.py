"""The terms of a sparse kernel's instructions.

Each term counts one action of a kernel: it finishes a row, multiplies a block, copies a vector. The
coefficients of a target (`data/sparse_kernels.json`) are the instructions of each action; actions
that a kernel does not take have no coefficient.
"""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import (
    WINDOW_TILES,
    IndexEncoding,
    Layout,
    Major,
    ValueType,
)
from tflm_sparsesep.converters.blob.size import PackedSize

# Rows that most kernels requantize at once (SPARSESEP_ROW_PORTION in rows.h).
_PORTION_ROWS = 16
# Rows that kernels of the DSP extension and Helium finish at once.
_QUAD_ROWS = 4
# Inputs that vector code loads at once.
_VECTOR_COLS = 16
# Helium takes a pass only if rows have no more weights on average (run_twelve_vectors_mve.c).
_MOST_PASS_WEIGHTS = 24
# Armv6-M takes passes of eight vectors of at most so many columns (eight_vectors_v6m.h).
_EIGHT, _MOST_EIGHT_COLS = 8, 128
# The DSP extension takes eight vectors of at least four, the last ones again if fewer are left, but
# a single one by itself (run_eight_vectors_dsp.c). The magnitudes of a row's weights may add up to
# 2^15: so many of them do on average if they are uniform, or all of a palette are the largest.
_LEAST_EIGHT, _MOST_EIGHT_INT8, _MOST_EIGHT_PALETTE = 4, 512, 255
# Passes of up to sixteen vectors, an even number (vector_pairs_mve.h), which the DSP extension
# widens to so many bytes (run_vector_tiles_dsp.h).
_SIXTEEN, _TILE_BYTES, _LEAST_TILE_VECTORS = 16, 4096, 4
# Actions that the vectors of a pass share, or that have code of their own in a pass.
_PASS_TERMS = (
    "per_vector",
    "per_row",
    "per_rest_row",
    "per_col",
    "per_copy",
    "per_stored_group",
    "per_empty_group",
    "per_block",
    "per_later_block",
    "per_rest_block",
    "per_escape",
    "per_escaped_word",
)
# Those that the kernels of one vector do not tell apart.
_ONLY_PASS_TERMS = ("per_empty_group", "per_later_block", "per_escaped_word")
# Actions for each vector of a pass, where passes differ in size.
_PASS_VECTOR_TERMS = (
    "per_row",
    "per_col",
    "per_stored_group",
    "per_empty_group",
    "per_block",
    "per_later_block",
)


def sparse_terms(
    layout: Layout,
    size: PackedSize,
    *,
    batch: int = 1,
    input_zeros: float = 0.0,
    vectors_per_pass: int = 1,
) -> dict[str, float]:
    """Return how often a kernel takes each action, by the name of the coefficient.

    Column-major kernels skip `input_zeros`, the fraction of inputs that equal the zero_point.
    Kernels that decode the blob once for several vectors (at most `vectors_per_pass`) share a pass
    (terms `.._and_pass`); where passes differ in size, terms `.._in_pass` count their vectors. The
    remaining vectors of the batch are multiplied one by one.
    """
    passes, vectors = _passes(layout, size, batch, vectors_per_pass)
    once = _vector_terms(layout, size) | _block_terms(layout, size, input_zeros)
    paired = vectors if vectors_per_pass == _SIXTEEN else 0
    return {
        "per_call": 1.0,
        "per_rest_of_batch": vectors < batch,
        "per_refused_batch": vectors == 0 and batch > 1 and vectors_per_pass > 1,
        "per_block_and_call": size.blocks,
        "per_unaligned_copied_col": _unaligned_vectors(size.cols, batch) * size.cols
        if size.cols % layout.block_cols
        else 0,
        **{
            name: term * (batch - vectors)
            for name, term in once.items()
            if name not in _ONLY_PASS_TERMS
        },
        **{f"{name}_and_pass": once[name] * passes for name in _PASS_TERMS},
        **{f"{name}_in_pass": once[name] * paired for name in _PASS_VECTOR_TERMS},
    }


def takes_the_last_again(layout: Layout, vectors_per_pass: int) -> bool:
    """Return True if a pass that has fewer vectors left takes the last ones again."""
    is_single = layout.block_rows == layout.block_cols == 1
    return vectors_per_pass == _EIGHT and is_single


def _passes(layout: Layout, size: PackedSize, batch: int, vectors_per_pass: int) -> tuple[int, int]:
    """Return the passes over the blob that take several vectors, and the vectors that they take."""
    passes, left = 0, batch
    if vectors_per_pass == 1 or not _takes_passes(layout, size, vectors_per_pass):
        return 0, 0
    if takes_the_last_again(layout, vectors_per_pass):
        vectors = batch - (batch % _EIGHT == 1) if batch >= _LEAST_EIGHT else 0
        return -(-vectors // _EIGHT), vectors
    while vectors := _pass_vectors(layout, size, left, vectors_per_pass):
        # Passes are alike until the batch ends.
        alike = max(1, (left - vectors_per_pass) // vectors)
        passes, left = passes + alike, left - alike * vectors
    return passes, batch - left


def _pass_vectors(layout: Layout, size: PackedSize, batch: int, most: int) -> int:
    """Return the vectors of the next pass where `batch` are left; 0 if there is none."""
    if most != _SIXTEEN:
        return most if batch >= most else 0
    if layout.index_encoding is IndexEncoding.WINDOW8:
        return min(batch, most) // 2 * 2
    fitting = _TILE_BYTES // (2 * size.cols)
    vectors = min(batch, most, fitting)
    is_worthwhile = layout.block_rows * size.blocks <= vectors * size.rows
    return vectors // 2 * 2 if is_worthwhile and fitting >= _LEAST_TILE_VECTORS else 0


def _takes_passes(layout: Layout, size: PackedSize, vectors_per_pass: int) -> bool:
    """Return True if a kernel of several vectors a pass takes them together with this blob."""
    if layout.index_encoding is IndexEncoding.DENSE:
        return size.rows % 2 == 0
    if size.cols % layout.block_cols:
        return False
    is_window8 = layout.index_encoding is IndexEncoding.WINDOW8
    if takes_the_last_again(layout, vectors_per_pass):
        is_palette = layout.value_type is ValueType.PALETTE4
        most = _MOST_EIGHT_PALETTE if is_palette else _MOST_EIGHT_INT8
        return size.blocks <= most * size.rows
    if vectors_per_pass == _EIGHT:
        return size.rows % layout.block_rows == 0 and size.cols <= _MOST_EIGHT_COLS
    if vectors_per_pass == _SIXTEEN:
        whole_rows = layout.block_rows if is_window8 else 2
        tiles = size.cols // layout.block_cols
        return size.rows % whole_rows == 0 and tiles <= WINDOW_TILES
    return not is_window8 or (
        size.cols <= WINDOW_TILES and size.blocks <= _MOST_PASS_WEIGHTS * size.rows
    )


def _unaligned_vectors(cols: int, batch: int) -> int:
    """Return the number of int8 vectors that Armv6-M copies by bytes, as they start unaligned."""
    return sum(vector * cols % 4 > 0 for vector in range(batch))


def _vector_terms(layout: Layout, size: PackedSize) -> dict[str, float]:
    """Return the actions of each vector: the kernel prepares it and finishes its rows."""
    rest_rows = size.rows % _QUAD_ROWS
    # A vector that ends inside a block is copied and padded.
    is_copied = size.cols % layout.block_cols > 0
    is_helium = layout.index_encoding is IndexEncoding.WINDOW8
    copy_cols = _VECTOR_COLS if is_helium else layout.block_cols
    padded_cols = -(-size.cols // layout.block_cols) * layout.block_cols
    # The DSP extension widens vectors for these blocks: 16 columns at once, the rest one by one.
    is_wide = layout.block_cols > 1 and layout.major is Major.ROW
    rest_cols = padded_cols - size.cols // _VECTOR_COLS * _VECTOR_COLS
    return {
        "per_vector": 1,
        "per_row": size.rows,
        "per_portion": -(-size.rows // _PORTION_ROWS),
        "per_rest_row": rest_rows,
        "per_rest_of_rows": rest_rows > 0,
        "per_col": size.cols,
        "per_rest_col": rest_cols if is_wide else 0,
        "per_copy": is_copied,
        "per_copied_col": size.cols * is_copied,
        "per_padding_col": -size.cols % copy_cols * is_copied,
    }


def _block_terms(layout: Layout, size: PackedSize, input_zeros: float) -> dict[str, float]:
    """Return the actions for the contents of the blob."""
    is_column = layout.major is Major.COLUMN
    # Column-major kernels skip columns whose input is the zero_point.
    active = 1.0 - input_zeros if is_column else 1.0
    tiles = -(-size.cols // layout.block_cols)
    # Kernels of blocks with several rows take two blocks at once, others take runs.
    is_block = layout.block_rows > 1
    is_unrolled = not is_block and layout.index_encoding in (
        IndexEncoding.U16,
        IndexEncoding.DELTA8,
    )
    is_window8 = layout.index_encoding is IndexEncoding.WINDOW8
    later: float = size.runs if is_window8 else size.blocks
    if layout.index_encoding is IndexEncoding.DENSE:
        # Passes take two rows at a time, and none that the last block lacks.
        later = size.rows * tiles / layout.block_rows
    return {
        "per_group": size.groups,
        "per_stored_group": size.stored_groups,
        "per_active_group": size.groups * active if is_column else 0,
        "per_odd_group": size.odd_groups * active if is_block else 0,
        "per_empty_group": size.groups - size.stored_groups,
        "per_block": size.blocks * active,
        "per_later_block": later - size.stored_groups,
        "per_rest_block": size.rest_blocks if is_unrolled else 0,
        "per_run": size.runs if is_window8 or layout.index_encoding is IndexEncoding.U16 else 0,
        "per_window_run": size.runs if is_window8 and tiles > WINDOW_TILES else 0,
        "per_escape": size.escapes,
        "per_escaped_word": size.escaped_words,
    }
