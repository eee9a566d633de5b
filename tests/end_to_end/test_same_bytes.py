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
budget = ts.Budget(min_output_sqnr_db=12)
for workers in map(int, sys.argv[2:]):
    found = ts.compress(
        data, budget=budget, representative_dataset=x, workers=workers, cache_dir=None
    )
    files.append(found.tflite)
for file in files:
    print(hashlib.sha256(file).hexdigest())
"""


def hashes(seed: str, threads: str, workers: str) -> list[str]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    command = [
        sys.executable,
        "-c",
        CODE,
        str((SHARED_MODELS / "ad01_int8.tflite").resolve()),
        workers,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=Path("/")
    )
    return done.stdout.split()


@pytest.mark.slow
@needs_shared_models
def test_convert_and_compress() -> None:
    found = [hashes("0", "1", "1"), hashes("4294967295", "4", "3")]
    assert found[0] == found[1]
    assert len(set(found[0])) > 1
    dense = hashlib.sha256((SHARED_MODELS / "ad01_int8.tflite").read_bytes()).hexdigest()
    assert found[0][-1] != dense
