"""Samples that look random, or are too few, are named; real ones are not."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.latent_models import latent_samples, mlp
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.compression import sample_checks
from tflm_sparsesep.compression.sample_checks import looks_random, sample_warnings
from tflm_sparsesep.converters.tflite import editor


@pytest.mark.parametrize("count", [16, 30, 300])
@pytest.mark.parametrize("shape", [(16,), (640,), (49, 10, 1), (16, 16, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_independent_numbers_look_random(count: int, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert looks_random(rng.integers(-128, 128, (count, *shape)).astype(np.int8))
    assert looks_random(rng.normal(size=(count, *shape)).astype(np.float32))
    constant = np.zeros((count, *shape))
    constant[:, :2] = rng.normal(size=(count, 2, *shape[1:]))
    assert not looks_random(np.zeros((count, *shape)))  # nor can anything be said of it


@pytest.mark.parametrize("count", [16, 30, 300])
@pytest.mark.parametrize("seed", range(3))
def test_what_few_causes_explain_does_not(count: int, seed: int) -> None:
    assert not looks_random(latent_samples(count, seed))


@needs_shared_models
def test_real_inputs_do_not() -> None:
    folder = SHARED_MODELS.parent / "data"
    with np.load(folder / "mlperf_tiny_kws.npz") as found:
        assert not looks_random(found["x"][:16])
        assert not looks_random(found["x"][:300])
    with np.load(folder / "ad01_normal.npz") as found:
        assert not looks_random(found["frames"])
    with np.load(folder / "str_ww_calibration.npz") as found:
        assert not looks_random(found["specs"])


def test_compress_warns_of_random_samples_and_of_too_few() -> None:
    noise = np.random.default_rng(0).uniform(-3, 3, (400, 96)).astype(np.float32)
    budget = ts.Budget(flash_bytes=len(mlp()))
    with pytest.warns(UserWarning, match="look like random numbers"):
        result = ts.compress(mlp(), budget=budget, representative_dataset=noise, cache_dir=None)
    (line,) = result.warnings
    assert "\n" not in line
    assert result.to_json()["warnings"] == [line]
    few = sample_warnings(editor.read(mlp()), [latent_samples(60, 0)])
    (line,) = few
    assert "45 samples are left to fit layer 'fc0': 45 input vectors for 96 inputs" in line
    assert "give 3 times as many" in line
    assert sample_warnings(editor.read(mlp()), [latent_samples(128, 0)]) == []


def test_samples_that_are_all_the_same_say_nothing() -> None:
    (line,) = sample_warnings(editor.read(mlp()), [np.zeros((128, 96), np.float32)])
    assert "the 128 samples of input" in line
    assert "are all the same" in line


def test_the_command_warns_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "in.tflite").write_bytes(mlp())
    np.save(tmp_path / "x.npy", latent_samples(60, 0))
    command = [sys.executable, "-m", "tflm_sparsesep", "compress", "in.tflite", "-o", "out.tflite"]
    done = subprocess.run(
        [*command, "--data", "x.npy", "--flash", "1M", "--no-cache", "--unchanged"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("warning: in.tflite: 45 samples are left to fit layer 'fc0'")


def test_examples() -> None:
    result = doctest.testmod(sample_checks)
    assert result.attempted > 0
    assert result.failed == 0
