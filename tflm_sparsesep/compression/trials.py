"""Choose combinations of factorizations at the levels of a search, and have them built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget
from tflm_sparsesep.compression.factorization import DENSE
from tflm_sparsesep.compression.form_choice import Front, Option
from tflm_sparsesep.compression.trial_builder import (
    Forms,
    Trial,
    TrialBuilder,
    TrialJob,
    builder_of,
)
from tflm_sparsesep.converters.cost.cost import Cost

Calls = Callable[[Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]], list[Any]]
"""Run methods of the builder of a job with their arguments."""


class Trials:
    """Tries combinations of factorizations of one model, each once.

    Args:
        job: the model and its samples.
        calls: runs `BuilderCall` of the job (`mapper`), perhaps in several processes.
    """

    def __init__(self, job: TrialJob, calls: Calls) -> None:
        self.done: dict[tuple[Forms, int], Trial] = {}
        self._calls = calls
        self._layers = builder_of(job).layers
        indices = [(index,) for index in range(len(self._layers))]
        self._options: list[list[Option]] = self._map(TrialBuilder.options, indices)
        self._fronts: dict[float, Front] = {}
        self._rest = self._without_layers()

    def trial(self, level: int, budget: Budget, *, effort: int = 1) -> Trial:
        """Return the best combination at a level of the search for a budget."""
        return self.trials([level], budget, effort=effort)[0]

    def trials(self, levels: Sequence[int], budget: Budget, *, effort: int = 1) -> list[Trial]:
        """Return the same for several levels, built at the same time."""
        return self._of([(self._forms(level, budget), level, effort) for level in levels])

    def finished(self, trial: Trial, budget: Budget) -> Trial:
        """Return the trial with sparse layers that were not rewritten back as they were."""
        kept = {layer.name for layer in trial.rewritten.layers if layer.rewritten}
        pairs = zip(trial.forms, self._layers, strict=True)
        forms = tuple(
            DENSE if form.kind == "sparse" and layer.name not in kept else form
            for form, layer in pairs
        )
        if forms == trial.forms:
            return trial
        (better,) = self._of([(forms, trial.point.level, trial.effort)])
        limit = max(trial.point.flash_bytes, budget.flash_bytes or 0)
        keeps = budget.keeps_quality(better.point) and better.point.flash_bytes <= limit
        return better if keeps else trial

    def _forms(self, level: int, budget: Budget) -> Forms:
        if not level:
            return (DENSE,) * len(self._options)
        return self._front(budget).choose(budget_search.limits(level, budget))

    def _front(self, budget: Budget) -> Front:
        arena = math.inf if budget.arena_bytes is None else float(budget.arena_bytes)
        if arena not in self._fronts:
            self._fronts[arena] = Front(self._options, arena, rest=self._rest)
        return self._fronts[arena]

    def _without_layers(self) -> Cost:
        """Return the cost of the converted model without that of its layers."""
        whole = self._of([((DENSE,) * len(self._options), 0, 1)])[0].point
        layers = [options[0] for options in self._options]
        return Cost(
            max(0, round(whole.flash_bytes - sum(one.flash_bytes for one in layers))),
            max(0, round(whole.instructions - sum(one.instructions for one in layers))),
        )

    def _of(self, wanted: Sequence[tuple[Forms, int, int]]) -> list[Trial]:
        """Return trials of forms, at a level, with an effort; each is built once."""
        new = {
            (forms, effort): (forms, level, effort)
            for forms, level, effort in wanted
            if (forms, effort) not in self.done
        }
        built = self._map(TrialBuilder.trial, list(new.values()))
        self.done |= dict(zip(new, built, strict=True))
        found = [(self.done[forms, effort], level) for forms, level, effort in wanted]
        return [replace(t, point=replace(t.point, level=level)) for t, level in found]

    def _map(self, method: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self._calls([(method, values) for values in arguments])
