"""What a choice of forms makes of a model, measured: quality in LiteRT, bytes, instructions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.form_choice import Front, Option
from tflm_sparsesep.compression.layer_compressor import (
    Built,
    LayerCompressor,
    real_outputs,
    sqnr_db,
)
from tflm_sparsesep.compression.layer_forms import DENSE, Form
from tflm_sparsesep.compression.parallel import map_ordered
from tflm_sparsesep.compression.trial_cache import Entry, TrialCache
from tflm_sparsesep.compression.trial_records import (
    model_entry,
    model_of,
    options_entry,
    options_of,
)
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.rewrite import RewriteResult, check, rewrite, tidy
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import samples

Array = npt.NDArray[Any]
Forms = tuple[Form, ...]

# Every fourth sample measures, the others fit.
_HELD_OUT = 4
_LEAST_SAMPLES = 8


@dataclass(frozen=True)
class Trial:
    """A compressed model, as built and as rewritten, and what it is worth."""

    point: Point
    forms: Forms
    effort: int
    built: Built
    rewritten: RewriteResult


class Trials:
    """Tries choices of forms for one model, each once.

    What `cache` holds is not computed again; `workers` processes look at the layers.
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
        self._data, self._target, self._name, self._on_step = data, target, name, on_step
        self._cache, self._workers = cache or TrialCache(None), workers
        rewrite(data, target=target, name=name)  # refuses unfit models before any work
        arrays = samples.split_inputs(dataset, editor.read(data, name=name).subgraphs[0].inputs)
        count = len(arrays[0]) if arrays else 0
        if count < _LEAST_SAMPLES:
            raise ConfigError(f"{count} samples given, accepted: at least {_LEAST_SAMPLES}")
        held_out = np.arange(count) % _HELD_OUT == _HELD_OUT - 1
        self._measuring = [array[held_out] for array in arrays]
        self._labels = None if labels is None else _checked(labels, count)[held_out]
        self._wanted = real_outputs(data, self._measuring)
        self._compressor = LayerCompressor(
            data, [array[~held_out] for array in arrays], target=target, name=name
        )
        self._options = self._compressor.options(self._measuring, self._recalled_options)
        self._fronts: dict[float, Front] = {}

    def trial(self, level: int, budget: Budget, *, effort: int = 1) -> Trial:
        """The best choice of forms at a level of the search for a budget."""
        forms: Forms = (DENSE,) * len(self._options)
        if level:
            forms = self._front(budget).choose(budget_search.limits(level, budget, self._rest))
        return self._of(forms, level, effort)

    def finished(self, trial: Trial, budget: Budget) -> Trial:
        """With layers as they were where their form did not pay, and all passes.

        The pass that takes seconds is left out where the result would not be in the budget.
        """
        kept = {layer.name for layer in trial.rewritten.layers if layer.rewritten}
        pairs = zip(trial.forms, self._compressor.units, strict=True)
        forms = tuple(
            DENSE if form.kind == "sparse" and unit.name not in kept else form
            for form, unit in pairs
        )
        if forms != trial.forms:
            better = self._of(forms, trial.point.level, trial.effort)
            if budget.keeps_quality(better.point) and better.point.flash_bytes <= max(
                trial.point.flash_bytes, budget.flash_bytes or 0
            ):
                trial = better
        whole = rewrite(
            trial.built.tflite,
            target=self._target,
            input_zeros=trial.built.input_zeros,
            name=self._name,
        )
        point = replace(trial.point, **self._sizes(whole))
        if not budget.is_small(point):
            return trial
        return replace(trial, rewritten=whole, point=point)

    def _front(self, budget: Budget) -> Front:
        arena = math.inf if budget.arena_bytes is None else float(budget.arena_bytes)
        if arena not in self._fronts:
            self._fronts[arena] = Front(self._options, arena)
        return self._fronts[arena]

    @functools.cached_property
    def _rest(self) -> Point:
        """What of the dense model's sizes is not that of its layers."""
        whole = self._dense_sizes()
        dense = [options[0] for options in self._options]
        return Point(
            0,
            math.inf,
            whole["flash_bytes"] - round(sum(option.flash_bytes for option in dense)),
            whole["instructions"] - round(sum(option.instructions for option in dense)),
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

        return map_ordered(of, layers, workers=self._workers, on_result=self._on_step)

    def _recalled(self, forms: Forms, level: int, effort: int) -> Trial:
        def compute() -> Entry:
            trial = self._try(forms, level, effort)
            return model_entry(trial.built, trial.rewritten, [trial.point])

        setting = {"forms": [vars(form) for form in forms], "effort": effort}
        built, rewritten, (point,) = model_of(self._cache.recall(setting, compute))
        # Another search may have come to these forms at another level.
        return Trial(replace(point, level=level), forms, effort, built, rewritten)

    def _try(self, forms: Forms, level: int, effort: int) -> Trial:
        built = self._compressor.build(forms, effort=effort)
        rewritten = rewrite(
            built.tflite,
            target=self._target,
            input_zeros=built.input_zeros,
            name=self._name,
        )
        outputs = real_outputs(built.tflite, self._measuring)
        point = Point(
            level,
            sqnr_db(self._wanted, outputs),
            accuracy_drop=self._accuracy_drop(outputs),
            forms=tuple(
                f"{unit.name}: {form}"
                for unit, form in zip(self._compressor.units, forms, strict=True)
            ),
            **self._sizes(rewritten),
        )
        return Trial(point, forms, effort, built, rewritten)

    def _dense_sizes(self) -> dict[str, Any]:
        model = editor.read(self._data, name=self._name)
        check(model)
        tidy(model)
        return self._sizes(RewriteResult(editor.write(model), []))

    def _sizes(self, rewritten: RewriteResult) -> dict[str, Any]:
        model = editor.read(rewritten.tflite)
        return {
            "flash_bytes": len(rewritten.tflite),
            "instructions": model_cost.instructions(model, rewritten.layers, self._target),
            "arena_bytes": model_cost.arena_bytes(model, rewritten.layers),
        }

    def _accuracy_drop(self, outputs: list[Matrix]) -> float | None:
        """In points, by the class of the highest score of the first output."""
        if self._labels is None:
            return None
        before, after = (
            float(np.mean(scores[0].reshape(len(self._labels), -1).argmax(axis=1) == self._labels))
            for scores in (self._wanted, outputs)
        )
        return 100 * (before - after)


def _checked(labels: Array, count: int) -> Array:
    found = np.asarray(labels).reshape(-1)
    if len(found) != count or not np.issubdtype(found.dtype, np.integer):
        raise ConfigError(
            f"labels are {found.dtype}{list(np.shape(labels))}, accepted: {count} integers, one "
            "for each sample"
        )
    return found
