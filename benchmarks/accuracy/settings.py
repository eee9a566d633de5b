"""What is run: one `Setting` is one training and one line of runs.jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models import MODELS

METHOD_VERSIONS = {
    "dense": 1,
    "tfmot": 1,
    "lee_lee": 1,
    "lee_lee_debias": 1,
    "l1_threshold": 1,
    "ours": 1,
}
"""Methods in the order of the sweep. A method that changes gets a new number and runs again."""

PATTERNS = ("1x1", "1x4", "4x1", "4x4")
_BLOCK_METHODS = ("tfmot", "ours")
_GOALS = (0.90, 0.95, 0.98)
_SEEDS = (0, 1, 2)
# A training of LeNet-5 takes ten times as long as one of the others.
_LENET_5_METHODS = ("dense", "tfmot", "lee_lee_debias", "ours")
_LENET_5_GOALS = (0.95, 0.98, 0.99)

# Shares of the epochs, for every method that has such a phase: plain training before anything
# is removed, and training on the fixed support after the last removal.
_WARMUP_SHARE = 0.1
_DEBIAS_SHARE = 0.3


@dataclass(frozen=True)
class Setting:
    """One training. zeros_goal: fraction of all kernels' weights; None for `dense`.

    pattern: rows x columns of a block, a row being an output unit (Keras keeps the transpose).
    """

    model: str
    method: str
    pattern: str
    zeros_goal: float | None
    seed: int

    @property
    def name(self) -> str:
        """Name of the run, with the method's version. Fit for a file name."""
        goal = "" if self.zeros_goal is None else f"-{self.pattern}-{100 * self.zeros_goal:g}"
        version = METHOD_VERSIONS[self.method]
        return f"{self.model}-{self.method}{goal}-seed{self.seed}-v{version}"


def phases(epochs: int) -> tuple[int, int]:
    """Epochs of warm-up and of debiasing among `epochs`."""
    return int(_WARMUP_SHARE * epochs), round(_DEBIAS_SHARE * epochs)


def goals(model: str) -> tuple[float, ...]:
    """Fractions of zeros asked for on `model`."""
    return _LENET_5_GOALS if model == "lenet_5" else _GOALS


def sweep() -> Iterator[Setting]:
    """All settings in the order in which they run: what others are compared with comes first."""
    everything = [setting for model in MODELS for setting in _of_model(model)]
    yield from (setting for setting in everything if setting.method != "ours")
    yield from (setting for setting in everything if setting.method == "ours")


def _of_model(model: str) -> Iterator[Setting]:
    heavy = model == "lenet_5"
    for seed in _SEEDS[:1] if heavy else _SEEDS:
        for method in _LENET_5_METHODS if heavy else METHOD_VERSIONS:
            if method == "dense":
                yield Setting(model, method, "1x1", None, seed)
                continue
            for pattern in PATTERNS if method in _BLOCK_METHODS and not heavy else PATTERNS[:1]:
                for goal in goals(model):
                    yield Setting(model, method, pattern, goal, seed)
