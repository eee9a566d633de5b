"""Which forms of a layer are looked at first, and what operators cost once rewritten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tflm_sparsesep.compression import depthwise_form
from tflm_sparsesep.compression.layer_forms import Form
from tflm_sparsesep.compression.layers import Unit
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.layers.stages import KernelShape
from tflm_sparsesep.converters.layers.windows import input_step
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import run_passes, tidy
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, Operator, Subgraph

# Shares of the weights, from the least; unstructured indices hardly ever pay beyond the last.
_SHARES = (1 / 64, 1 / 20, 1 / 6, 1 / 3)
_BLOCK_SHARES = (1 / 64, 1 / 20, 1 / 6, 1 / 2)
_BLOCKS = ((1, 1), (1, 4), (4, 4))
_LEAST_BLOCKS = 8
_ATOMS = (6, 16, 40)
# Nonzeros of a code for each number in the basis.
_CODE_RATIO = 1.0
_RANK_RATIO = 0.5
# Of channels before the core of a Tucker decomposition, and of outputs behind it.
_TUCKER_SHARES = (1 / 4, 1 / 2, 3 / 4)


def sampled_forms(op: Operator, unit: Unit) -> list[list[Form]]:
    """Families of forms of one kind and block, each from the smallest form up."""
    if unit.is_depthwise:
        return [[depthwise_form.FORM]]
    is_conv = op.builtin_code == BuiltinOperator.CONV_2D
    height, width, channels = unit.kernel
    rows, cols = unit.layer.weights.shape
    families = []
    strides = strides_of(op)
    if ((height, width) == (1, 1) and strides == (1, 1)) or input_step(op) is not None:
        families += [_sparse(rows * cols, block) for block in _BLOCKS]
        families.append([replace(form, palette=True) for form in _sparse(rows * cols, (1, 1))])
    if is_conv:
        most = rows * cols / (height * channels + width * rows)
        limit = min(height * channels, width * rows)
        families.append([Form("separated", rank=k) for k in _ranks(most, limit)])
    if is_conv and (height, width) != (1, 1):
        families += _tuckers(rows, unit.kernel)
    if not is_conv or (height, width) != (1, 1):
        most = rows * cols / (rows + cols)
        families.append([Form("low_rank", rank=k) for k in _ranks(most, min(rows, cols))])
    if not is_conv:
        families.append(_dictionaries(rows, cols))
    return [family for family in families if family]


def strides_of(op: Operator) -> tuple[int, int]:
    """Down and right; 1 for fully-connected layers."""
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return 1, 1
    return int(op.options.strideH), int(op.options.strideW)


def cost(
    operators: Sequence[Operator], target: str, input_zeros: Mapping[str, float]
) -> tuple[int, int, int]:
    """Bytes, instructions and arena of consecutive operators, as the converter rewrites them.

    Bytes are those of a file that holds nothing else.
    """
    ends = {"inputs": [operators[0].input(0)], "outputs": operators[-1].outputs}
    part = Subgraph("main", operators=operators, **ends)
    layers = run_passes(part, Conversion(target, input_zeros))
    model = Model([part])
    tidy(model)
    return (
        len(editor.write(model)),
        model_cost.instructions(model, layers, target),
        model_cost.arena_bytes(model, layers),
    )


def _sparse(weights: int, block: tuple[int, int]) -> list[Form]:
    size = math.prod(block)
    shares = _SHARES if block == (1, 1) else _BLOCK_SHARES
    counts = {round(share * weights / size) for share in shares}
    return [Form("sparse", block, n * size) for n in sorted(counts) if n >= _LEAST_BLOCKS]


def _ranks(most: float, limit: int) -> list[int]:
    """From `most`, below which two matrices are smaller than one, down to 1."""
    found, rank = set(), min(most, limit)
    while rank >= 1:
        found.add(int(rank))
        rank *= _RANK_RATIO
    return sorted(found)


def _tuckers(rows: int, kernel: KernelShape) -> list[list[Form]]:
    """For each share of the outputs a family over shares of the channels."""
    height, width, channels = kernel
    dense = rows * height * width * channels
    families = []
    for outer in sorted({max(1, round(share * rows)) for share in _TUCKER_SHARES}):
        ranks = sorted({max(1, round(share * channels)) for share in _TUCKER_SHARES})
        families.append(
            [
                Form("tucker", rank=rank, outer=outer)
                for rank in ranks
                if rank < channels
                and rank * channels + height * width * rank * outer + outer * rows < dense
            ]
        )
    return families


def _dictionaries(rows: int, cols: int) -> list[Form]:
    found = []
    for atoms in _ATOMS:
        size = round(min(_CODE_RATIO * atoms * rows, atoms * cols / 3))
        if atoms <= min(rows, cols) / 2 and atoms * rows + 2 * size < rows * cols / 2:
            found.append(Form("dictionary", size=size, rank=atoms))
    return found
