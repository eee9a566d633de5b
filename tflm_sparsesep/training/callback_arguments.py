"""Checks of the arguments of `ProximalL1`, in its constructor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.proximal import PENALTIES

_KINDS = ("strength", "zeros", "flash_bytes", "instructions")
_BUDGETS = ("flash_bytes", "instructions")
_VALUES = ("int8", "palette")


@dataclass(frozen=True)
class Goal:
    """The goal of a fit.

    Attributes:
        kind: "strength", "zeros" or "budgets".
        value: the strength, or the fraction of zeros; 0 with budgets, from which zeros follow.
        budgets: those of flash_bytes and instructions that were given.
    """

    kind: str
    value: float = 0.0
    budgets: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, **given: float | None) -> Goal:
        """Return the goal of the arguments that are not None: one, or both budgets.

        Args:
            given: strength, zeros, flash_bytes and instructions.

        Raises:
            ConfigError: none or too many were given, or a number is not accepted.

        Example:
            >>> Goal.of(strength=None, zeros=0.9, flash_bytes=None, instructions=None)
            Goal(kind='zeros', value=0.9, budgets={})
        """
        kinds = [kind for kind in _KINDS if given[kind] is not None]
        if len(kinds) != 1 and kinds != list(_BUDGETS):
            received = ", ".join(f"{kind}={given[kind]!r}" for kind in _KINDS)
            raise ConfigError(
                f"{received} were given; accepted: exactly one of them, or flash_bytes and "
                "instructions"
            )
        numbers = {kind: _number(kind, given[kind]) for kind in kinds}
        if kinds[0] in _BUDGETS:
            budgets = {kind: int(number) for kind, number in numbers.items()}
            return cls("budgets", budgets=budgets)
        return cls(kinds[0], numbers[kinds[0]])


def _number(kind: str, value: Any) -> float:
    """Return the number of an argument of `Goal.of`."""
    accept, accepted = accepted_goals(kind)
    if kind in _BUDGETS:
        accept, accepted = (lambda number: number >= 1), ">= 1"
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigError(f"{kind}={value!r} is not a finite number; accepted: {accepted}")
    if not accept(float(value)):
        raise ConfigError(f"{kind}={value!r}; accepted: a number {accepted}")
    return float(value)


def accepted_goals(kind: str) -> tuple[Callable[[float], bool], str]:
    """Return the check for a layer's own goal, and its description for errors.

    A layer's goal is a strength if the common goal `kind` is one, else a fraction of zeros.
    """
    if kind == "strength":
        return lambda strength: strength >= 0, ">= 0"
    return lambda zeros: 0 < zeros < 1, "between 0 and 1"


def check_epochs(name: str, value: int | None) -> int | None:
    """Return `value` if it is a number of epochs or None.

    Raises:
        ConfigError: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ConfigError(f"{name}={value!r}; accepted: a whole number of epochs >= 0, or None")
    return int(value)


def check_penalty(penalty: str | None) -> str | None:
    """Return `penalty` if it is a name of `proximal.PENALTIES` or None.

    Raises:
        ConfigError: it is neither.
    """
    if penalty is not None and penalty not in PENALTIES:
        raise ConfigError(f"penalty={penalty!r}; accepted: {', '.join(PENALTIES)}")
    return penalty


def check_values(values: str | None, value_epochs: int | None) -> str | None:
    """Return `values` if it names a set of values or is None.

    Raises:
        ConfigError: it does neither, or `value_epochs` contradicts it.
    """
    if values is not None and values not in _VALUES:
        raise ConfigError(f"values={values!r}; accepted: {', '.join(_VALUES)}, or None")
    if values is None and value_epochs is not None:
        raise ConfigError(f"value_epochs={value_epochs} without values; accepted: one of {_VALUES}")
    if value_epochs == 0:
        raise ConfigError("value_epochs=0; accepted: at least 1, or None")
    return values
