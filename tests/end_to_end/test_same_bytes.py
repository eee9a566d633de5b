"""The same input gives the same bytes, whatever the threads and the hash seed are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models

CODE = """
import hashlib, sys
from pathlib import Path
import numpy as np
import tflm_sparsesep as ts

data = Path(sys.argv[1]).read_bytes()
x = np.random.default_rng(0).integers(-128, 128, (60, 640)).astype(np.int8)
files = [ts.convert(data).tflite, ts.convert(data, representative_dataset=x).tflite]
budget = ts.Budget(flash_bytes=len(data) * 6 // 10)
for workers in map(int, sys.argv[2:]):
    found = ts.compress(
        data, budget=budget, representative_dataset=x, workers=workers, cache_dir=None
    )
    files.append(found.tflite)
for file in files:
    print(hashlib.sha256(file).hexdigest())
"""

# No convolution: TensorFlow sums up its gradients in an order that follows the threads, in any fit.
FIT_CODE = """
import hashlib
import keras
import numpy as np
import tflm_sparsesep as ts

rng = np.random.default_rng(0)
x = rng.normal(size=(256, 32)).astype(np.float32)
y = rng.integers(0, 4, 256)
goals = ({"zeros": 0.8, "values": "palette"}, {"flash_bytes": 1500, "pattern": "auto"})
for goal in goals:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((32,)),
        layers.Dense(32, "relu"),
        layers.Dropout(0.2),
        layers.Dense(16, "relu"),
        layers.Dense(4, "softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=5, verbose=0, callbacks=[ts.ProximalL1(**goal)])
    weights = b"".join(w.tobytes() for w in model.get_weights())
    converted = ts.convert(model, representative_dataset=x[:50])
    for data in (weights, converted.tflite):
        print("sha256", hashlib.sha256(data).hexdigest())
"""


def hashes(seed: str, threads: str, workers: str) -> list[str]:
    model = str((SHARED_MODELS / "ad01_int8.tflite").resolve())
    return printed(seed, threads, CODE, model, workers).split()


def fit_hashes(seed: str, threads: str) -> list[str]:
    """Hashes of weights and converted models; TensorFlow prints lines of its own."""
    lines = printed(seed, threads, FIT_CODE).splitlines()
    return [line for line in lines if line.startswith("sha256 ")]


def printed(seed: str, threads: str, *arguments: str) -> str:
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    environment = {**os.environ, **dict.fromkeys(counts, threads), "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=Path("/"),
    )
    return done.stdout


@pytest.mark.slow
@needs_shared_models
def test_convert_and_compress() -> None:
    found = [hashes("0", "1", "1"), hashes("4294967295", "4", "3")]
    assert found[0] == found[1]
    assert len(set(found[0])) > 1
    dense = hashlib.sha256((SHARED_MODELS / "ad01_int8.tflite").read_bytes()).hexdigest()
    assert found[0][-1] != dense


@pytest.mark.slow
def test_fit() -> None:
    found = [fit_hashes("0", "1"), fit_hashes("4294967295", "4")]
    assert found[0] == found[1]
    assert len(set(found[0])) == 4
