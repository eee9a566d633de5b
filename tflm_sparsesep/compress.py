"""`compress`: make a trained model smaller and faster within a budget, without training.

Layers are factorized into fewer weights, which are fitted on sample inputs.
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
from tflm_sparsesep.compression.compressed_layers import compressed_layers
from tflm_sparsesep.compression.trial_cache import (
    Entry,
    TrialCache,
    cache_directory,
    model_entry,
    model_of,
)
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

# Careful fits are better than quick ones: they are tried at this many higher levels.
_LEVELS_BEYOND = 20
# Where only sizes are limited: levels relative to that of quick fits, as careful fits may have
# slightly different sizes.
_LEVELS_ABOUT = (-4, -2, 0, 2, 5)

USER_CACHE = "user"
"""`cache_dir` for the user's cache directory."""


@dataclass(frozen=True)
class CompressResult:
    """The result of `compress`.

    Attributes:
        tflite: the model, with custom operators where they pay.
        layers: the converter's decisions, in execution order.
        dense_tflite: the compressed model before rewriting, which any runtime executes.
        point: quality on the held-out samples, bytes, instructions, and the factorizations.
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
        """Return the compressed model as a Keras model, for fine-tuning and `convert`.

        A layer that became two matrices is two layers; the callback `KeepZeros` keeps the zeros of
        sparse ones (docs/compression.md).

        Args:
            model: the Sequential or functional Keras model that was compressed, or that the
                .tflite file was made from. It is not changed.

        Raises:
            ConfigError: it is not such a model.
            ModelError: its weights are not those that were compressed.
        """
        from tflm_sparsesep.compression.to_keras import to_keras

        return to_keras(model, compressed_layers(self.source, self.dense_tflite))

    @property
    def pareto(self) -> list[Point]:
        """Return the points of `visited` that no other beats, smallest first."""
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
    """Compress the fully-connected layers and convolutions of a model to a budget.

        result = compress("ad01_int8.tflite", budget=Budget(min_output_sqnr_db=25),
                          representative_dataset=x)

    Fully-connected layers and 1x1 convolutions become sparse or products of two matrices, other
    convolutions a vertical and a horizontal one, or three (Tucker). The choice is made for all
    layers together. Other layers stay unchanged. The same arguments give the same bytes, whatever
    `workers` and the cache. Fits and trials are kept on disk: an interrupted search resumes, and a
    repeated one is instant.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the path
            of a .keras file. Models that are not int8 are quantized first, and quality is
            relative to the quantized model.
        budget: limits. With an SQNR or accuracy limit the smallest model that keeps it is
            searched, else the most exact one of the given size.
        representative_dataset: typical samples [n, ...], or a list with one array per input; at
            least 8, better several times the number of inputs of a layer. A quarter of them is
            held out to measure the quality.
        labels: the class of each sample, int[n], if the budget limits the loss of accuracy.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".
        progress: show a bar on stderr.
        cache_dir: where results are kept; None keeps none. `USER_CACHE`, the default, is
            $TFLM_SPARSESEP_CACHE or the user's cache directory.
        workers: processes that factorize layers; by default one for each core.

    Raises:
        ModelError: the model cannot be read or quantized, or no layer can be compressed.
        ConfigError: an argument is not accepted, or the budget cannot be met; the message gives
            the closest result and the layer that binds.
        DeviceError: LiteRT cannot run the model.
        ToolMissingError: the quantizer is not installed.
    """
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
    tflite, rewritten, (point, *visited) = model_of(entry)
    return CompressResult(
        rewritten.tflite, rewritten.layers, tflite, point, visited, entered.tflite
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
    """Return the best trial; its point precedes those of all trials."""
    from threadpoolctl import threadpool_limits

    from tflm_sparsesep.compression.trials import Trials

    with (
        Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar,
        threadpool_limits(limits=1),  # the last bits of matrix products depend on it
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
    return model_entry(trial.tflite, trial.rewritten, [trial.point, *visited])


def best_trial(trials: Trials, budget: Budget) -> Trial:
    """Search with quick fits, then refine with careful ones."""
    end = budget_search.search(lambda level: trials.trial(level, budget).point, budget)
    quick = trials.trial(end.level, budget)
    if not budget.is_small(end):
        return trials.finished(quick, budget)
    refine = _smallest if budget.asks_for_quality else _most_exact
    return refine(trials, quick, budget)


def _smallest(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Return the smallest trial that keeps the quality: careful fits do at higher levels."""
    start = quick.point.level
    last = min(start + _LEVELS_BEYOND, budget_search.LEVELS)
    level = budget_search.edge(
        lambda i: budget.keeps_quality(trials.trial(i, budget, effort=2).point),
        start - 1,
        last,
        start + _LEVELS_BEYOND // 4,
    )
    found = trials.trial(level, budget, effort=2) if level >= start else quick
    return trials.finished(found if budget.is_small(found.point) else quick, budget)


def _most_exact(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Return the better of the quick trial and the first careful one that keeps the sizes."""
    for more in _LEVELS_ABOUT:
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
