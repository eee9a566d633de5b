"""`compress`: make a trained model smaller and faster within a budget, without training.

Layers are factorized into fewer weights, which are fitted on sample inputs.
"""

from __future__ import annotations

import functools
import math
import warnings
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.budget_search import Budget, Point, pareto
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer, check_preference
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import int8_input
from tflm_sparsesep.runtime.quiet import quiet
from tflm_sparsesep.runtime.representative_dataset import (
    RepresentativeDataset,
    arrays_of,
    tflite_inputs,
)
from tflm_sparsesep.runtime.steps_bar import steps_bar

Array = npt.NDArray[Any]

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
        warnings: reasons to doubt the samples, a line each.
        target: the core that costs are estimated for.
        prefer: the preference among layouts.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    point: Point
    visited: list[Point]
    source: bytes
    warnings: tuple[str, ...] = ()
    target: str = "cortex-m4"
    prefer: Prefer | None = None

    def finetune(
        self,
        x: RepresentativeDataset,
        *,
        labels: Array | None = None,
        epochs: int = 40,
        learning_rate: float = 1e-3,
        seed: int = 0,
        progress: bool = False,
    ) -> CompressResult:
        """Return the compressed model with better weights: the original teaches, without labels.

        Neither labels nor a Keras model are needed: the .tflite file says enough, for models of
        fully-connected layers, convolutions, depthwise convolutions, pools, additions and a
        softmax. Zeros stay zeros and palettes stay, so that sizes stay, too. Every fourth sample
        measures the quality, the others teach, shifted and mixed. The result is never worse on
        those that measure: where nothing is better, this object is returned.

        Args:
            x: samples, as for `compress`, a few hundred.
            labels: classes, int[n]: models that lose accuracy on the samples that measure are not
                taken. They teach nothing.
            epochs: passes over the samples.
            learning_rate: of Adam at first; it falls to 0 along a cosine. A model that lost much
                recovers more at 3e-3 (docs/compression.md).
            seed: of the order of the samples.
            progress: show a bar on stderr.

        Raises:
            ModelError: an operator cannot be trained.
            ConfigError: an argument is not accepted.
            ToolMissingError: TensorFlow is not installed.
        """
        if not (isinstance(epochs, int) and epochs > 0):
            raise ConfigError(f"epochs is {epochs!r}; accepted: an integer from 1 up")
        if not (math.isfinite(learning_rate) and learning_rate > 0):
            raise ConfigError(f"learning_rate is {learning_rate!r}; accepted: a number above 0")
        inputs = tflite_inputs(editor.read(self.source))
        from tflm_sparsesep.compression.measurer import Measurer

        measurer = Measurer(
            self.source,
            arrays_of(x, inputs),
            None if labels is None else np.asarray(labels),
            self.target,
            prefer=self.prefer,
        )
        try:
            with quiet():
                from tflm_sparsesep.compression.finetune import finetune
        except ImportError as error:
            raise ToolMissingError(
                f"fine-tuning needs TensorFlow ({error}): pip install 'tflm-sparsesep[keras]'"
            ) from error
        with steps_bar("epochs", epochs, shown=progress) as on_epoch:
            found = finetune(
                self.source,
                self.dense_tflite,
                measurer,
                self.point.forms,
                epochs=epochs,
                learning_rate=learning_rate,
                seed=seed,
                on_epoch=on_epoch,
            )
        if found is None:
            return self
        return replace(
            self,
            tflite=found.rewritten.tflite,
            layers=found.rewritten.layers,
            dense_tflite=found.tflite,
            point=found.point,
            visited=[*self.visited, found.point],
        )

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
        from tflm_sparsesep.compression.compressed_layers import compressed_layers
        from tflm_sparsesep.compression.to_keras import to_keras

        return to_keras(model, compressed_layers(self.source, self.dense_tflite))

    @functools.cached_property
    def is_unchanged(self) -> bool:
        """Return True if no layer was compressed, as nothing that keeps the quality pays."""
        from tflm_sparsesep.compression.compressed_layers import compressed_layers

        return not compressed_layers(self.source, self.dense_tflite)

    @property
    def offers(self) -> list[Point]:
        """Return the points of `pareto` below the quality that was asked for, best first."""
        worse = [p for p in self.pareto if p.sqnr_db < self.point.sqnr_db]
        return sorted(worse, key=lambda p: p.sqnr_db, reverse=True)

    @functools.cached_property
    def tflm_arena_bytes(self) -> int | None:
        """The arena that TFLM takes for `tflite`, with its own structures; None without TFLM.

        It is that of TFLM's Python package on this machine; 32-bit cores need less.
        """
        from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

        try:
            return TflmInterpreter(self.tflite, editor.read(self.tflite)).arena_bytes
        except ToolMissingError:
            return None

    @property
    def uncounted(self) -> list[str]:
        """Return the operators that the estimates leave out: their cost is not known."""
        return model_cost.uncounted(editor.read(self.tflite), self.layers, self.target)

    @property
    def pareto(self) -> list[Point]:
        """Return the points of `visited` that no other beats, smallest first."""
        return pareto(self.visited)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the models as plain values."""
        return {
            **self.point.to_json(),
            "uncounted": self.uncounted,
            "warnings": list(self.warnings),
            "tflm_arena_bytes": self.tflm_arena_bytes,
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
    prefer: Prefer | None = None,
    name: str | None = None,
    progress: bool = False,
    cache_dir: str | Path | None = USER_CACHE,
    workers: int | None = None,
    executor: Executor | None = None,
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
            held out to measure the quality. If they look random, or are fewer than a layer has
            inputs, `compress` warns.
        labels: the class of each sample, int[n], if the budget limits the loss of accuracy.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        prefer: as for `convert`. With "speed", layers that get faster may grow by a fifth; the
            search still minimizes the product of bytes and instructions.
        name: what errors call the model; by default the path, or "model".
        progress: show a bar on stderr.
        cache_dir: where results are kept; None keeps none. `USER_CACHE`, the default, is
            $TFLM_SPARSESEP_CACHE or the user's cache directory.
        workers: processes that build trials; by default one for each core.
        executor: builds them in the place of such processes: any `concurrent.futures.Executor`,
            such as that of a Dask client for several machines. Each gets the model and the samples
            sent; what `cache_dir` names, they share if they see the same folder.

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
    # SciPy takes longer to import than all else.
    from tflm_sparsesep.compression.model_search import search_model
    from tflm_sparsesep.compression.sample_checks import sample_warnings
    from tflm_sparsesep.compression.trial_cache import cache_directory

    concerns = tuple(
        sample_warnings(editor.read(entered.tflite, name=entered.name), entered.samples)
    )
    for concern in concerns:
        warnings.warn(f"{entered.name}: {concern}", stacklevel=2)
    folder = cache_directory() if cache_dir == USER_CACHE else cache_dir
    tflite, rewritten, (point, *visited) = search_model(
        entered,
        None if labels is None else np.asarray(labels),
        budget,
        target,
        prefer=check_preference(prefer),
        cache_dir=None if folder is None else Path(folder),
        workers=workers,
        executor=executor,
        progress=progress,
    )
    return CompressResult(
        rewritten.tflite,
        rewritten.layers,
        tflite,
        point,
        visited,
        entered.tflite,
        concerns,
        target,
        prefer,
    )
