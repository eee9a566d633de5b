"""Random quantised layers of a given shape and sparsity, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.pack import FullyConnectedWeights
from tflm_sparsesep.converters.packed_format import FullyConnectedOptions


@dataclass(frozen=True)
class LayerCase:
    """A layer, its options and inputs int8[batch, cols]."""

    layer: FullyConnectedWeights
    options: FullyConnectedOptions
    inputs: npt.NDArray[np.int8]


def random_case(
    rng: np.random.Generator,
    rows: int,
    cols: int,
    *,
    zeros: float,
    batch: int = 1,
    extreme: bool = False,
) -> LayerCase:
    """A layer whose outputs spread over int8; `extreme` drives the accumulators to their ends."""
    weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    if extreme:
        weights = np.where(weights > 0, 127, -127).astype(np.int8)
    weights[rng.random((rows, cols)) < zeros] = 0
    zero_point = int(rng.integers(-128, 128))
    bound = 2**31 - 1 if extreme else 1 << 14
    spread = 74.0 * 74.0 * np.sqrt(max(1.0, cols * (1 - zeros)))
    real = 40.0 / spread * rng.uniform(0.5, 2.0, rows)
    fraction, shift = np.frexp(real)
    low = int(rng.integers(-128, 0))
    return LayerCase(
        layer=FullyConnectedWeights(
            weights=weights,
            bias=rng.integers(-bound, bound, rows).astype(np.int32),
            multiplier=np.minimum(fraction * 2.0**31, 2**31 - 1).astype(np.int32),
            shift=(np.full(rows, 3) if extreme else shift).astype(np.int8),
            input_zero_point=zero_point,
        ),
        options=FullyConnectedOptions(
            input_zero_point=zero_point,
            output_zero_point=int(rng.integers(-128, 128)),
            activation_min=low,
            activation_max=127,
        ),
        inputs=rng.integers(-128, 128, (batch, cols)).astype(np.int8),
    )
