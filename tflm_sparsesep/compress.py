"""`compress`: a trained model in, a smaller and faster int8 model out, within a budget.

It does not train: layers are replaced by forms with fewer weights, fitted on sample inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.trial_cache import Entry, TrialCache, cache_directory
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import CalibratedModel, int8_input
from tflm_sparsesep.runtime.representative_dataset import RepresentativeDataset

if TYPE_CHECKING:
    # Imported where they run: they need SciPy, `import tflm_sparsesep` does not.
    from tflm_sparsesep.compression.trials import Trial, Trials

Array = npt.NDArray[Any]

# How many levels beyond the search's result the final, more careful fits are tried at.
_LEVELS_BEYOND = 20
# Levels around the search's result that are tried if only sizes are limited: the search leaves out
# a pass that saves some percent, but the final fits may be slightly larger.
_LEVELS_AROUND = (-4, -2, 0, 2, 5)

USER_CACHE = "user"
"""`cache_dir` for the user's cache directory."""


@dataclass(frozen=True)
class CompressResult:
    """Result of `compress`.

    Attributes:
        tflite: the model with custom operators where they reduce its cost.
        layers: the converter's decisions, in execution order.
        dense_tflite: the compressed model before it was rewritten; any runtime executes it.
        point: quality on the held-out samples, bytes, instructions, the form of each layer.
        visited: every point that the search tried.
        source: the int8 model that was compressed.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    point: Point
    visited: list[Point]
    source: bytes

    def to_keras(self, model: Any) -> Any:
        """Return the compressed model as a Keras model, to fine-tune and give to `convert`.

        Layers have their new forms: a layer that became two matrices is two layers, a sparse layer
        has zeros, which the callback `KeepZeros` keeps (docs/compression.md).

        Args:
            model: the Sequential or functional Keras model that was compressed, or that the
                .tflite file was made of. It is not changed.

        Raises:
            ConfigError: `model` is of another kind.
            ModelError: its weights are not those that were compressed.
        """
        from tflm_sparsesep.compression.compressed_parts import compressed_layers
        from tflm_sparsesep.compression.to_keras import to_keras

        return to_keras(model, compressed_layers(self.source, self.dense_tflite))

    @property
    def pareto(self) -> list[Point]:
        """Points of `visited` that no other dominates, smallest first."""
        return budget_search.pareto(self.visited)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the models as plain values."""
        return {
            **self.point.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            "pareto": [point.to_json() for point in self.pareto],
            "visited": [point.to_json() for point in self.visited],
        }


def compress(
    model: Any,
    *,
    budget: Budget,
    representative_dataset: RepresentativeDataset,
    labels: Array | None = None,
    target: str = "cortex-m4",
    name: str | None = None,
    progress: bool = False,
    cache_dir: str | Path | None = USER_CACHE,
    workers: int | None = None,
) -> CompressResult:
    """Compress fully-connected layers and convolutions, as far as the budget asks.

        result = compress("ad01_int8.tflite", budget=Budget(min_output_sqnr_db=25),
                          representative_dataset=x)

    Fully-connected layers and 1x1 convolutions become sparse or products of two matrices; other
    convolutions become a vertical and a horizontal one, or three by Tucker decomposition. The forms
    of all layers are chosen together. Layers of other kinds are not changed. The same arguments
    give the same bytes, whatever `workers` and the cache. Trials are kept on disk: an interrupted
    search resumes where it was, and a finished one is not repeated.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the path
            of a .keras file. Other models than int8 are quantized first, and quality is measured
            against the quantized model.
        budget: the limits. With an output SQNR or an accuracy, the smallest model that keeps it is
            searched; otherwise the best model of the given size.
        representative_dataset: samples [n, ...] such as the model will meet, in any form that
            `convert` takes; at least 8, better several times the inputs of a layer. A quarter of
            them is held out to measure quality.
        labels: the class of each sample, int[n], required if the budget limits the loss of
            accuracy; only those of held-out samples are used.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".
        progress: draw a bar on stderr.
        cache_dir: where trials are kept; None disables the cache. `USER_CACHE`, the default, is
            $TFLM_SPARSESEP_CACHE or the user's cache directory.
        workers: processes that work on layers in parallel; by default one for each core.

    Returns:
        The model, and what the search found.

    Raises:
        ModelError: the model cannot be read or quantized, or nothing in it can be compressed.
        ConfigError: an argument is not accepted, or the budget cannot be met: then the message
            tells the closest result and the layer that binds.
        DeviceError: LiteRT, which measures quality, cannot run the model.
        ToolMissingError: a package that quantizes the model is not installed.
    """
    from tflm_sparsesep.compression.trial_records import model_of

    entered = int8_input(model, representative_dataset, name=name)
    if budget.max_accuracy_drop is not None and labels is None:
        raise ConfigError(
            "max_accuracy_drop is given without labels; accepted: one label for each sample"
        )
    known = None if labels is None else np.asarray(labels)
    folder = cache_directory() if cache_dir == USER_CACHE else cache_dir
    cache = TrialCache(
        None if folder is None else Path(folder), entered.tflite, target, known, *entered.samples
    )

    entry = cache.recall(
        {"budget": vars(budget)},
        lambda: _search(entered, known, budget, target, cache, workers, progress),
    )
    built, rewritten, (point, *visited) = model_of(entry)
    return CompressResult(
        rewritten.tflite, rewritten.layers, built.tflite, point, visited, entered.tflite
    )


