"""TFMOT itself, in a process of its own virtual environment: it needs Keras 2.

The network, its initial weights, the order of the batches, optimizer and rates are those of the
other methods. `PolynomialDecay` begins and ends where our phases do; its steps between two updates
are TFMOT's default. On the validation split are chosen its initial sparsity, and for each setting
whether the output layer is pruned like the others or stays dense, as TFMOT's guide advises for
layers that suffer.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import data
import numpy as np
from environment import BUILD, tfmot_python
from jobs import Job, Trained
from settings import phases

_WORKER = Path(__file__).parents[1] / "tfmot_worker.py"


class _Worker:
    """The process; it is started for the first job and kept, as TensorFlow takes long to load."""

    process: subprocess.Popen[str] | None = None

    @classmethod
    def ask(cls, request: dict[str, Any]) -> dict[str, Any]:
        """Sends one request and waits for its answer."""
        if cls.process is None:
            cls.process = subprocess.Popen(
                [tfmot_python(), _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        assert cls.process.stdin is not None
        assert cls.process.stdout is not None
        cls.process.stdin.write(json.dumps(request) + "\n")
        cls.process.stdin.flush()
        answer = cls.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{_WORKER.name} ended with status {cls.process.wait()}")
        reply: dict[str, Any] = json.loads(answer)
        return reply


def output_layers(kernel_sizes: list[int], goal: float) -> tuple[str, ...]:
    """What `output_layer` can be: a dense one must leave the others enough to prune.

    Args:
        kernel_sizes: weights of each layer, the output layer last.
        goal: fraction of zeros over all of them.
    """
    possible = goal * sum(kernel_sizes) < sum(kernel_sizes[:-1])
    return ("pruned", "dense") if possible else ("pruned",)


def train(job: Job) -> Trained:
    """The options are `initial_sparsity` and `output_layer`, which is "pruned" or "dense"."""
    model = job.new_model()
    warmup, debias = phases(job.recipe.epochs)
    rows, columns = (int(size) for size in job.setting.pattern.split("x"))
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        initial, weights = Path(folder) / "initial.npz", Path(folder) / "weights.npz"
        np.savez(initial, *model.get_weights())
        answer = _Worker.ask(
            {
                "model": job.setting.model,
                "seed": job.setting.seed,
                "recipe": vars(job.recipe),
                "data": str(data.exported(job.spec.dataset, validation=job.validation)),
                "initial_weights": str(initial),
                "weights": str(weights),
                "zeros_goal": job.goal,
                "initial_sparsity": job.options["initial_sparsity"],
                "output_layer": job.options["output_layer"],
                "begin_epoch": warmup,
                "end_epoch": job.recipe.epochs - debias,
                # Keras' kernels are [inputs, outputs]: a block lies the other way round.
                "block_size": [columns, rows],
            }
        )
        trained = np.load(weights)
        model.set_weights([trained[name] for name in trained.files])
    return Trained(model, answer["seconds"])
