"""The layers that a user selects, by name or regular expression."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

from tflm_sparsesep.converters.errors import ConfigError

Layers = Sequence[str] | Mapping[str, float | bool | None] | None


@dataclass(frozen=True)
class Selection:
    """The arguments `layers` and `exclude`.

    Attributes:
        only: names of the layers to sparsify; None for all.
        goals: by name, the layer's own goal, True for the common goal, None to stay dense.
        exclude: names of layers that stay dense.
    """

    only: tuple[str, ...] | None = None
    goals: Mapping[str, float | bool | None] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, layers: Layers, exclude: Sequence[str], accept: Callable[[float], bool], accepted: str
    ) -> Selection:
        """Return the selection that the arguments of `ProximalL1` describe.

        Args:
            layers: list of names, or mapping from name to goal.
            exclude: list of names.
            accept: returns True for a number that is a goal.
            accepted: description of these numbers, for the error.

        Raises:
            ConfigError: an argument has another type, or a goal is not accepted.
        """
        excluded = _names("exclude", exclude)
        if layers is None:
            return cls(exclude=excluded)
        if not isinstance(layers, Mapping):
            return cls(only=_names("layers", layers), exclude=excluded)
        _names("layers", tuple(layers))
        for name, goal in layers.items():
            if goal is None or isinstance(goal, bool):
                continue
            if not isinstance(goal, Real) or not math.isfinite(goal) or not accept(float(goal)):
                raise ConfigError(
                    f"layers={{{name!r}: {goal!r}}}; accepted: a number {accepted}, True for the "
                    "goal of all layers, None for a dense layer"
                )
        return cls(goals=dict(layers), exclude=excluded)

    def names(self, layer: str) -> bool:
        """Return True if the argument `layers` names `layer`, with any goal."""
        return _first_match(layer, (*(self.only or ()), *self.goals)) is not None

    def goal_of(self, layer: str) -> float | bool | None:
        """Return the goal of `layer`: its own, True for the common goal, None to stay dense."""
        if _first_match(layer, self.exclude) is not None:
            return None
        if self.only is not None and _first_match(layer, self.only) is None:
            return None
        match = _first_match(layer, self.goals)
        goal = True if match is None else self.goals[match]
        return None if goal is False else goal

    def check(self, every: Iterable[str], sparsifiable: Iterable[str], kinds: str) -> None:
        """Raise ConfigError for a name that matches no layer.

        Args:
            every: names of all layers, which `exclude` may name.
            sparsifiable: names of the layers that `layers` may name.
            kinds: description of these layers, for the error.
        """
        every, sparsifiable = sorted(set(every)), sorted(set(sparsifiable))
        for argument, names, known in (
            ("layers", (*(self.only or ()), *self.goals), sparsifiable),
            ("exclude", self.exclude, every),
        ):
            for name in names:
                if not any(_matches(layer, name) for layer in known):
                    raise ConfigError(
                        f"{argument}={name!r} names no fitting layer of the model; accepted: "
                        f"trainable {kinds} layers, here {', '.join(sparsifiable) or 'none'}"
                    )


def _names(argument: str, value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise ConfigError(
            f"{argument}={value!r}; accepted: a list of layer names or regular expressions"
        )
    return tuple(value)


def _first_match(layer: str, names: Iterable[str]) -> str | None:
    """Return the name that matches `layer`: its own, else the first expression that does."""
    names = tuple(names)
    if layer in names:
        return layer
    return next((name for name in names if _matches(layer, name)), None)


def _matches(layer: str, name: str) -> bool:
    if layer == name:
        return True
    try:
        return re.fullmatch(name, layer) is not None
    except re.error:
        return False  # the plain name of another layer
