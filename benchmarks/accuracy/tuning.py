"""Choices made on a validation split of the training data, kept in tuning.json.

Whatever is missing there is trained when it is asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import store
from evaluate import float_accuracy
from jobs import Job, Trained, kernels
from methods import dense, l1_threshold, tfmot
from models import MODELS
from settings import Setting, goals
from training import Recipe

FILE = store.FOLDER / "tuning.json"
_SEEDS = (0, 1, 2)
_ONE_SEED = (0,)
_L1_STRENGTHS = (3e-5, 1e-4, 3e-4)
_INITIAL_SPARSITIES = (0.0, 0.5)
_TFMOT_GOAL = 0.95
# Ten times the work of the others: TFMOT's options are those that were best for its smaller kin.
_TUNED_AS = {"lenet_5": "lenet_300_100"}

T = TypeVar("T", float, str)


def recipe(model: str) -> Recipe:
    """The recipe of all methods: the rate is the one with which the dense network does best."""
    spec = MODELS[model]

    def accuracy(rate: float, seed: int) -> float:
        candidate = Recipe(spec.epochs, spec.batch_size, rate)
        return _judged(dense.train, _job(model, "dense", None, seed, candidate))

    rate = _best(model, "learning_rate", spec.learning_rates, accuracy)
    return Recipe(spec.epochs, spec.batch_size, rate)


def options(setting: Setting) -> dict[str, Any]:
    """What was chosen for the method of `setting`."""
    if setting.method == "tfmot":
        return _tfmot_options(setting)
    if setting.method == "l1_threshold":
        assert setting.zeros_goal is not None
        return {"l1": _l1_strength(setting.model, setting.zeros_goal)}
    return {}


def _tfmot_options(setting: Setting) -> dict[str, Any]:
    model = _TUNED_AS.get(setting.model, setting.model)
    common = recipe(model)

    def accuracy(at: Setting, initial: float, output_layer: str) -> float:
        chosen = {"initial_sparsity": initial, "output_layer": output_layer}
        return _judged(tfmot.train, Job(at, common, chosen, validation=True))

    def of_initial(initial: float, seed: int) -> float:
        return accuracy(Setting(model, "tfmot", "1x1", _TFMOT_GOAL, seed), initial, "pruned")

    def of_output_layer(output_layer: str, seed: int) -> float:
        return accuracy(replace(setting, seed=seed), initial, output_layer)

    initial = _best(model, "initial_sparsity", _INITIAL_SPARSITIES, of_initial)
    assert setting.zeros_goal is not None
    job = Job(setting, common)
    sizes = [math.prod(kernel.shape) for kernel in kernels(job.new_model())]
    candidates = tfmot.output_layers(sizes, setting.zeros_goal)
    if model != setting.model:  # whose goals differ: a dense output layer was best from 95% on
        return {"initial_sparsity": initial, "output_layer": candidates[-1]}
    what = f"output_layer {setting.pattern} {setting.zeros_goal:g}"
    # Where it matters, it matters far more than a seed does.
    output_layer = _best(model, what, candidates, of_output_layer, seeds=_ONE_SEED)
    return {"initial_sparsity": initial, "output_layer": output_layer}


def _l1_strength(model: str, goal: float) -> float:
    def accuracies(strength: float, seed: int) -> dict[float, float]:
        """One training serves all goals: the threshold comes after it."""
        job = _job(model, "l1_threshold", goal, seed, recipe(model))
        trained = l1_threshold.train_regularized(job, strength).model
        judged = {}
        for one_goal in sorted(goals(model)):  # rising: each adds to the zeros of the one before
            l1_threshold.threshold(trained, one_goal)
            judged[one_goal] = float_accuracy(trained, job.data)
        return judged

    memo: dict[tuple[float, int], dict[float, float]] = {}

    def accuracy(one_goal: float) -> Callable[[float, int], float]:
        def of(strength: float, seed: int) -> float:
            if (strength, seed) not in memo:
                memo[strength, seed] = accuracies(strength, seed)
            return memo[strength, seed][one_goal]

        return of

    best = {g: _best(model, f"l1 {g:g}", _L1_STRENGTHS, accuracy(g)) for g in goals(model)}
    return best[goal]


def _job(
    model: str,
    method: str,
    goal: float | None,
    seed: int,
    recipe: Recipe,
    options: dict[str, Any] | None = None,
) -> Job:
    return Job(Setting(model, method, "1x1", goal, seed), recipe, options or {}, validation=True)


def _judged(train: Callable[[Job], Trained], job: Job) -> float:
    return float_accuracy(train(job).model, job.data)


def _best(
    model: str,
    name: str,
    candidates: tuple[T, ...],
    accuracy: Callable[[T, int], float],
    seeds: tuple[int, ...] = _SEEDS,
) -> T:
    """The candidate with the best mean accuracy over the seeds; the first of equals."""
    if model == "lenet_5":
        seeds = _ONE_SEED

    def mean(candidate: T) -> float:
        found = _read().get(model, {}).get(name, {}).get(str(candidate), [])
        for seed in seeds[len(found) :]:
            found.append(round(accuracy(candidate, seed), 5))
            document = _read()
            document.setdefault(model, {}).setdefault(name, {})[str(candidate)] = found
            store.write_json(FILE, document)
            print(f"{model}: {name} {candidate}: {found} on the validation split", flush=True)
        return float(sum(found) / len(found))

    return max(candidates, key=mean)


def _read() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return document
