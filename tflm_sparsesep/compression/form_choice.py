"""Which form each layer gets: the least noise within limits, over all combinations.

Each layer has options, a form with the noise that it brings to the model's outputs and what it
costs. Noise powers of layers are taken to add up, as bytes and instructions do; the search measures
what really comes of a choice. Combinations that another beats in noise, bytes and instructions are
dropped layer after layer, and of those that cost the same within a hundredth the least noise stays:
what is left is the front, from which any limits choose.

Options are sampled at few sizes. Between two, costs are taken to grow evenly with the size, and
noise to fall by a power of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.layer_forms import Form

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
    """A form, the noise power that it adds to the outputs as a share of theirs, and its costs.

    arena_bytes: activations and scratch at once while this layer runs, whatever else is alive.
    """

    form: Form
    noise: float
    flash_bytes: float
    instructions: float
    arena_bytes: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Of sums over all layers; with a limit on noise the cheapest choice is taken, else the best.

    noise: as in `Option`. flash_bytes, instructions: of all layers.
    """

    noise: float = math.inf
    flash_bytes: float = math.inf
    instructions: float = math.inf


def between(first: Option, second: Option) -> list[Option]:
    """Options from `first` to before `second`, forms of the same kind and block.

    Example:
        >>> a, b = Form("low_rank", rank=2), Form("low_rank", rank=8)
        >>> found = between(Option(a, 0.4, 10, 10), Option(b, 0.1, 40, 40))
        >>> [(o.form.rank, round(o.noise, 2), round(o.flash_bytes)) for o in found[:4]]
        [(2, 0.4, 10), (3, 0.27, 15), (4, 0.2, 20), (5, 0.16, 25)]
    """
    low, high = _amount(first.form), _amount(second.form)
    found: dict[Form, Option] = {}
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


def _amount(form: Form) -> int:
    """What a form's costs grow with."""
    return form.size + form.rank + form.outer


def _mean(a: float, b: float, share: float) -> float:
    """Geometric; numbers may be 0."""
    if a <= 0 or b <= 0:
        return (1 - share) * a + share * b
    return float(a ** (1 - share) * b**share)


class Front:
    """The combinations of forms that may be worth taking.

    Args:
        layers: options of each layer.
        arena_bytes: forms that need more while they run are left out where there are others.

    Example:
        >>> from tflm_sparsesep.compression.layer_forms import DENSE
        >>> half = Option(Form("low_rank", rank=4), 0.01, 50, 50)
        >>> front = Front([[Option(DENSE, 0, 100, 100), half]])
        >>> [str(form) for form in front.choose(Limits(flash_bytes=80))]
        ['low rank 4']
        >>> [str(form) for form in front.choose(Limits(noise=0.001))]
        ['dense']
    """

    def __init__(self, layers: Sequence[Sequence[Option]], arena_bytes: float = math.inf) -> None:
        self._options = [_worth_taking(_fitting(options, arena_bytes)) for options in layers]
        self._picks = np.zeros((1, 0), np.int32)
        self._sums = np.zeros((1, 3))
        for options in self._options:
            self._add(_numbers(options))

    def choose(self, limits: Limits) -> tuple[Form, ...]:
        """The forms of the layers; those that exceed the limits least, where none keeps them.

        With a limit on noise that is the least product of bytes and instructions, without one the
        least noise, where a size that is not limited counts a little.
        """
        most = np.array([limits.noise, limits.flash_bytes, limits.instructions])
        excess = np.max(np.maximum(self._sums, _LEAST_NOISE) / np.maximum(most, _LEAST_NOISE), 1)
        prices = np.log(np.maximum(self._sums, _LEAST_NOISE))
        weights = np.where(np.isinf(most), _FREE_SIZE, 0.0)
        weights = np.array([1.0, *weights[1:]]) if math.isinf(limits.noise) else np.array([0, 1, 1])
        best = int(np.argmin(np.where(excess <= 1, prices @ weights, np.inf)))
        if excess[best] > 1:
            best = int(np.argmin(excess))
        picks = self._picks[best]
        return tuple(options[i].form for options, i in zip(self._options, picks, strict=True))

    def _add(self, numbers: Numbers) -> None:
        """Combines each combination so far with each option of one more layer."""
        sums = (self._sums[:, None] + numbers[None]).reshape(-1, 3)
        kept = _undominated(sums)
        before, last = np.divmod(kept, len(numbers))
        self._sums = sums[kept]
        self._picks = np.column_stack([self._picks[before], last.astype(np.int32)])


def _numbers(options: Sequence[Option]) -> Numbers:
    return np.array([[o.noise, o.flash_bytes, o.instructions] for o in options], np.float64)


def _undominated(sums: Numbers) -> npt.NDArray[np.intp]:
    """Rows of [n, 3] than which none has less of everything, costs rounded to the resolution."""
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
    # Of cells of equal noise the cheapest: the one that no cheaper cell equals.
    cheaper = np.minimum(
        np.pad(best, ((1, 0), (0, 0)), constant_values=np.inf)[:-1],
        np.pad(best, ((0, 0), (1, 0)), constant_values=np.inf)[:, :-1],
    )
    kept: npt.NDArray[np.intp] = np.sort(first[noise[first] < cheaper.ravel()[flat[first]]])
    return kept


def _worth_taking(options: Sequence[Option]) -> list[Option]:
    return [options[i] for i in _undominated(_numbers(options))]


def _fitting(options: Sequence[Option], arena_bytes: float) -> list[Option]:
    """Those that fit into the arena, or those that come closest."""
    least = min(option.arena_bytes for option in options)
    return [option for option in options if option.arena_bytes <= max(arena_bytes, least)]
