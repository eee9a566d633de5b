"""A fully-connected layer that stores only the kept blocks of its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.blob.pack import tile
from tflm_sparsesep.converters.errors import ConfigError

PATTERNS = ("1x1", "1x4", "4x1", "2x4", "4x4", "1x16")
_ACTIVATIONS = {"relu": (0.0, math.inf), None: (-math.inf, math.inf)}


@dataclass(frozen=True)
class SparseLayer:
    """outputs = clamp(weights inputs + bias, low, high), weights [rows, cols].

    Attributes:
        rows: output units.
        cols: input units.
        tile_rows: int64[blocks], the row of each kept block in the grid of tiles; ascending.
        tile_cols: int64[blocks], its column, ascending within a row, none twice.
        values: float32[blocks, block_rows, block_cols]; 0 outside of the matrix.
        bias: float32[rows].
        low: lower limit of the activation, 0 for ReLU.
        high: upper limit of the activation.
    """

    rows: int
    cols: int
    tile_rows: npt.NDArray[np.int64]
    tile_cols: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    low: float = -math.inf
    high: float = math.inf

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def grid(self) -> tuple[int, int]:
        """Tiles along the rows and along the columns."""
        return -(-self.rows // self.block[0]), -(-self.cols // self.block[1])

    @property
    def zeros(self) -> float:
        """Fraction of weights that are 0."""
        return 1.0 - int(np.count_nonzero(self.values)) / (self.rows * self.cols)

    @classmethod
    def from_blocks(
        cls,
        shape: tuple[int, int],
        tile_rows: npt.NDArray[Any],
        tile_cols: npt.NDArray[Any],
        values: npt.NDArray[Any],
        bias: npt.NDArray[Any],
        limits: tuple[float, float],
    ) -> SparseLayer:
        """Make a layer of blocks in any order; blocks at the same position are added up.

        `shape` is that of the matrix, `values` are [blocks, block_rows, block_cols] at a row and
        column of tiles each, `bias` is [rows], `limits` are those of the activation.

        Raises:
            ConfigError: the matrix is empty or larger than a blob can hold, or 0 is outside of
                the limits.
        """
        rows, cols = shape
        if not (limits[0] <= 0 <= limits[1] and limits[0] < limits[1]):
            raise ConfigError(f"limits={limits}; accepted: low <= 0 <= high, low < high")
        if not (1 <= rows <= MAX_DIM and 1 <= cols <= MAX_DIM):
            raise ConfigError(f"weights are {rows}x{cols}; accepted: 1 to {MAX_DIM} each way")
        per_row = -(-cols // values.shape[2])
        places, where = np.unique(
            tile_rows.astype(np.int64) * per_row + tile_cols, return_inverse=True
        )
        merged = np.zeros((len(places), *values.shape[1:]), np.float32)
        np.add.at(merged, where, values)
        return cls(
            rows,
            cols,
            places // per_row,
            places % per_row,
            merged,
            np.asarray(bias, np.float32),
            *limits,
        )

    @classmethod
    def from_dense(
        cls,
        weights: npt.NDArray[Any],
        bias: npt.NDArray[Any] | None = None,
        *,
        pattern: str = "1x1",
        activation: str | None = "relu",
        limits: tuple[float, float] | None = None,
        keep_all: bool = False,
    ) -> SparseLayer:
        """Make a layer of the blocks of a matrix that have nonzeros, or of all with `keep_all`.

        Args:
            weights: [rows, cols] = [outputs, inputs]; a Keras kernel is its transpose.
            bias: [rows]; None for zeros.
            pattern: block of weights that are kept or dropped together, outputs x inputs.
            activation: "relu" or None.
            limits: low and high of another activation instead.
            keep_all: also keep blocks of zeros.

        Raises:
            ConfigError: a value is not accepted.

        Example:
            >>> len(SparseLayer.from_dense(np.eye(4), pattern="1x1").values)
            4
        """
        if pattern not in PATTERNS:
            raise ConfigError(f"pattern={pattern!r}; accepted: {', '.join(PATTERNS)}")
        if activation not in _ACTIVATIONS:
            raise ConfigError(f"activation={activation!r}; accepted: 'relu', None")
        weights = np.asarray(weights)
        biases = np.zeros(weights.shape[:1]) if bias is None else np.asarray(bias)
        if weights.ndim != 2 or biases.shape != weights.shape[:1]:
            raise ConfigError(
                f"weights of shape {weights.shape} and bias of shape {biases.shape}; "
                "accepted: [rows, cols] and [rows]"
            )
        rows, cols = weights.shape
        tiles = tile(weights, *map(int, pattern.split("x")))
        kept = np.full(tiles.shape[:2], True) if keep_all else tiles.any(axis=(2, 3))
        tile_rows, tile_cols = np.nonzero(kept)
        return cls.from_blocks(
            (rows, cols),
            tile_rows,
            tile_cols,
            tiles[kept],
            biases,
            _ACTIVATIONS[activation] if limits is None else limits,
        )

    def to_dense(self) -> npt.NDArray[np.float32]:
        """Return the weights as a matrix [rows, cols]."""
        height, width = self.block
        tiles = np.zeros((*self.grid, height, width), np.float32)
        tiles[self.tile_rows, self.tile_cols] = self.values
        padded = tiles.transpose(0, 2, 1, 3).reshape(self.grid[0] * height, -1)
        return padded[: self.rows, : self.cols]

    def row_sums(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sum `values`, one for each weight of the blocks, over each row [rows]."""
        sums = np.zeros((self.grid[0], self.block[0]), values.dtype)
        np.add.at(sums, self.tile_rows, values.sum(axis=2))
        return sums.reshape(-1)[: self.rows]

    def row_maxima(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the largest of `values`, which are >= 0, in each row [rows]; 0 in empty rows."""
        maxima = np.zeros((self.grid[0], self.block[0]), values.dtype)
        np.maximum.at(maxima, self.tile_rows, values.max(axis=2))
        return maxima.reshape(-1)[: self.rows]

    def rows_of_values(self) -> npt.NDArray[np.int64]:
        """Return the row of each weight, [blocks, block_rows, 1]; padding may exceed the matrix."""
        height = self.block[0]
        return (self.tile_rows[:, np.newaxis] * height + np.arange(height))[:, :, np.newaxis]
