"""The Python of docs/compressed_training.md, run as it stands on a model like the demo's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.opencl.deployed_models import deployed
from tests.opencl.oracle import random_layer
from tflm_sparsesep import datasets
from tflm_sparsesep.opencl import CompressedMLP, Device

PAGE = Path(__file__).parents[2] / "docs" / "compressed_training.md"


@pytest.mark.slow
def test_example_runs_as_it_stands(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.fashion_mnist()
    x, y = data.x_train[:5000].reshape(-1, 784), data.y_train[:5000]
    rng = np.random.default_rng(0)
    factory = CompressedMLP(
        [
            random_layer(rng, 300, 784, "1x1", zeros=0.9),
            random_layer(rng, 100, 300, "4x1", zeros=0.9),
            random_layer(rng, 10, 100, "1x1", zeros=0.0, activation=None),
        ],
        device=device,
    )
    factory.fit(x, y, epochs=4)
    folder = tmp_path / "build/demo"
    folder.mkdir(parents=True)
    model = deployed(factory.layers, x[:500], dtype="int8", image=(28, 28))
    (folder / "model_sparse.tflite").write_bytes(model)

    (example,) = re.findall(r"```python\n(from .*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)

    accuracies = []
    for model in (names["factory"], names["personal"]):
        (scores,) = names["ts"].run(model, names["x_test"], runtime="tflm")
        found = scores.reshape(1000, 10).argmax(axis=1) == names["y_test"]
        accuracies.append(float(found.mean()))
    assert accuracies[0] < 0.3
    assert accuracies[1] > 0.7
    assert len(names["personal"]) <= len(names["factory"])
