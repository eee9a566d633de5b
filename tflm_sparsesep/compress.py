"""`compress`: a trained int8 model in, a smaller and faster one out, within a budget.

No labels and no training: weights are dropped and the others refitted on sample inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from tflm_sparsesep import files, samples
from tflm_sparsesep.activations import input_zeros
from tflm_sparsesep.compress_layers import LayerCompressor, real_outputs, sqnr_db
from tflm_sparsesep.converters import budget_search, model_editor
from tflm_sparsesep.converters.budget_search import Block, Budget, Point
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.rewrite import RewriteResult, rewrite

Array = npt.NDArray[Any]

_BLOCKS: tuple[Block, ...] = ((1, 1), (1, 4), (4, 4))
# Every fourth sample measures, the others fit.
_HELD_OUT = 4
_LEAST_SAMPLES = 8


@dataclass(frozen=True)
class CompressResult:
    """What `compress` made.

    tflite: the model with custom ops where they pay. layers: the converter's decisions, in
    execution order. dense_tflite: the compressed model before the rewriting, which any runtime
    executes. point: SQNR against the original on the samples held out, bytes, instructions.
    visited: every point that the search tried. pareto: those that no other beats.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    point: Point
    visited: list[Point]

    @property
    def pareto(self) -> list[Point]:
        """The front of `visited`, smallest first."""
        return budget_search.pareto(self.visited)

    def to_json(self) -> dict[str, Any]:
        """All but the models as plain values."""
        return {
            **self.point.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            "pareto": [point.to_json() for point in self.pareto],
            "visited": [point.to_json() for point in self.visited],
        }


def compress(
    model: bytes | str | Path,
    *,
    budget: Budget,
    representative_dataset: Array | list[Array],
    target: str = "cortex-m4",
    name: str | None = None,
    progress: bool = False,
) -> CompressResult:
    """Makes the int8 FULLY_CONNECTED layers of a model sparse, as far as the budget asks.

        result = compress("ad01_int8.tflite", budget=Budget(min_output_sqnr_db=25),
                          representative_dataset=x)

    The same arguments give the same bytes. Layers of other kinds stay as they are.

    Args:
        model: the bytes of a full-int8 .tflite file, or its path.
        budget: what must hold. With an output SQNR the smallest model that keeps it is searched,
            else the best one of the wanted size.
        representative_dataset: unlabelled samples [n, ...] such as the model will meet, or a list
            with one array per input; at least 8, better several times as many as a layer has
            inputs. A quarter of them is held out to measure the SQNR.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".
        progress: draw a bar on stderr.

    Raises:
        ModelError: the bytes are no usable .tflite model, or nothing in it can be compressed.
        ConfigError: an argument is not accepted, or the budget cannot be met: then the message
            says how close the search came and which layer binds.
        DeviceError: LiteRT, which measures, cannot run the model.
    """
    data, name = _read(model, name)
    total = len(_BLOCKS) * budget_search.most_trials()
    with Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar:
        task = bar.add_task("trials", total=total)
        trials = _Trials(data, representative_dataset, target, name, lambda: bar.advance(task))
        ends = [budget_search.search(trials.of(block), budget) for block in _BLOCKS]
    end = budget_search.choose(ends, budget)
    trial = trials.done[end.block, end.level]
    rewritten = trial.rewritten
    # Of quality there is always enough: at level 0 nothing changes.
    if not budget.is_small(end):
        raise ConfigError(_too_tight(name, target, budget, end, rewritten.layers))
    visited = [t.point for t in trials.done.values()]
    return CompressResult(rewritten.tflite, rewritten.layers, trial.dense, end, visited)


def _read(model: bytes | str | Path, name: str | None) -> tuple[bytes, str]:
    if isinstance(model, bytes | bytearray):
        return bytes(model), name or "model"
    if not isinstance(model, str | Path):
        raise ConfigError(
            f"model is a {type(model).__name__}, accepted: the bytes or the path of an int8 "
            ".tflite file"
        )
    return files.read_model(Path(model)), name or str(model)


@dataclass(frozen=True)
class _Trial:
    point: Point
    dense: bytes
    rewritten: RewriteResult


class _Trials:
    """Tries levels, each once."""

    def __init__(
        self,
        data: bytes,
        dataset: Array | list[Array],
        target: str,
        name: str,
        on_trial: Callable[[], None],
    ) -> None:
        self.done: dict[tuple[Block, int], _Trial] = {}
        self._data, self._target, self._name, self._on_trial = data, target, name, on_trial
        rewrite(data, target=target, name=name)  # refuses unfit models before any work
        arrays = samples.split_inputs(
            dataset, model_editor.read(data, name=name).subgraphs[0].inputs
        )
        count = len(arrays[0]) if arrays else 0
        if count < _LEAST_SAMPLES:
            raise ConfigError(f"{count} samples given, accepted: at least {_LEAST_SAMPLES}")
        held_out = np.arange(count) % _HELD_OUT == _HELD_OUT - 1
        self._fitting = [array[~held_out] for array in arrays]
        self._measuring = [array[held_out] for array in arrays]
        self._wanted = real_outputs(data, self._measuring)
        self._compressor = LayerCompressor(data, self._fitting, target=target, name=name)

    def of(self, block: Block) -> Callable[[int], Point]:
        """`point` for blocks of one shape."""
        return lambda level: self.point(block, level)

    def point(self, block: Block, level: int) -> Point:
        """What a level gives with blocks of one shape."""
        if (block, level) not in self.done:
            self.done[block, level] = self._try(block, level)
            self._on_trial()
        return self.done[block, level].point

    def _try(self, block: Block, level: int) -> _Trial:
        share = budget_search.share_of(level)
        dense = self._compressor.compress(block, share) if level else self._data
        zeros = input_zeros(dense, self._fitting, name=self._name)
        rewritten = rewrite(dense, target=self._target, input_zeros=zeros, name=self._name)
        quality = sqnr_db(self._wanted, real_outputs(dense, self._measuring))
        instructions = sum(_instructions(layer) for layer in rewritten.layers)
        point = Point(block, level, share, quality, len(rewritten.tflite), instructions)
        return _Trial(point, dense, rewritten)


def _too_tight(
    name: str, target: str, budget: Budget, closest: Point, layers: list[LayerDecision]
) -> str:
    excess = budget.excess(closest)
    by_time = excess and excess[0].startswith("instructions")
    cost, unit = (_instructions, "instructions") if by_time else (_bytes, "bytes")
    layer = max(layers, key=cost)
    return (
        f"{name}: the budget cannot be met on {target}: {' and '.join(excess)}; "
        f"closest: {closest}; layer {layer.name!r} binds with {cost(layer):,} {unit}"
    )


def _instructions(layer: LayerDecision) -> int:
    known = layer.sparse_instructions if layer.rewritten else layer.dense_instructions
    return known or 0


def _bytes(layer: LayerDecision) -> int:
    known = layer.packed_bytes if layer.rewritten else layer.dense_bytes
    return known or 0
