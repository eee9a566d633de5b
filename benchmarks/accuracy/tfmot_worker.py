"""Trains with TFMOT itself. Runs in its own virtual environment, which has tf-keras and TFMOT.

Reads one request per line of standard input (`Request` as JSON), writes one answer per line:
{"seconds": CPU seconds of the training}, and the trained weights to the file that was asked for.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import training
from models import MODELS

_FREQUENCY = 100  # TFMOT's default: steps between two updates of the masks


def main() -> None:
    # What TensorFlow prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    training.prepare_tensorflow()
    for line in sys.stdin:
        answers.write(json.dumps(train(json.loads(line))) + "\n")


def train(request: dict[str, Any]) -> dict[str, Any]:
    """One training; the request is written by methods/tfmot.py."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    spec = MODELS[request["model"]]
    data = np.load(request["data"])
    x = data["x_train"].reshape(-1, *spec.input_shape)
    recipe = training.Recipe(**request["recipe"])
    initial = np.load(request["initial_weights"])
    model = spec.build(tf_keras)
    model.set_weights([initial[name] for name in initial.files])
    pruned = wrap(model, request, recipe.steps_per_epoch(len(x)))
    seconds = training.fit(
        tf_keras,
        pruned,
        x,
        data["y_train"],
        recipe,
        request["seed"],
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
        one_call_per_epoch=False,  # the callback counts the steps
    )
    np.savez(request["weights"], *tfmot.sparsity.keras.strip_pruning(pruned).get_weights())
    return {"seconds": seconds}


def wrap(model: Any, request: dict[str, Any], steps_per_epoch: int) -> Any:
    """`model` with TFMOT's pruning around every layer that it can prune.

    With `output_layer` "dense" the last layer stays as it is, and the others are pruned the more.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    begin = request["begin_epoch"] * steps_per_epoch
    # Masks change at begin, begin + 100, ...: the last of them must get the whole goal.
    updates = (request["end_epoch"] * steps_per_epoch - begin) // _FREQUENCY
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=request["initial_sparsity"],
        final_sparsity=sparsity(model, request),
        begin_step=begin,
        end_step=begin + updates * _FREQUENCY,
        frequency=_FREQUENCY,
    )

    dense_output = model.layers[-1] if request["output_layer"] == "dense" else None

    def wrapped(layer: Any) -> Any:
        # TFMOT refuses blocks for kernels that are no matrices: convolutions stay unstructured.
        block = request["block_size"] if isinstance(layer, tf_keras.layers.Dense) else (1, 1)
        if not layer.weights or layer is dense_output:
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule, block_size=tuple(block))

    # clone_model takes the layer objects that it is given, so that weights stay.
    return tf_keras.models.clone_model(model, clone_function=wrapped)


def sparsity(model: Any, request: dict[str, Any]) -> float:
    """The share of zeros in each pruned layer with which the whole network reaches the goal."""
    sizes = [int(np.prod(layer.kernel.shape)) for layer in model.layers if layer.weights]
    pruned = sizes[:-1] if request["output_layer"] == "dense" else sizes
    return float(request["zeros_goal"] * sum(sizes) / sum(pruned))


if __name__ == "__main__":
    main()
