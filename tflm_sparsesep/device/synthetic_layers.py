"""Random quantized layers of a given shape and sparsity, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FloatWeights, FullyConnectedWeights
from tflm_sparsesep.converters.blob.requantization import float_activation_range

Weights = TypeVar("Weights", FullyConnectedWeights, FloatWeights)


@dataclass(frozen=True)
class LayerCase(Generic[Weights]):
    """An int8 or float32 layer to be measured or tested.

    Attributes:
        layer: its numbers.
        options: of its operator; those of a float32 layer hold limits as bits.
        inputs: int8 or float32, [batch, cols].
    """

    layer: Weights
    options: FullyConnectedOptions
    inputs: npt.NDArray[Any]

    @property
    def is_float(self) -> bool:
        """True if weights and inputs are float32."""
        return isinstance(self.layer, FloatWeights)


def random_case(
    rng: np.random.Generator,
    rows: int,
    cols: int,
    *,
    zeros: float,
    batch: int = 1,
    block: tuple[int, int] = (1, 1),
    input_zeros: float = 0.0,
    palette: int | None = None,
    extreme: bool = False,
) -> LayerCase[FullyConnectedWeights]:
    """Draw a layer whose outputs spread over int8, for a batch of inputs.

    Args:
        rng: source of randomness.
        rows: output channels.
        cols: input channels.
        zeros: fraction of weights that are zero, whole blocks at a time; exact to one block.
        batch: input vectors.
        block: rows and columns of the blocks that are kept or dropped together.
        input_zeros: fraction of inputs that equal the zero_point (real 0).
        palette: number of distinct weights, in pairs of opposites; None for all of int8.
        extreme: make accumulators and left shifts wrap.
    """
    weights = _random_weights(rng, rows, cols, palette=palette, extreme=extreme)
    weights *= _random_mask(rng, rows, cols, zeros, block)
    zero_point = int(rng.integers(-128, 128))
    inputs = rng.integers(-128, 128, (batch, cols)).astype(np.int8)
    inputs[rng.random((batch, cols)) < input_zeros] = zero_point
    bound = 2**31 - 1 if extreme else 1 << 14
    multiplier, shift = random_requantization(rng, rows, cols * (1 - zeros), extreme=extreme)
    return LayerCase(
        layer=FullyConnectedWeights(
            weights=weights,
            bias=rng.integers(-bound, bound, rows).astype(np.int32),
            multiplier=multiplier,
            shift=shift,
            input_zero_point=zero_point,
        ),
        options=FullyConnectedOptions(
            input_zero_point=zero_point,
            output_zero_point=int(rng.integers(-128, 128)),
            activation_min=int(rng.integers(-128, 0)) if rng.random() < 0.5 else -128,
            activation_max=127,
        ),
        inputs=inputs,
    )


def random_float_case(
    rng: np.random.Generator,
    rows: int,
    cols: int,
    *,
    zeros: float,
    batch: int = 1,
    block: tuple[int, int] = (1, 1),
    input_zeros: float = 0.0,
) -> LayerCase[FloatWeights]:
    """Draw a float32 layer with weights and inputs around 0; arguments as for `random_case`."""
    weights = rng.standard_normal((rows, cols)).astype(np.float32)
    inputs = rng.standard_normal((batch, cols)).astype(np.float32)
    inputs[rng.random((batch, cols)) < input_zeros] = 0
    return LayerCase(
        layer=FloatWeights(
            weights=np.where(_random_mask(rng, rows, cols, zeros, block), weights, 0),
            bias=rng.standard_normal(rows).astype(np.float32),
        ),
        options=FullyConnectedOptions(0, 0, *float_activation_range("NONE")),
        inputs=inputs,
    )


def random_requantization(
    rng: np.random.Generator, rows: int, products: float, *, extreme: bool
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    """Draw multipliers and shifts [rows] that spread sums of random products over int8."""
    spread = 74.0 * 74.0 * np.sqrt(max(1.0, products))
    fraction, shift = np.frexp(40.0 / spread * rng.uniform(0.5, 2.0, rows))
    multiplier = np.minimum(fraction * 2.0**31, 2**31 - 1).astype(np.int32)
    return multiplier, (np.full(rows, 3) if extreme else shift).astype(np.int8)


def _random_weights(
    rng: np.random.Generator, rows: int, cols: int, *, palette: int | None, extreme: bool
) -> npt.NDArray[np.int8]:
    if extreme:
        return rng.choice(np.array([-127, 127], np.int8), (rows, cols))
    values = np.concatenate([np.arange(-127, 0), np.arange(1, 128)]).astype(np.int8)
    if palette is not None:
        magnitudes = rng.choice(values[values > 0], palette // 2, replace=False)
        values = np.concatenate([-magnitudes, magnitudes])
    return rng.choice(values, (rows, cols))


def _random_mask(
    rng: np.random.Generator, rows: int, cols: int, zeros: float, block: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return bool[rows, cols], true where a weight is kept."""
    height, width = -(-rows // block[0]), -(-cols // block[1])
    tiles = np.zeros(height * width, np.bool_)
    kept = round(height * width * (1.0 - zeros))
    tiles[rng.choice(height * width, kept, replace=False)] = True
    grid = tiles.reshape(height, width)
    full = grid.repeat(block[0], axis=0).repeat(block[1], axis=1)
    return full[:rows, :cols]
