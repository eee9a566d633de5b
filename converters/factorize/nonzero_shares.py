"""How many weights each of several layers keeps, by one threshold on what each block is worth.

A layer's curve is the error that is left with some counts of blocks, each count chosen and refitted
as a whole: where inputs say the same, single blocks cost nothing but all together do. The slope of
the curve is what a block is worth there. With errors in one unit for all layers
(`chain.importance`), slopes compare, and the dearest blocks over all layers are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Vector

Block = tuple[int, int]


def block_values(counts: Sequence[int], errors: Sequence[float]) -> Vector:
    """What each block of a layer is worth, the first first, float64[counts[-1]], never rising.

    Args:
        counts: of blocks kept, strictly rising from 0 to all.
        errors: what is left with each.

    Raises:
        ConfigError: counts do not rise from 0, or there is not one error for each.

    Example:
        >>> block_values([0, 1, 3], [10.0, 4.0, 0.0]).tolist()
        [6.0, 2.0, 2.0]
    """
    widths = np.diff(counts)
    if len(counts) != len(errors) or len(counts) < 2 or counts[0] != 0 or widths.min() < 1:
        raise ConfigError(f"counts {counts} with {len(errors)} errors; accepted: 0, ..., all")
    slopes = -np.diff(errors) / widths
    # Blocks that only pay together with later ones share what those bring.
    falling = np.maximum.accumulate(slopes[::-1])[::-1]
    return np.repeat(np.maximum(falling, 0.0), widths)


@dataclass(frozen=True)
class SharedBlocks:
    """What all blocks of several layers are worth, ready to be cut at any number."""

    values: Sequence[Vector]
    block: Block

    def nonzeros(self, share: float) -> list[int]:
        """Weights that each layer keeps if the dearest `share` of all blocks stays.

        Of blocks worth the same the first are kept.

        Raises:
            ConfigError: share is not within 0..1.

        Example:
            >>> SharedBlocks([np.array([5.0, 1.0]), np.array([2.0, 3.0])], (1, 4)).nonzeros(0.5)
            [4, 4]
        """
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"share is {share!r}; accepted: 0 to 1")
        flat = np.concatenate(self.values)
        kept = np.zeros(len(flat), np.bool_)
        kept[np.argsort(-flat, kind="stable")[: round(share * len(flat))]] = True
        ends = np.cumsum([len(values) for values in self.values])[:-1]
        size = self.block[0] * self.block[1]
        return [int(part.sum()) * size for part in np.split(kept, ends)]
