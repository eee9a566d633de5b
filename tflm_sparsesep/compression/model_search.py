"""Search for the best compressed model within a budget: quick fits first, then careful ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from threadpoolctl import threadpool_limits

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.trial_cache import Entry, TrialCache, model_entry, model_of
from tflm_sparsesep.compression.trials import Trial, Trials
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.rewrite import RewriteResult
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import CalibratedModel

Array = npt.NDArray[Any]

# Careful fits are better than quick ones: they are tried at this many higher levels.
_LEVELS_BEYOND = 20
# Where only sizes are limited: levels relative to that of quick fits, as careful fits may have
# slightly different sizes.
_LEVELS_ABOUT = (-4, -2, 0, 2, 5)


def search_model(
    entered: CalibratedModel,
    labels: Array | None,
    budget: Budget,
    target: str,
    *,
    cache_dir: Path | None,
    workers: int | None,
    progress: bool,
) -> tuple[bytes, RewriteResult, list[Point]]:
    """Return the best model before and after rewriting, its point and those of all trials.

    Raises ConfigError if the budget cannot be met; the arguments are those of `compress`.
    """
    cache = TrialCache(cache_dir, entered.tflite, target, labels, *entered.samples)

    def search() -> Entry:
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
        points = [trial.point, *(t.point for t in trials.done.values()), trial.point]
        return model_entry(trial.tflite, trial.rewritten, points)

    return model_of(cache.recall({"budget": vars(budget)}, search))


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
