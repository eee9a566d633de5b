"""The demo as a user runs it, on a twentieth of the images."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tflm_sparsesep.datasets import DEBIAN_FASHION_MNIST

IMAGES = {"train": 3000, "t10k": 500}


def write_subset(folder: Path) -> None:
    """The first images of Fashion-MNIST in its own file format."""
    for split, count in IMAGES.items():
        for kind, header, width in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            name = f"{split}-{kind}-ubyte.gz"
            data = gzip.decompress((DEBIAN_FASHION_MNIST / name).read_bytes())
            cut = data[:4] + struct.pack(">I", count) + data[8 : header + count * width]
            (folder / name).write_bytes(gzip.compress(cut))


@pytest.mark.slow
@pytest.mark.skipif(
    not DEBIAN_FASHION_MNIST.is_dir(),
    reason="no Fashion-MNIST: sudo apt install dataset-fashion-mnist",
)
def test_demo(tmp_path: Path) -> None:
    write_subset(tmp_path)
    output = tmp_path / "demo"
    command = [sys.executable, "-m", "tflm_sparsesep", "demo", "--data", str(tmp_path)]
    done = subprocess.run(
        [*command, "--output", str(output)],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""  # no chatter of TensorFlow
    assert "total" in done.stdout

    summary = json.loads((output / "summary.json").read_text())
    assert sorted(path.name for path in output.iterdir()) == [
        "model_dense.tflite",
        "model_sparse.tflite",
        "summary.json",
    ]
    assert summary["dense_tflite_bytes"] == (output / "model_dense.tflite").stat().st_size
    assert summary["sparse_tflite_bytes"] == (output / "model_sparse.tflite").stat().st_size
    assert summary["sparse_tflite_bytes"] <= 0.30 * summary["dense_tflite_bytes"]
    assert summary["zeros"] >= 0.90
    # 3,000 images train to about 83%: the bound tells a working path from a broken one.
    for name in ("float_accuracy", "dense_int8_accuracy", "sparse_int8_accuracy"):
        assert 0.75 < summary[name] < 1.0
    if summary["bit_exact_tflm_vs_cortex_m"] is None:
        pytest.skip("no emulator: " + done.stdout)
    assert summary["bit_exact_tflm_vs_cortex_m"] is True
    assert summary["device_samples"] >= 100
    first = summary["layers"][0]
    # Channels that are constant leave the model; the dense figure of a layer is that of the others.
    assert first["rows"] < 300
    assert first["cols"] == 784
    # Of the three layers, the reshape and the softmax.
    assert summary["dense_instructions"] == 521199 + 548 + 5393
    assert sum(x["sparse_instructions"] for x in summary["layers"]) * 2.5 <= 521199
    assert np.isclose(
        first["speedup"], first["dense_instructions"] / first["sparse_instructions"], 1e-3
    )
