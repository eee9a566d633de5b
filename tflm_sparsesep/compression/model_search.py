"""Search for the best compressed model within a budget: quick fits first, then careful ones."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.factorization import DENSE
from tflm_sparsesep.compression.parallel import mapper, one_thread
from tflm_sparsesep.compression.silent_channels import silenced
from tflm_sparsesep.compression.trial_builder import BuilderCall, Trial, TrialJob, builder_of
from tflm_sparsesep.compression.trial_cache import Entry, model_entry, model_of
from tflm_sparsesep.compression.trials import Trials
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.rewrite import RewriteResult
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import CalibratedModel
from tflm_sparsesep.runtime.steps_bar import steps_bar

Array = npt.NDArray[Any]

# Trials of a search for quality that are built at the same time, whatever the number of workers.
_QUICK_AT_ONCE, _CAREFUL_AT_ONCE = 4, 2
# Where only sizes are limited: levels relative to that of quick fits, as careful fits may have
# slightly different sizes; and to the lowest level of noise at which they are small enough.
_LEVELS_ABOUT = (-2, 0, 2)
_LEVELS_BELOW = (0, 2, 4, 6, 8)
_MIDDLE = 80
# Weights in all layers from which processes pay.
_LEAST_PARALLEL = 2000


def search_model(
    entered: CalibratedModel,
    labels: Array | None,
    budget: Budget,
    target: str,
    *,
    prefer: Prefer | None,
    cache_dir: Path | None,
    workers: int | None,
    executor: Executor | None,
    progress: bool,
) -> tuple[bytes, RewriteResult, list[Point]]:
    """Return the best model before and after rewriting, its point and those of all trials.

    Raises ConfigError if the budget cannot be met; the arguments are those of `compress`.
    """
    job = TrialJob(entered.tflite, entered.samples, labels, target, entered.name, cache_dir, prefer)

    def search() -> Entry:
        with (
            _fits_kept(job, is_local=executor is None) as whole,
            steps_bar("trials", shown=progress) as on_step,
            one_thread(),
        ):
            kept = _without_silent(whole, budget)
            with mapper(
                BuilderCall(kept),
                workers=_enough(kept) if workers is None else workers,
                executor=executor,
                on_result=on_step,
            ) as calls:
                trials = Trials(kept, calls)
                trial = best_trial(trials, budget)
        # The quality limit can always be met: level 0 leaves the layers unchanged.
        if not budget.is_small(trial.point):
            raise ConfigError(_too_tight(entered.name, target, budget, trial))
        points = [trial.point, *(t.point for t in trials.done.values()), trial.point]
        return model_entry(trial.tflite, trial.rewritten, points)

    return model_of(job.cache().recall({"budget": vars(budget)}, search))


def _without_silent(job: TrialJob, budget: Budget) -> TrialJob:
    """Return the job with the silent channels that it may lose."""
    builder = builder_of(job)
    return replace(job, silenced=silenced(job.data, builder.layers, budget, builder.measured))


def _enough(job: TrialJob) -> int | None:
    """Return 1 where starting processes would take longer than all fits, else None."""
    weights = sum(layer.real.weights.size for layer in builder_of(job).layers)
    return 1 if weights < _LEAST_PARALLEL else None


@contextlib.contextmanager
def _fits_kept(job: TrialJob, *, is_local: bool) -> Iterator[TrialJob]:
    """Give workers of this machine a folder to share fits in while the search lasts."""
    if job.cache_dir is not None or not is_local:
        yield job
        return
    with tempfile.TemporaryDirectory() as folder:
        yield replace(job, cache_dir=Path(folder))


def best_trial(trials: Trials, budget: Budget) -> Trial:
    """Return the smallest trial that keeps the quality, or the most exact one within the sizes."""
    if budget.asks_for_quality:
        return _smallest(trials, budget)
    end = budget_search.smallest_share(lambda level: trials.trial(level, budget).point, budget)
    quick = trials.trial(end.level, budget)
    if not budget.is_small(end):
        return trials.finished(quick, budget)
    return _most_exact(trials, quick, budget)


def _smallest(trials: Trials, budget: Budget) -> Trial:
    """Return the trial of the highest level that keeps the quality; that of level 0 does.

    Which levels are tried does not depend on the limit. A lower limit ends the search at a level
    that comes before, and what it finds there, a higher limit that it keeps finds, too: unless
    careful fits gained more than `Budget.may_keep_quality` takes for possible.
    """
    levels = budget_search.levels_downward()
    for start in range(0, len(levels), _QUICK_AT_ONCE):
        quick = trials.trials(levels[start : start + _QUICK_AT_ONCE], budget)
        hopeful = [t for t in quick if budget.may_keep_quality(t.point, changed=_changed(t))]
        for first in range(0, len(hopeful), _CAREFUL_AT_ONCE):
            some = hopeful[first : first + _CAREFUL_AT_ONCE]
            careful = trials.trials([t.point.level for t in some], budget, effort=2)
            for pair in zip(careful, some, strict=True):
                found = _kept(trials, budget, *pair)
                if found is not None:
                    return found
    return trials.trial(0, budget)


def _changed(trial: Trial) -> int:
    return sum(form != DENSE for form in trial.forms)


def _kept(trials: Trials, budget: Budget, careful: Trial, quick: Trial) -> Trial | None:
    """Return the first of two trials of a level that keeps the quality, finished.

    One that is small enough, too, is preferred.
    """
    kept = None
    for trial in (careful, quick):
        found = trials.finished(trial, budget)
        if budget.keeps_quality(found.point):
            if budget.is_small(found.point):
                return found
            kept = kept or found
    return kept


def _most_exact(trials: Trials, quick: Trial, budget: Budget) -> Trial:
    """Return the best of the quick trial and some careful ones that keep the sizes.

    They are those about its level, and those of a search for quality: its choices are others, and
    the noise of a choice is but an estimate.
    """
    found = [quick, *_careful(trials, quick.point.level, _LEVELS_ABOUT, budget)]
    by_noise = Budget(min_output_sqnr_db=budget_search.LEAST_DB, arena_bytes=budget.arena_bytes)
    too_large = budget_search.edge(
        lambda level: not budget.is_small(trials.trial(level, by_noise).point),
        0,
        budget_search.LEVELS - 1,
        _MIDDLE,
    )
    found += _careful(trials, too_large + 1, _LEVELS_BELOW, by_noise)
    small = [t for t in (trials.finished(t, budget) for t in found) if budget.is_small(t.point)]
    return max(small, key=lambda t: t.point.sqnr_db)


def _careful(trials: Trials, level: int, steps: Sequence[int], budget: Budget) -> list[Trial]:
    """Return careful trials at some steps from a level."""
    levels = [level + step for step in steps if 0 <= level + step < budget_search.LEVELS]
    return trials.trials(levels, budget, effort=2)


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
