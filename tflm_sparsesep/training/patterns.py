"""Which weights of a kernel are kept or dropped together.

A pattern RxC is that of the packer: R consecutive output rows x C consecutive input columns of the
weights as the device stores them, [rows = outputs, cols = inputs]. A Keras kernel is their
transpose, [..., inputs, outputs], with the taps of a convolution in front; blocks lie within one
tap. Where a shape is no multiple of the block, the last blocks are filled with zeros, as the packer
does. `row` is all that leads to one output (a unit, or a filter with all its taps), `column` all
that comes from one input (a channel, with all taps).
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
"""Instead of a pattern: the best for each layer, see `auto_pattern`."""


@dataclass(frozen=True)
class Blocks:
    """The division of one kernel into blocks.

    Attributes:
        pattern: a name of `PATTERNS`.
        taps, cols, rows: the kernel as [taps, inputs, outputs].
        block_taps, block_cols, block_rows: weights of a block each way.
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
        """The blocks of a kernel of `shape` [..., inputs, outputs].

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
        """Weights of a whole block."""
        return self.block_taps * self.block_cols * self.block_rows

    @property
    def grid(self) -> tuple[int, int, int]:
        """Number of blocks: of taps, inputs, outputs."""
        return (
            self.taps // self.block_taps,
            -(-self.cols // self.block_cols),
            -(-self.rows // self.block_rows),
        )

    @property
    def sizes(self) -> npt.NDArray[np.int32]:
        """Weights of each block, int32 of shape `grid`; fewer than `area` at the edges."""
        cols, rows = (
            np.minimum(block, size - block * np.arange(-(-size // block)))
            for size, block in ((self.cols, self.block_cols), (self.rows, self.block_rows))
        )
        sizes = self.block_taps * cols[:, np.newaxis] * rows
        return np.broadcast_to(sizes, self.grid).astype(np.int32)

    def sum(self, values: Tensor) -> Tensor:
        """Sums over blocks: the kernel's shape -> `grid`."""
        taps, cols, rows = self.grid
        padding = (cols * self.block_cols - self.cols, rows * self.block_rows - self.rows)
        flat = ops.reshape(values, (self.taps, self.cols, self.rows))
        if any(padding):
            flat = ops.pad(flat, ((0, 0), (0, padding[0]), (0, padding[1])))
        blocked = (taps, self.block_taps, cols, self.block_cols, rows, self.block_rows)
        return ops.sum(ops.reshape(flat, blocked), axis=(1, 3, 5))

    def spread(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """Gives each weight the value of its block: `grid` -> the kernel's `shape`."""
        taps, cols, rows = self.grid
        blocked = (taps, self.block_taps, cols, self.block_cols, rows, self.block_rows)
        apart = ops.reshape(values, (taps, 1, cols, 1, rows, 1))
        padded = (self.taps, cols * self.block_cols, rows * self.block_rows)
        flat = ops.reshape(ops.broadcast_to(apart, blocked), padded)
        return ops.reshape(flat[:, : self.cols, : self.rows], tuple(shape))

    def kept(self, weights: Tensor) -> Tensor:
        """True for the weights of blocks that hold anything but zeros, in the kernel's shape."""
        nonzero = ops.not_equal(weights, 0)
        if self.area == 1:
            return nonzero
        return self.spread(self.sum(ops.cast(nonzero, "int32")) > 0, weights.shape)


def check_pattern(pattern: object, accepted: Sequence[str] = PATTERNS) -> str:
    """`pattern`, if it is one.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(pattern, str) or pattern not in accepted:
        raise ConfigError(f"pattern={pattern!r}; accepted: {', '.join(accepted)}")
    return pattern
