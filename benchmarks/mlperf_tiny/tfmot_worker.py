"""Trains with TFMOT itself, in its own virtual environment: TFMOT works with Keras 2 only.

    python tfmot_worker.py REQUEST.json

The request holds the network's name, `epochs`, `samples`, `seed`, `zeros`, the folder `work`, the
file `initial` of the weights to begin with, and the file `trained` that is written; both are lists
of arrays in the order of `get_weights`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import recipe
from networks import NETWORKS


def main() -> None:
    import tensorflow_model_optimization as tfmot
    import tf_keras

    request = json.loads(Path(sys.argv[1]).read_text())
    recipe.prepare_tensorflow()
    network = NETWORKS[request["network"]]
    data = network.load(Path(request["work"]), request["seed"])
    count = request["samples"]
    data = replace(data, x_train=data.x_train[:count], y_train=data.y_train[:count])
    tf_keras.utils.set_random_seed(request["seed"])
    model = network.build(tf_keras)
    initial = np.load(request["initial"])
    model.set_weights([initial[name] for name in initial.files])
    pruned = wrap(model, request, recipe.steps_per_epoch(network, data))
    update = tfmot.sparsity.keras.UpdatePruningStep()
    recipe.fit(
        tf_keras,
        pruned,
        network,
        data,
        epochs=request["epochs"],
        seed=request["seed"],
        callbacks=[update],
    )
    np.savez(request["trained"], *tfmot.sparsity.keras.strip_pruning(pruned).get_weights())


def wrap(model: Any, request: dict[str, Any], steps: int) -> Any:
    """Return `model` with TFMOT's pruning around each convolution and fully-connected layer.

    `PolynomialDecay` begins and ends where the phases of `ProximalL1` do: a tenth of the epochs is
    plain training, three tenths train the weights that are left. The rest are TFMOT's defaults.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    epochs = request["epochs"]
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=request["zeros"],
        begin_step=round(0.1 * epochs) * steps,
        end_step=round(0.7 * epochs) * steps,
    )

    def wrapped(layer: Any) -> Any:
        kinds = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)
        depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
        if depthwise or not isinstance(layer, kinds):
            return layer
        return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule)

    # clone_model takes the layer objects that it is given, so that weights stay.
    return tf_keras.models.clone_model(model, clone_function=wrapped)


if __name__ == "__main__":
    main()
