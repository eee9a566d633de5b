"""Which form each layer gets, by one price for all: noise against bytes and instructions.

Each layer has options, a form with the noise that it brings to the model's outputs and what it
costs. A level's multiplier m says what costs are worth: every layer takes the option of the least

    noise + m (bytes / all bytes of the dense layers, and the same for instructions)

which is, for the sum that results, the least noise that can be had (Lagrange). Noise powers of
layers are taken to add up; the search measures what really comes of a choice.

Options are sampled at few sizes; between two, all numbers are taken to be geometric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.layer_forms import DENSE, Form

# Multipliers of levels 1 and up: relative noise worth all bytes or all instructions together.
_LEAST, _RATIO = 1e-5, 1.13
# Options between two samples.
_STEPS = 6


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
class Preference:
    """What bytes and instructions count, relative to each other.

    arena_bytes: forms that need more while they run are not taken, if there are others.
    """

    flash_bytes: float
    instructions: float
    arena_bytes: float = math.inf


def between(first: Option, second: Option) -> list[Option]:
    """Options from `first` to before `second`, forms of the same kind and block.

    Example:
        >>> a, b = Form("low_rank", rank=2), Form("low_rank", rank=8)
        >>> found = between(Option(a, 0.4, 10, 10), Option(b, 0.1, 40, 40))
        >>> [(option.form.rank, round(option.noise, 2)) for option in found]
        [(2, 0.4), (3, 0.32), (4, 0.2), (5, 0.16), (6, 0.13)]
    """
    found: dict[Form, Option] = {}
    for step in range(_STEPS):
        share = step / _STEPS
        form = Form(
            first.form.kind,
            first.form.block,
            round(_mean(first.form.size, second.form.size, share)),
            round(_mean(first.form.rank, second.form.rank, share)),
        )
        option = Option(
            form,
            _mean(first.noise, second.noise, share),
            _mean(first.flash_bytes, second.flash_bytes, share),
            _mean(first.instructions, second.instructions, share),
            _mean(first.arena_bytes, second.arena_bytes, share),
        )
        found.setdefault(form, option)
    return list(found.values())


def _mean(a: float, b: float, share: float) -> float:
    """Geometric; numbers may be 0."""
    if a <= 0 or b <= 0:
        return (1 - share) * a + share * b
    return float(a ** (1 - share) * b**share)


def multiplier(level: int) -> float:
    """Of the costs; 0 at level 0."""
    return float(_LEAST * _RATIO ** (level - 1)) if level else 0.0


def choose(
    layers: Sequence[Sequence[Option]], level: int, preference: Preference
) -> tuple[Form, ...]:
    """The form of each layer at a level; the first option of each is its dense one.

    Example:
        >>> dense, half = Option(DENSE, 0, 100, 100), Option(Form("low_rank", rank=4), 0.01, 50, 50)
        >>> both = [[dense, half]]
        >>> [str(choose(both, level, Preference(1, 1))[0]) for level in (0, 90)]
        ['dense', 'low rank 4']
    """
    if not level:
        return (DENSE,) * len(layers)
    weight = multiplier(level)
    flash = sum(options[0].flash_bytes for options in layers) / preference.flash_bytes
    time = sum(options[0].instructions for options in layers) / preference.instructions
    found = []
    for options in layers:
        fitting = _fitting(options, preference.arena_bytes)
        prices = [
            o.noise + weight * (o.flash_bytes / flash + o.instructions / time) for o in fitting
        ]
        found.append(fitting[int(np.argmin(prices))].form)
    return tuple(found)


def _fitting(options: Sequence[Option], arena_bytes: float) -> list[Option]:
    """Those that fit into the arena, or those that come closest."""
    least = min(option.arena_bytes for option in options)
    return [option for option in options if option.arena_bytes <= max(arena_bytes, least)]
