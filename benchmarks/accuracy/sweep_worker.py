"""Runs one setting: imports TensorFlow, which the report does without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import store
import training
import tuning
from environment import BUILD
from evaluate import evaluate
from jobs import Job, zeros
from methods import TRAIN
from settings import Setting

training.prepare_tensorflow()


def run(setting: Setting) -> store.Row:
    """Trains and evaluates; the content of the run's line."""
    recipe = tuning.recipe(setting.model)
    options = tuning.options(setting)
    job = Job(setting, recipe, options | _probes(setting))
    trained = TRAIN[setting.method](job)
    weights = _weights_file(setting)
    weights.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(weights, *trained.model.get_weights())
    return {
        **vars(setting),
        **vars(recipe),
        **options,
        "search_epochs": 0,
        "zeros": round(zeros(trained.model), 6),
        **evaluate(trained.model, job.data),
        "seconds": round(trained.seconds, 1),
        **trained.notes,
    }


def run_evaluation(setting: Setting, row: store.Row) -> store.Row | None:
    """`row` with what `convert` and TFLM make of its weights now; None without the weights."""
    if not _weights_file(setting).exists():
        return None
    job = Job(setting, tuning.recipe(setting.model))
    model = job.new_model()
    saved = np.load(_weights_file(setting))
    model.set_weights([saved[name] for name in saved.files])
    return row | evaluate(model, job.data)


def _weights_file(setting: Setting) -> Path:
    return BUILD / "weights" / f"{setting.name}.npz"


def _probes(setting: Setting) -> dict[str, Any]:
    """What strengths gave in runs of other seeds and goals (see methods/lee_lee.py)."""
    if not setting.method.startswith("lee_lee"):
        return {}
    others = [
        row
        for other, row in store.kept().items()
        if (other.model, other.method) == (setting.model, setting.method)
    ]
    return {"probes": [tuple(p) for row in others for p in row["probes"]]}
