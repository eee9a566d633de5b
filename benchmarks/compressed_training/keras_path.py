"""The Keras path, in a process of its own: TensorFlow and pocl end each other in one.

    python keras_path.py SEED OUTPUT.npz

trains LeNet-300-100 on Fashion-MNIST as `benchmarks/accuracy` does and saves two starts of
debiasing with what Keras makes of them, weights being the list of `get_weights`:

- `ours`: `ProximalL1(zeros=0.9)` at the epoch in which its debias phase begins, then its end;
- `pruned`: the dense network without its smallest weights, then trained on that support.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "accuracy"))
jobs, settings, training = map(importlib.import_module, ("jobs", "settings", "training"))

MODEL = "lenet_300_100"
ZEROS = 0.9
RECIPE = training.Recipe(epochs=20, batch_size=128, learning_rate=3e-3)
FINE_TUNING = training.Recipe(epochs=6, batch_size=128, learning_rate=1e-3)


def main(seed: int, output: Path) -> None:
    """Trains both and writes `output`."""
    training.prepare_tensorflow()
    found = _ours(seed) | _pruned(seed)
    flat = {
        f"{name}/{i}": array
        for name, value in found.items()
        for i, array in enumerate(value if isinstance(value, list) else [value])
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(output, **flat)


def _ours(seed: int) -> dict[str, Any]:
    import keras

    from tflm_sparsesep import ProximalL1

    _, debias_epochs = settings.phases(RECIPE.epochs)
    start: dict[str, Any] = {}

    class Snapshot(keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps weights and accuracy at the beginning of the debias phase."""

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == RECIPE.epochs - debias_epochs:
                start["ours_start"] = self.model.get_weights()

    job = _job("ours", ZEROS, seed)
    model = job.new_model()
    job.fit(model, [ProximalL1(zeros=ZEROS), Snapshot()])
    return start | {"ours_end": model.get_weights(), "ours_accuracy": _accuracy(model, job)}


def _pruned(seed: int) -> dict[str, Any]:
    import keras

    job = _job("dense", None, seed)
    model = job.new_model()
    job.fit(model)
    dense = _accuracy(model, job)
    kernels = jobs.kernels(model)
    level = np.quantile(np.abs(np.concatenate([np.ravel(k) for k in kernels])), ZEROS)
    for kernel in kernels:
        mask = (np.abs(np.asarray(kernel)) > level).astype(np.float32)
        kernel.assign(kernel * mask)
        kernel.constraint = _Support(mask)
    start = model.get_weights()
    data = job.data
    training.fit(keras, model, data.x_train, data.y_train, FINE_TUNING, seed)
    return {
        "dense_accuracy": dense,
        "pruned_start": start,
        "pruned_end": model.get_weights(),
        "pruned_accuracy": _accuracy(model, job),
    }


class _Support:
    """A constraint of Keras: what is 0 stays 0."""

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def __call__(self, weights: Any) -> Any:
        return weights * self.mask


def _job(method: str, zeros: float | None, seed: int) -> Any:
    return jobs.Job(settings.Setting(MODEL, method, "1x1", zeros, seed), RECIPE)


def _accuracy(model: Any, job: Any) -> float:
    scores = model.predict(job.data.x_test, batch_size=1000, verbose=0)
    return float(np.mean(scores.argmax(axis=1) == job.data.y_test))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
