"""The README's Python examples, run as they stand one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"

# A small model and data for the names that the example takes for granted.
SETUP = """
import keras
import numpy as np

rng = np.random.default_rng(0)
x = rng.random((500, 12, 12)).astype(np.float32)
y = rng.integers(0, 4, 500)
model = keras.Sequential([
    keras.Input((12, 12)),
    keras.layers.Flatten(),
    keras.layers.Dense(100, activation="relu"),
    keras.layers.Dense(4, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy")
"""
CHECKS = """
assert any(layer.rewritten for layer in result.layers)
assert [array.shape for array in outputs] == [(10, 4)]
assert all(layer.bit_exact for layer in figures)
assert small.output_shape == model.output_shape
print("examples ran")
"""


def examples() -> str:
    return "".join(re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))


@pytest.mark.slow
def test_python_examples_run_as_they_stand() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + examples() + CHECKS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "examples ran" in done.stdout
