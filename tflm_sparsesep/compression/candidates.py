"""The factorizations of a layer to compare, and the noise that each adds to the outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tflm_sparsesep.compression.factorization import DEPTHWISE_SEPARATED, Factorization
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.layers.stages import KernelShape
from tflm_sparsesep.converters.layers.windows import input_step
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator

# Shares of the weights, ascending; unstructured indices hardly ever pay beyond the last. Blocks of
# 4x4 do up to all weights: interleaved, they take fewer instructions than CMSIS-NN's dense kernels.
_SHARES = (1 / 64, 1 / 20, 1 / 6, 1 / 3)
_BLOCK_SHARES = (1 / 64, 1 / 20, 1 / 6, 1 / 2)
_TILE_SHARES = (*_BLOCK_SHARES, 3 / 4, 7 / 8)
_TILE = (4, 4)
_BLOCKS = ((1, 1), (1, 4), _TILE)
_LEAST_BLOCKS = 8
_ATOMS = (6, 16, 40)
# Nonzeros of a code for each number in the basis.
_CODE_RATIO = 1.0
_RANK_RATIO = 0.5
# Of the input and output channels of the core of a Tucker decomposition.
_TUCKER_SHARES = (1 / 4, 1 / 2, 3 / 4)
# A factorization with about this error measures the noise of all others of the layer.
_PROBE_ERROR = 0.1
_LEAST_ERROR = 1e-12
# Of a probe that does not change the outputs: other errors might.
_LEAST_NOISE = 1e-6


def families(op: Operator, layer: RealLayer) -> list[list[Factorization]]:
    """Return families of factorizations of one kind and block, each from the smallest up."""
    if layer.is_depthwise:
        return [[DEPTHWISE_SEPARATED]]
    is_conv = op.builtin_code == BuiltinOperator.CONV_2D
    height, width, channels = layer.kernel
    rows, cols = layer.weights.shape
    found = []
    is_pointwise = layer.taps == (1, 1)
    # SPARSE_CONV_2D stores columns in another order: blocks must not straddle taps.
    in_order = is_pointwise or not is_conv or input_step(op) is not None
    blocks = [b for b in _BLOCKS if in_order or channels % b[1] == 0]
    found += [_sparse(rows * cols, block) for block in blocks]
    found.append(_sparse(rows * cols, (1, 1), palette=True))
    if is_conv:
        most = rows * cols / (height * channels + width * rows)
        limit = min(height * channels, width * rows)
        found.append([Factorization("separated", rank=k) for k in _ranks(most, limit)])
    if is_conv and not is_pointwise:
        found += _tuckers(rows, layer.kernel)
    if not is_conv or not is_pointwise:
        most = rows * cols / (rows + cols)
        ranks = _ranks(most, min(rows, cols))
        found.append([Factorization("low_rank", rank=k) for k in ranks])
    if not is_conv:
        found.append(_dictionaries(rows, cols))
    return [family for family in found if family]


def noise_per_error(options: Sequence[Option], noise_of: Callable[[Factorization], float]) -> float:
    """Return the noise of the outputs as a multiple of the error of one layer.

    One factorization of the layer is measured, with all other layers refitted to it.

    Args:
        options: of the layer, at least one, with the layer's own errors as noise.
        noise_of: measures the noise of the outputs where the layer alone is factorized; slow.
    """
    probe = min(options, key=lambda o: abs(math.log(_error(o) / _PROBE_ERROR)))
    return max(noise_of(probe.form), _LEAST_NOISE) / _error(probe)


def _error(option: Option) -> float:
    return max(option.noise, _LEAST_ERROR)


def _sparse(weights: int, block: tuple[int, int], *, palette: bool = False) -> list[Factorization]:
    size = math.prod(block)
    shares = {(1, 1): _SHARES, _TILE: _TILE_SHARES}.get(block, _BLOCK_SHARES)
    counts = sorted({round(share * weights / size) for share in shares})
    return [
        Factorization("sparse", block, n * size, palette=palette)
        for n in counts
        if n >= _LEAST_BLOCKS
    ]


def _ranks(most: float, limit: int) -> list[int]:
    """Return ranks from 1 up to `most`, below which two matrices are smaller than one."""
    found, rank = set(), min(most, limit)
    while rank >= 1:
        found.add(int(rank))
        rank *= _RANK_RATIO
    return sorted(found)


def _tuckers(rows: int, kernel: KernelShape) -> list[list[Factorization]]:
    """Return a family over shares of the input channels for each share of the outputs."""
    height, width, channels = kernel
    dense = rows * height * width * channels
    found = []
    for outer in sorted({max(1, round(share * rows)) for share in _TUCKER_SHARES}):
        ranks = sorted({max(1, round(share * channels)) for share in _TUCKER_SHARES})
        found.append(
            [
                Factorization("tucker", rank=rank, outer=outer)
                for rank in ranks
                if rank < channels
                and rank * channels + height * width * rank * outer + outer * rows < dense
            ]
        )
    return found


def _dictionaries(rows: int, cols: int) -> list[Factorization]:
    found = []
    for atoms in _ATOMS:
        size = round(min(_CODE_RATIO * atoms * rows, atoms * cols / 3))
        if atoms <= min(rows, cols) / 2 and atoms * rows + 2 * size < rows * cols / 2:
            found.append(Factorization("dictionary", size=size, rank=atoms))
    return found
