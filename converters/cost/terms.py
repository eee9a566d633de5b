"""The terms of a sparse kernel's instructions.

Each term counts one action of a kernel: it finishes a row, multiplies a block, copies a vector. The
coefficients of a target (`data/sparse_kernels.json`) are the instructions of each action; actions
that a kernel does not take have no coefficient.
"""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import WINDOW_TILES, IndexEncoding, Layout, Major
from tflm_sparsesep.converters.blob.size import PackedSize

# Rows that most kernels requantize at once (SPARSESEP_ROW_PORTION in rows.h).
_PORTION_ROWS = 16
# Rows that kernels of the DSP extension and Helium finish at once.
_QUAD_ROWS = 4
# Inputs that vector code loads at once.
_VECTOR_COLS = 16
# Helium takes a pass only if rows have no more weights on average (run_twelve_vectors_mve.c).
_MOST_PASS_WEIGHTS = 24
# Actions that the vectors of a pass share, or that have code of their own in a pass.
_PASS_TERMS = (
    "per_vector",
    "per_row",
    "per_rest_row",
    "per_col",
    "per_block",
    "per_rest_block",
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

    Args:
        layout: the layout of the blob.
        size: the size of the blob.
        batch: input vectors of one inference.
        input_zeros: fraction of inputs that equal the zero_point. Column-major kernels skip them.
        vectors_per_pass: vectors for which a kernel decodes the blob once. They share a pass
            (terms `.._and_pass`); the remaining vectors are multiplied one by one.
    """
    can_pass = vectors_per_pass > 1 and _takes_passes(layout, size)
    passes, alone = divmod(batch, vectors_per_pass) if can_pass else (0, batch)
    once = _vector_terms(layout, size) | _block_terms(layout, size, input_zeros)
    return {
        "per_call": 1.0,
        "per_block_and_call": size.blocks,
        "per_unaligned_copied_col": _unaligned_vectors(size.cols, batch) * size.cols
        if size.cols % layout.block_cols
        else 0,
        **{name: term * alone for name, term in once.items()},
        **{f"{name}_and_pass": once[name] * passes for name in _PASS_TERMS},
    }


def _takes_passes(layout: Layout, size: PackedSize) -> bool:
    """Return True if a kernel of several vectors a pass takes them together with this blob."""
    if size.cols % layout.block_cols:
        return False
    if layout.index_encoding is not IndexEncoding.WINDOW8:
        return True
    return size.cols <= WINDOW_TILES and size.blocks <= _MOST_PASS_WEIGHTS * size.rows


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
    return {
        "per_group": size.groups,
        "per_stored_group": size.stored_groups,
        "per_active_group": size.groups * active if is_column else 0,
        "per_odd_group": size.odd_groups * active if is_block else 0,
        "per_block": size.blocks * active,
        "per_rest_block": size.rest_blocks if is_unrolled else 0,
        "per_run": size.runs if is_window8 or layout.index_encoding is IndexEncoding.U16 else 0,
        "per_window_run": size.runs if is_window8 and tiles > WINDOW_TILES else 0,
        "per_escape": size.escapes,
    }
