"""What the instructions of a sparse kernel are made of: the facts of a blob that drive its cost.

Each term counts something that a kernel does, as its source reads: a row finished, a block
multiplied, a vector copied. A target's coefficients (`data/sparse_kernels.json`) say how
many instructions each takes; terms that a kernel does not execute have none.
"""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, Major
from tflm_sparsesep.converters.blob.size import PackedSize

# Accumulators that most kernels hand over at once (SPARSESEP_ROW_PORTION in rows.h).
_PORTION_ROWS = 16
# Rows that the DSP extension and Helium finish at once.
_QUAD_ROWS = 4
# Inputs that vector code takes at once.
_VECTOR_COLS = 16
# Tiles that a window spans; a group of more has several.
_WINDOW_TILES = 256
# Helium takes a pass with rows of no more weights (run_twelve_vectors_mve.c).
_MOST_PASS_WEIGHTS = 24
# What vectors that take a pass together share, or do in code of its own.
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
    """How often a kernel does what it is made of, by the name of the coefficient.

    Args:
        layout: the layout of the blob.
        size: its size.
        batch: input vectors.
        input_zeros: share of inputs that equal the zero point, each on its own. Column-major
            kernels pass over them; the others do not look.
        vectors_per_pass: vectors for which a kernel decodes the blob once. So many at a time take
            a pass together (terms `.._and_pass`); those left over go alone.
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
    """Whether a kernel that can take several vectors a pass does so with this blob."""
    if size.cols % layout.block_cols:
        return False
    if layout.index_encoding is not IndexEncoding.WINDOW8:
        return True
    return size.cols <= _WINDOW_TILES and size.blocks <= _MOST_PASS_WEIGHTS * size.rows


def _unaligned_vectors(cols: int, batch: int) -> int:
    """Vectors of int8 that begin between words: Armv6-M copies them byte by byte."""
    return sum(vector * cols % 4 > 0 for vector in range(batch))


def _vector_terms(layout: Layout, size: PackedSize) -> dict[str, float]:
    """What happens for each vector: it is prepared, and its rows are finished."""
    rest_rows = size.rows % _QUAD_ROWS
    # Kernels bring a vector to whole blocks where the last one reaches past its end.
    is_copied = size.cols % layout.block_cols > 0
    is_helium = layout.index_encoding is IndexEncoding.WINDOW8
    copy_cols = _VECTOR_COLS if is_helium else layout.block_cols
    padded_cols = -(-size.cols // layout.block_cols) * layout.block_cols
    # The DSP extension widens vectors for such blocks: by 16 columns, the rest one by one.
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
    """What happens on the way through the blob."""
    is_column = layout.major is Major.COLUMN
    # Columns whose input is the zero point are passed over.
    active = 1.0 - input_zeros if is_column else 1.0
    tiles = -(-size.cols // layout.block_cols)
    # Kernels of blocks go through them by twos, kernels of single rows by runs.
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
        "per_window_run": size.runs if is_window8 and tiles > _WINDOW_TILES else 0,
        "per_escape": size.escapes,
    }
