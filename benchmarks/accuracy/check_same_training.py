"""Checks that TFMOT's Keras 2 process trains like the other methods' Keras 3.

    python benchmarks/accuracy/check_same_training.py [MODEL] [EPOCHS]

Trains a network in both, TFMOT with a goal of no zeros, and compares the weights.
"""

from __future__ import annotations

import sys

import numpy as np
import training
from jobs import Job
from methods import dense, tfmot
from settings import Setting


def main() -> int:
    training.prepare_tensorflow()
    model = sys.argv[1] if len(sys.argv) > 1 else "watch_dnn"
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    recipe = training.Recipe(epochs, 128, 1e-3)
    options = {"initial_sparsity": 0.0, "output_layer": "pruned"}
    ours = dense.train(Job(Setting(model, "dense", "1x1", None, 0), recipe))
    theirs = tfmot.train(Job(Setting(model, "tfmot", "1x1", 0.0, 0), recipe, options))
    pairs = zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True)
    largest = max(float(np.abs(a - b).max()) for a, b in pairs)
    print(f"{model}, {epochs} epochs: largest difference of two weights {largest:g}")
    return 1 if largest else 0


if __name__ == "__main__":
    sys.exit(main())
