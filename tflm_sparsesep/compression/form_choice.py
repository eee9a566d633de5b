"""Choose a factorization for each layer: the least noise within limits, over all combinations.

An option of a layer is a factorization with its cost and the noise that it adds to the outputs.
Noise powers of layers add up approximately, as bytes and instructions do; the search measures each
choice. Layer after layer, combinations that another beats in noise, bytes and instructions are
dropped, and of those whose costs agree within 1% the one of least noise is kept. The rest is the
front, from which limits select.

Options are sampled at few sizes. Between two samples, costs are interpolated linearly in the size,
noise as a power of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.budget_search import Limits
from tflm_sparsesep.compression.factorization import Factorization
from tflm_sparsesep.converters.cost.cost import Cost

# Options between two samples.
_STEPS = 24
# Costs this close count as one.
_RESOLUTION = math.log(1.01)
# A size without a limit counts a little: halving it is worth 1 dB of noise.
_FREE_SIZE = 0.33
# Less than any rounding to int8; keeps logarithms finite.
_LEAST_NOISE = 1e-7

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Option:
    """A factorization of a layer, its noise and its costs.

    Attributes:
        form: the factorization.
        noise: added to the outputs, relative to their variance.
        flash_bytes: added to the file.
        instructions: of one inference.
        arena_bytes: activations and scratch alive at once while this layer runs, of its own only.
    """

    form: Factorization
    noise: float
    flash_bytes: float
    instructions: float
    arena_bytes: float = 0.0


def between(first: Option, second: Option) -> list[Option]:
    """Return options from `first` up to `second`, excluded, of the same kind and block.

    Example:
        >>> a, b = Factorization("low_rank", rank=2), Factorization("low_rank", rank=8)
        >>> found = between(Option(a, 0.4, 10, 10), Option(b, 0.1, 40, 40))
        >>> [(o.form.rank, round(o.noise, 2), round(o.flash_bytes)) for o in found[:4]]
        [(2, 0.4, 10), (3, 0.27, 15), (4, 0.2, 20), (5, 0.16, 25)]
    """
    low, high = _amount(first.form), _amount(second.form)
    found: dict[Factorization, Option] = {}
    for step in range(_STEPS):
        share = step / _STEPS
        form = replace(
            first.form,
            size=round(_mean(first.form.size, second.form.size, share)),
            rank=round(_mean(first.form.rank, second.form.rank, share)),
            outer=round(_mean(first.form.outer, second.form.outer, share)),
        )
        amount = _amount(form)
        if amount >= high:
            break
        part = (amount - low) / (high - low)
        found[form] = Option(
            form,
            _mean(first.noise, second.noise, math.log(amount / low) / math.log(high / low)),
            (1 - part) * first.flash_bytes + part * second.flash_bytes,
            (1 - part) * first.instructions + part * second.instructions,
            (1 - part) * first.arena_bytes + part * second.arena_bytes,
        )
    return list(found.values())


def _amount(form: Factorization) -> int:
    """Return the size that the costs grow with."""
    return form.size + form.rank + form.outer


def _mean(a: float, b: float, share: float) -> float:
    """Return the geometric mean, or the arithmetic one where a number is 0."""
    if a <= 0 or b <= 0:
        return (1 - share) * a + share * b
    return float(a ** (1 - share) * b**share)


class Front:
    """The combinations of options that no other combination beats.

    Args:
        layers: options of each layer.
        arena_bytes: options that need more are excluded where there are others.
        rest: cost of the model without these layers.

    Example:
        >>> from tflm_sparsesep.compression.factorization import DENSE
        >>> half = Option(Factorization("low_rank", rank=4), 0.01, 50, 50)
        >>> front = Front([[Option(DENSE, 0, 100, 100), half]])
        >>> [str(form) for form in front.choose(Limits(flash_bytes=80))]
        ['low rank 4']
        >>> [str(form) for form in front.choose(Limits(noise=0.001))]
        ['dense']
    """

    def __init__(
        self,
        layers: Sequence[Sequence[Option]],
        arena_bytes: float = math.inf,
        *,
        rest: Cost | None = None,
    ) -> None:
        self._rest = np.array([0.0, rest.bytes, rest.instructions]) if rest else np.zeros(3)
        self._options = [_worth_taking(_fitting(options, arena_bytes)) for options in layers]
        self._picks = np.zeros((1, 0), np.int32)
        self._sums = np.zeros((1, 3))
        for options in self._options:
            self._add(_numbers(options))

    def choose(self, limits: Limits) -> tuple[Factorization, ...]:
        """Return the best factorizations within limits, or those that exceed them least.

        The best has the least product of bytes and instructions if noise is limited, else the
        least noise; a size without a limit then counts a little.
        """
        most = np.array([limits.noise, limits.flash_bytes, limits.instructions])
        sums = np.maximum(self._sums + self._rest, _LEAST_NOISE)
        excess = np.max(sums / np.maximum(most, _LEAST_NOISE), 1)
        prices = np.log(sums)
        weights = np.where(np.isinf(most), _FREE_SIZE, 0.0)
        weights = np.array([1.0, *weights[1:]]) if math.isinf(limits.noise) else np.array([0, 1, 1])
        best = int(np.argmin(np.where(excess <= 1, prices @ weights, np.inf)))
        if excess[best] > 1:
            best = int(np.argmin(excess))
        picks = self._picks[best]
        return tuple(options[i].form for options, i in zip(self._options, picks, strict=True))

    def _add(self, numbers: Numbers) -> None:
        """Extend each combination by each option of one more layer."""
        sums = (self._sums[:, None] + numbers[None]).reshape(-1, 3)
        kept = _undominated(sums)
        before, last = np.divmod(kept, len(numbers))
        self._sums = sums[kept]
        self._picks = np.column_stack([self._picks[before], last.astype(np.int32)])


def _numbers(options: Sequence[Option]) -> Numbers:
    return np.array([[o.noise, o.flash_bytes, o.instructions] for o in options], np.float64)


def _undominated(sums: Numbers) -> npt.NDArray[np.intp]:
    """Return rows of [n, 3] that no row beats in everything, costs rounded to the resolution."""
    noise = sums[:, 0]
    cells = np.floor(np.log(np.maximum(sums[:, 1:], 1.0)) / _RESOLUTION).astype(np.int64)
    cells -= cells.min(axis=0)
    shape = tuple(cells.max(axis=0) + 1)
    flat = np.ravel_multi_index((cells[:, 0], cells[:, 1]), shape)
    order = np.lexsort((noise, flat))
    first = order[np.diff(flat[order], prepend=-1) != 0]  # the least noise of each cell
    least = np.full(shape, np.inf)
    least.ravel()[flat[first]] = noise[first]
    best = np.minimum.accumulate(np.minimum.accumulate(least, axis=0), axis=1)
    # Among cells of equal noise keep the cheapest.
    cheaper = np.minimum(
        np.pad(best, ((1, 0), (0, 0)), constant_values=np.inf)[:-1],
        np.pad(best, ((0, 0), (1, 0)), constant_values=np.inf)[:, :-1],
    )
    kept: npt.NDArray[np.intp] = np.sort(first[noise[first] < cheaper.ravel()[flat[first]]])
    return kept


def _worth_taking(options: Sequence[Option]) -> list[Option]:
    return [options[i] for i in _undominated(_numbers(options))]


def _fitting(options: Sequence[Option], arena_bytes: float) -> list[Option]:
    """Return the options that fit the arena, or those that come closest."""
    least = min(option.arena_bytes for option in options)
    return [option for option in options if option.arena_bytes <= max(arena_bytes, least)]
