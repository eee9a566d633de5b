"""`compress`: a trained model in, a smaller and faster int8 one out, within a budget.

No training: layers take forms of fewer weights, which are fitted on sample inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from threadpoolctl import threadpool_limits

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
from tflm_sparsesep.compression.trials import Trial, Trials
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import CompressInput, RepresentativeDataset, compress_input

Array = npt.NDArray[Any]

# The final fits do better than the search's: they are tried at fewer levels more than these.
_LEVELS_BEYOND = 20
# Where sizes alone are limited: the search leaves out a pass that saves some per cent, but the last
# fits may come out a little larger.
_LEVELS_ABOUT = (-4, -2, 0, 2, 5)

USER_CACHE = "user"
"""`cache_dir` for the directory of the user."""


@dataclass(frozen=True)
class CompressResult:
    """What `compress` made.

    tflite: the model with custom ops where they pay. layers: the converter's decisions, in
    execution order. dense_tflite: the compressed model before the rewriting, which any runtime
    executes. point: quality on the samples held out, bytes, instructions, what became of each
    layer. visited: every point that the search tried. pareto: those that no other beats.
    source: the int8 model that was compressed.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    point: Point
    visited: list[Point]
    source: bytes

    def to_keras(self, model: Any) -> Any:
        """The compressed model as a Keras model, to be trained on and given to `convert`.

        Layers have their new forms: what became two matrices is two layers, what became sparse has
        zeros, which the callback `KeepZeros` keeps (docs/compression.md).

        Args:
            model: the Sequential or functional Keras model that was compressed, or that the
                .tflite file was made of. It stays as it is.

        Raises:
            ConfigError: it is no such model.
            ModelError: it has other weights than what was compressed.
        """
        from tflm_sparsesep.compression.to_keras import to_keras

        return to_keras(model, compressed_layers(self.source, self.dense_tflite))

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
    """Compresses fully-connected layers and convolutions, as far as the budget asks.

        result = compress("ad01_int8.tflite", budget=Budget(min_output_sqnr_db=25),
                          representative_dataset=x)

    Fully-connected layers and 1x1 convolutions become sparse or products of two matrices, other
    convolutions a vertical and a horizontal one, or three by Tucker; what becomes of each is
    decided for all together. The same arguments give the same bytes, whatever `workers` and the
    cache. Layers of other kinds stay as they are. Trials are kept on disk: a search that was
    interrupted goes on where it was, and one that was done before takes no time.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the path
            of a .keras file. What is not int8 is quantised first (`compress_input`), and
            qualities are those against the quantised model.
        budget: what must hold. With an output SQNR or an accuracy the smallest model that keeps it
            is searched, else the best one of the wanted size.
        representative_dataset: samples [n, ...] such as the model will meet, or a list with one
            array per input; at least 8, better several times as many as a layer has inputs. A
            quarter of them is held out to measure the quality.
        labels: the right class of each sample, int[n], where the budget limits the loss of
            accuracy; only those of the samples held out are looked at.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".
        progress: draw a bar on stderr.
        cache_dir: where trials are kept; None keeps none. `USER_CACHE`, the default, is
            $TFLM_SPARSESEP_CACHE or the user's cache directory.
        workers: processes that look at layers side by side; by default one for each core.

    Raises:
        ModelError: the model cannot be read or quantised, or nothing in it can be compressed.
        ConfigError: an argument is not accepted, or the budget cannot be met: then the message
            says how close the search came and which layer binds.
        DeviceError: LiteRT, which measures, cannot run the model.
        ToolMissingError: what would quantise the model is not installed.
    """
    entered = compress_input(model, representative_dataset, name=name)
    if budget.max_accuracy_drop is not None and labels is None:
        raise ConfigError(
            "max_accuracy_drop is given without labels; accepted: one for each sample"
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
    entered: CompressInput,
    labels: Array | None,
    budget: Budget,
    target: str,
    cache: TrialCache,
    workers: int | None,
    progress: bool,
) -> Entry:
    """The best trial, its point before those of all others."""
    with (
        Progress(console=Console(stderr=True), transient=True, disable=not progress) as bar,
        threadpool_limits(limits=1),  # on their number depend the last bits of matrix products
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
    # Of quality there is always enough: at level 0 nothing changes.
    if not budget.is_small(trial.point):
        raise ConfigError(_too_tight(entered.name, target, budget, trial))
    visited = [t.point for t in trials.done.values()] + [trial.point]
    return model_entry(trial.tflite, trial.rewritten, [trial.point, *visited])


def best_trial(trials: Trials, budget: Budget) -> Trial:
    """The search with quick fits, then careful ones about its end."""
    end = budget_search.search(lambda level: trials.trial(level, budget).point, budget)
    quick = trials.trial(end.level, budget)
    if not budget.is_small(end):
        return trials.finished(quick, budget)
    return (_further if budget.asks_for_quality else _fitted_again)(trials, quick, budget)


def _further(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Careful fits keep the quality at higher levels than quick ones."""

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


def _fitted_again(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """The first of the levels about that of quick fits which keeps the sizes, all passes done."""
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
