"""The blocks of a kernel: weights that are kept or pruned together.

A pattern RxC is that of the packer: R consecutive output rows x C consecutive input columns of the
weights as the device stores them, [rows = outputs, cols = inputs]. A Keras kernel is their
transpose, [..., inputs, outputs], with the taps of a convolution in front; blocks lie within one
tap. If a shape is not a multiple of the block, the last blocks are padded with zeros, as the packer
does. `row` holds all weights of one output (a unit, or a filter with all its taps), `column` all
weights of one input (a channel, with all taps).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from tflm_sparsesep.converters.errors import ConfigError

Tensor = Any

PATTERNS = ("1x1", "1x4", "4x1", "2x4", "4x4", "1x16", "row", "column")
AUTO = "auto"
"""In place of a pattern: the cheapest for each layer, see `auto_pattern`."""


@dataclass(frozen=True)
class Blocks:
    """The division of one kernel into blocks.

    Attributes:
        pattern: a name of `PATTERNS`.
        taps: taps of a convolution; 1 for a matrix.
        cols: inputs.
        rows: outputs. The kernel is [taps, cols, rows].
        block_taps: taps of a block.
        block_cols: inputs of a block.
        block_rows: outputs of a block.
    """

    pattern: str
    taps: int
    cols: int
    rows: int
    block_taps: int
    block_cols: int
    block_rows: int

    @classmethod
    def of(cls, shape: Sequence[int], pattern: str = "1x1") -> Blocks:
        """Return the blocks of a kernel of `shape` [..., inputs, outputs].

        Raises:
            ConfigError: unknown pattern.

        Example:
            >>> Blocks.of((784, 300), "1x4").grid  # [taps, blocks of inputs, blocks of outputs]
            (1, 196, 300)
        """
        *leading, cols, rows = shape
        taps = math.prod(leading)
        if pattern == "row":
            block = (taps, cols, 1)
        elif pattern == "column":
            block = (taps, 1, rows)
        else:
            block_rows, block_cols = map(int, check_pattern(pattern).split("x"))
            block = (1, block_cols, block_rows)
        return cls(pattern, taps, cols, rows, *block)

    @property
    def area(self) -> int:
        """The weights of a whole block."""
        return self.block_taps * self.block_cols * self.block_rows

    @property
    def grid(self) -> tuple[int, int, int]:
        """The number of blocks along taps, inputs and outputs."""
        return (
            self.taps // self.block_taps,
            -(-self.cols // self.block_cols),
            -(-self.rows // self.block_rows),
        )

    @property
    def sizes(self) -> npt.NDArray[np.int32]:
        """The weights of each block, int32 of shape `grid`; fewer than `area` at the edges."""
        cols, rows = (
            np.minimum(block, size - block * np.arange(-(-size // block)))
            for size, block in ((self.cols, self.block_cols), (self.rows, self.block_rows))
        )
        sizes = self.block_taps * cols[:, np.newaxis] * rows
        return np.broadcast_to(sizes, self.grid).astype(np.int32)

    def sum(self, values: Tensor) -> Tensor:
        """Return sums over blocks: the kernel's shape -> `grid`."""
        taps, cols, rows = self.grid
        padding = (cols * self.block_cols - self.cols, rows * self.block_rows - self.rows)
        flat = ops.reshape(values, (self.taps, self.cols, self.rows))
        if any(padding):
            flat = ops.pad(flat, ((0, 0), (0, padding[0]), (0, padding[1])))
        blocked = (taps, self.block_taps, cols, self.block_cols, rows, self.block_rows)
        return ops.sum(ops.reshape(flat, blocked), axis=(1, 3, 5))

    def spread(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the value of its block for each weight: `grid` -> the kernel's `shape`."""
        taps, cols, rows = self.grid
        blocked = (taps, self.block_taps, cols, self.block_cols, rows, self.block_rows)
        apart = ops.reshape(values, (taps, 1, cols, 1, rows, 1))
        padded = (self.taps, cols * self.block_cols, rows * self.block_rows)
        flat = ops.reshape(ops.broadcast_to(apart, blocked), padded)
        return ops.reshape(flat[:, : self.cols, : self.rows], tuple(shape))

    def kept(self, weights: Tensor) -> Tensor:
        """Return True for weights of blocks with at least one nonzero, in the kernel's shape."""
        nonzero = ops.not_equal(weights, 0)
        if self.area == 1:
            return nonzero
        return self.spread(self.sum(ops.cast(nonzero, "int32")) > 0, weights.shape)


def check_pattern(pattern: object, accepted: Sequence[str] = PATTERNS) -> str:
    """Return `pattern` if it is one of `accepted`.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(pattern, str) or pattern not in accepted:
        raise ConfigError(f"pattern={pattern!r}; accepted: {', '.join(accepted)}")
    return pattern