def _search(
    entered: CalibratedModel,
    labels: Array | None,
    budget: Budget,
    target: str,
    cache: TrialCache,
    workers: int | None,
    progress: bool,
) -> Entry:
    """Search, and return the best trial: its point, then those of all others."""
    from threadpoolctl import threadpool_limits

    from tflm_sparsesep.compression.trial_records import model_entry
    from tflm_sparsesep.compression.trials import Trials

    with (
        Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar,
        threadpool_limits(limits=1),  # the last bits of matrix products depend on the number
    ):
        task = bar.add_task("trials", total=None)
        trials = Trials(
            entered.tflite,
            entered.samples,
            labels,
            target,
            entered.name,
            lambda: bar.advance(task),
            cache=cache,
            workers=workers,
        )
        trial = best_trial(trials, budget)
    # The quality limit can always be met: level 0 leaves the model unchanged.
    if not budget.is_small(trial.point):
        raise ConfigError(_too_tight(entered.name, target, budget, trial))
    visited = [t.point for t in trials.done.values()] + [trial.point]
    return model_entry(trial.built, trial.rewritten, [trial.point, *visited])


def best_trial(trials: Trials, budget: Budget) -> Trial:
    """Search with quick fits, then with careful ones around the result.

    Args:
        trials: makes and measures compressed models.
        budget: the limits.
    """
    end = budget_search.search(lambda level: trials.trial(level, budget).point, budget)
    quick = trials.trial(end.level, budget)
    if not budget.is_small(end):
        return trials.finished(quick, budget)
    return (_beyond if budget.asks_for_quality else _refitted)(trials, quick, budget)


def _beyond(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Search higher levels, where careful fits keep the quality and quick ones do not."""

    def careful(level: int) -> Trial:
        return trials.trial(level, budget, effort=2)

    start = quick.point.level
    last = min(start + _LEVELS_BEYOND, budget_search.LEVELS)
    first = start + _LEVELS_BEYOND // 4
    level = budget_search.edge(
        lambda i: budget.keeps_quality(careful(i).point), start - 1, last, first
    )
    found = careful(level) if level >= start else quick
    return trials.finished(found if budget.is_small(found.point) else quick, budget)


def _refitted(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Return the first trial around the quick one's level that keeps the sizes in all passes."""
    for more in _LEVELS_AROUND:
        level = min(max(quick.point.level + more, 0), budget_search.LEVELS - 1)
        found = trials.finished(trials.trial(level, budget, effort=2), budget)
        if budget.is_small(found.point):
            return max(trials.finished(quick, budget), found, key=lambda t: t.point.sqnr_db)
    return trials.finished(quick, budget)


def _too_tight(name: str, target: str, budget: Budget, trial: Trial) -> str:
    excess = budget.excess(trial.point)
    model = editor.read(trial.rewritten.tflite)
    by_time = excess[0].startswith("instructions")
    measure = model_cost.layer_instructions if by_time else model_cost.layer_bytes
    sizes = measure(model, trial.rewritten.layers, target)
    layer, unit = max(sizes, key=lambda key: sizes[key]), "instructions" if by_time else "bytes"
    return (
        f"{name}: the budget cannot be met on {target}: {' and '.join(excess)}; "
        f"closest: {trial.point}; layer {layer!r} binds with {sizes[layer]:,} {unit}"
    )
