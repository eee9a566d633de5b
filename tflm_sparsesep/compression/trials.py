"""Build and measure combinations of factorizations: quality in LiteRT, bytes, instructions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.factorization import DENSE, Factorization
from tflm_sparsesep.compression.form_choice import Front, Option
from tflm_sparsesep.compression.layer_compressor import (
    CompressedModel,
    LayerCompressor,
)
from tflm_sparsesep.compression.operator_cost import dense_cost
from tflm_sparsesep.compression.parallel import map_ordered
from tflm_sparsesep.compression.sample_checks import held_out
from tflm_sparsesep.compression.trial_cache import (
    Entry,
    TrialCache,
    model_entry,
    model_of,
    options_entry,
    options_of,
)
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.cost import Cost, total
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.layers.convolution import is_convolution
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator
from tflm_sparsesep.converters.layers.quantized import check_operator
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import (
    RewriteResult,
    check,
    planned,
    run_passes,
    tidy,
    written,
)
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model
from tflm_sparsesep.converters.tflite.references import buffer_users
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db, sqnr_db

Array = npt.NDArray[Any]
Forms = tuple[Factorization, ...]

# Below this many weights in all layers, starting processes takes longer than all fits.
_LEAST_PARALLEL = 2000
_LEAST_SAMPLES = 8


@dataclass(frozen=True)
class Trial:
    """A compressed model.

    Attributes:
        point: its quality and sizes.
        forms: of each layer.
        effort: of the fits.
        tflite: the file before rewriting.
        rewritten: the file after it.
    """

    point: Point
    forms: Forms
    effort: int
    tflite: bytes
    rewritten: RewriteResult


class Trials:
    """Tries combinations of factorizations of one model, each once.

    Args:
        data: an int8 .tflite file.
        dataset: samples; a fourth is held out to measure the quality.
        labels: the class of each sample, or None.
        target: a name of `targets.TARGETS`.
        name: what errors call the model.
        on_step: called after each layer and trial.
        cache: results found in it are not computed again.
        workers: processes that factorize layers.
    """

    def __init__(
        self,
        data: bytes,
        dataset: Array | list[Array],
        labels: Array | None,
        target: str,
        name: str,
        on_step: Callable[[], None],
        *,
        cache: TrialCache | None = None,
        workers: int | None = 1,
    ) -> None:
        self.done: dict[tuple[Forms, int], Trial] = {}
        self._target, self._on_step = get_target(target).name, on_step
        self._cache, self._workers = cache or TrialCache(None), workers
        self._source = data
        model = editor.read(data, name=name)
        _check(model)
        arrays = samples.split_inputs(dataset, model.subgraphs[0].inputs)
        count = len(arrays[0]) if arrays else 0
        if count < _LEAST_SAMPLES:
            raise ConfigError(f"{count} samples given, accepted: at least {_LEAST_SAMPLES}")
        measures = held_out(count)
        self._measuring = [array[measures] for array in arrays]
        self._labels = None if labels is None else _checked(labels, count)[measures]
        self._compressor = LayerCompressor(
            data,
            [array[~measures] for array in arrays],
            target=target,
            name=name,
            cache=self._cache,
        )
        self._wanted = self._compressor.original.outputs(self._measuring)
        self._options = self._compressor.options(self._measuring, self._recalled_options)
        self._fronts: dict[float, Front] = {}
        self._rest = self._without_layers(model)

    def trial(self, level: int, budget: Budget, *, effort: int = 1) -> Trial:
        """Return the best combination at a level of the search for a budget."""
        forms: Forms = (DENSE,) * len(self._options)
        if level:
            forms = self._front(budget).choose(budget_search.limits(level, budget))
        return self._of(forms, level, effort)

    def finished(self, trial: Trial, budget: Budget) -> Trial:
        """Return the trial with sparse layers that were not rewritten back as they were."""
        kept = {layer.name for layer in trial.rewritten.layers if layer.rewritten}
        pairs = zip(trial.forms, self._compressor.layers, strict=True)
        forms = tuple(
            DENSE if form.kind == "sparse" and layer.name not in kept else form
            for form, layer in pairs
        )
        if forms == trial.forms:
            return trial
        better = self._of(forms, trial.point.level, trial.effort)
        limit = max(trial.point.flash_bytes, budget.flash_bytes or 0)
        keeps = budget.keeps_quality(better.point) and better.point.flash_bytes <= limit
        return better if keeps else trial

    def _front(self, budget: Budget) -> Front:
        arena = math.inf if budget.arena_bytes is None else float(budget.arena_bytes)
        if arena not in self._fronts:
            self._fronts[arena] = Front(self._options, arena, rest=self._rest)
        return self._fronts[arena]

    def _without_layers(self, model: Model) -> Cost:
        """Return the cost of the dense model without that of its layers; changes `model`."""
        main = model.subgraphs[0]
        operators = [main.operators[layer.position] for layer in self._compressor.layers]
        tidy(model)
        whole = self._sizes(model, written(model, self._source), [])
        layers = total(dense_cost(op, self._target) for op in operators)
        return Cost(
            whole["flash_bytes"] - layers.bytes, whole["instructions"] - layers.instructions
        )

    def _of(self, forms: Forms, level: int, effort: int) -> Trial:
        if (forms, effort) not in self.done:
            self.done[forms, effort] = self._recalled(forms, level, effort)
            self._on_step()
        found = self.done[forms, effort]
        return replace(found, point=replace(found.point, level=level))

    def _recalled_options(
        self, look: Callable[[int], list[Option]], layers: Sequence[int]
    ) -> list[list[Option]]:
        def of(layer: int) -> list[Option]:
            entry = self._cache.recall({"layer": layer}, lambda: options_entry(look(layer)))
            return options_of(entry)

        weights = sum(layer.real.weights.size for layer in self._compressor.layers)
        is_small = self._workers is None and weights < _LEAST_PARALLEL
        workers = 1 if is_small else self._workers
        return map_ordered(of, layers, workers=workers, on_result=self._on_step)

    def _recalled(self, forms: Forms, level: int, effort: int) -> Trial:
        def compute() -> Entry:
            trial = self._try(forms, level, effort)
            return model_entry(trial.tflite, trial.rewritten, [trial.point])

        setting = {"forms": [vars(form) for form in forms], "effort": effort}
        tflite, rewritten, (point,) = model_of(self._cache.recall(setting, compute))
        # Another search may have come to these factorizations at another level.
        return Trial(replace(point, level=level), forms, effort, tflite, rewritten)

    def _try(self, forms: Forms, level: int, effort: int) -> Trial:
        built = self._compressor.build(forms, effort=effort)
        outputs = built.outputs(self._measuring)
        rewritten = self._rewritten(built)
        point = Point(
            level,
            sqnr_db(self._wanted, outputs),
            accuracy_drop=self._accuracy_drop(outputs),
            plain_sqnr_db=plain_sqnr_db(self._wanted, outputs),
            forms=tuple(
                f"{layer.name}: {form}"
                for layer, form in zip(self._compressor.layers, forms, strict=True)
            ),
            **self._sizes(built.model, rewritten.tflite, rewritten.layers),
        )
        return Trial(point, forms, effort, built.tflite, rewritten)

    def _rewritten(self, built: CompressedModel) -> RewriteResult:
        """Return what `rewrite` makes of the file; the model's objects are changed."""
        model = built.model
        users = buffer_users(model)
        conversion = Conversion(self._target, built.input_zeros, users=users)
        graphs = planned(model, self._target)
        layers = [d for graph in graphs for d in run_passes(graph, conversion)]
        tidy(model)
        return RewriteResult(written(model, self._source), layers)

    def _sizes(self, model: Model, data: bytes, layers: list[LayerDecision]) -> dict[str, Any]:
        return {
            "flash_bytes": len(data),
            "instructions": model_cost.instructions(model, layers, self._target),
            "arena_bytes": model_cost.arena_bytes(model, layers),
        }

    def _accuracy_drop(self, outputs: list[Matrix]) -> float | None:
        """Return points lost, by the class of the highest score of the first output."""
        if self._labels is None:
            return None
        before, after = (
            float(np.mean(scores[0].reshape(len(self._labels), -1).argmax(axis=1) == self._labels))
            for scores in (self._wanted, outputs)
        )
        return 100 * (before - after)


def _check(model: Model) -> None:
    """Raise ModelError for a model that `rewrite` refuses."""
    try:
        check(model)
        for op in model.operators:
            if is_matrix_operator(op) or is_convolution(op):
                check_operator(op)
    except ModelError as error:
        raise ModelError(f"{model.name}: {error}") from None


def _checked(labels: Array, count: int) -> Array:
    found = np.asarray(labels).reshape(-1)
    if len(found) != count or not np.issubdtype(found.dtype, np.integer):
        raise ConfigError(
            f"labels are {found.dtype}{list(np.shape(labels))}, accepted: {count} integers, one "
            "for each sample"
        )
    return found
