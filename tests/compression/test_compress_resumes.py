"""`compress` over processes and with its cache: the same bytes, resumed or not; other inputs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import float_fully_connected_model
from tests.support.models.latent_models import latent_samples, mlp
from tflm_sparsesep.compression.trial_cache import Entry
from tflm_sparsesep.model_input import int8_input

pytestmark = pytest.mark.slow

BUDGET = ts.Budget(min_output_sqnr_db=20)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return latent_samples(400, seed=0)


@pytest.fixture(scope="module")
def alone(x: np.ndarray) -> ts.CompressResult:
    """In one process, nothing kept."""
    return ts.compress(mlp(), budget=BUDGET, representative_dataset=x, cache_dir=None, workers=1)


def inodes(folder: Path) -> dict[str, int]:
    """A file that is written again gets another."""
    return {path.name: path.stat().st_ino for path in folder.glob("*.trial")}


def test_a_second_search_is_the_first_ones_result(
    x: np.ndarray,
    alone: ts.CompressResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = ts.compress(
        mlp(), budget=BUDGET, representative_dataset=x, cache_dir=tmp_path, workers=3
    )
    kept = inodes(tmp_path)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr("tflm_sparsesep.compression.trials.Trials", never)
    second = ts.compress(
        mlp(), budget=BUDGET, representative_dataset=x, cache_dir=str(tmp_path), workers=1
    )
    assert first == second == alone
    assert inodes(tmp_path) == kept


def test_fits_layers_trials_and_the_result_are_kept(x: np.ndarray, tmp_path: Path) -> None:
    found = ts.compress(
        mlp(), budget=BUDGET, representative_dataset=x, cache_dir=tmp_path, workers=1
    )
    entries = [Entry.from_bytes(path.read_bytes()) for path in tmp_path.glob("*.trial")]
    kinds = Counter(tuple(sorted(entry.values)) for entry in entries if entry is not None)
    assert kinds["options",] == 2
    # The result is kept apart from its trial, and its point is listed first and last.
    assert kinds["layers", "points"] == len(found.visited) - 1 + 1
    # Each layer is fitted in at least five families of up to four sizes.
    assert kinds["form", "shapes"] >= 2 * 5 * 3
    assert sum(kinds.values()) == len(entries)


def test_another_budget_uses_what_is_known_of_the_layers(x: np.ndarray, tmp_path: Path) -> None:
    ts.compress(mlp(), budget=BUDGET, representative_dataset=x, cache_dir=tmp_path)
    kept = inodes(tmp_path)
    other = ts.Budget(min_output_sqnr_db=22)
    found = ts.compress(mlp(), budget=other, representative_dataset=x, cache_dir=tmp_path)
    plain = ts.compress(mlp(), budget=other, representative_dataset=x, cache_dir=None)
    assert found == plain
    now = inodes(tmp_path)
    assert {name: now[name] for name in kept} == kept
    assert len(now) < 2 * len(kept)


# The command, killed as soon as it has kept its fifth entry.
KILLED = """
import os, signal
from tflm_sparsesep.cli import main
from tflm_sparsesep.compression.trial_cache import TrialCache
put, left = TrialCache.put, [5]
def put_or_die(*arguments):
    put(*arguments)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
TrialCache.put = put_or_die
main()
"""


def test_a_search_killed_within_a_layers_fits_goes_on_where_it_was(
    x: np.ndarray, alone: ts.CompressResult, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "in.tflite").write_bytes(mlp())
    trials = tmp_path / "trials"
    arguments = ["compress", "in.tflite", "-o", "out.tflite", "--data", "x.npy"]
    arguments += ["--min-sqnr", "20", "--workers", "1"]
    environment = os.environ | {"TFLM_SPARSESEP_CACHE": str(tmp_path)}

    def run(*start: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, *start, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, timeout=300
        )

    assert run("-c", KILLED).returncode == -signal.SIGKILL
    kept = inodes(trials)
    assert len(kept) == 5
    assert not (tmp_path / "out.tflite").exists()
    done = run("-m", "tflm_sparsesep")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.tflite").read_bytes() == alone.tflite
    now = inodes(trials)
    assert {name: now[name] for name in kept} == kept
    assert len(now) > len(kept)


def test_the_command_keeps_nothing_if_told_so(tmp_path: Path) -> None:
    model = float_fully_connected_model(
        np.random.default_rng(0).normal(size=(40, 96)).astype(np.float32),
        np.zeros(40, np.float32),
        input_shape=(1, 96),
    )
    x = latent_samples(136, seed=1)
    (tmp_path / "float.tflite").write_bytes(model)
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-m", "tflm_sparsesep", "compress", "float.tflite"]
    command += ["-o", "out.tflite", "--data", "x.npy", "--min-sqnr", "15", "--no-cache"]
    environment = os.environ | {"TFLM_SPARSESEP_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()
    found = ts.compress(
        model, budget=ts.Budget(min_output_sqnr_db=15), representative_dataset=x, cache_dir=None
    )
    assert (tmp_path / "out.tflite").read_bytes() == found.tflite
    assert len(found.tflite) < len(int8_input(model, x).tflite)


@pytest.mark.xdist_group("tensorflow")
def test_a_keras_model_is_quantized_and_compressed(x: np.ndarray) -> None:
    """Workers are forked from a process that has TensorFlow in it."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((96,)), keras.layers.Dense(40, bias_initializer="ones")])
    found = ts.compress(model, budget=BUDGET, representative_dataset=x, cache_dir=None, workers=2)
    assert found.point.sqnr_db >= 20
    assert len(found.tflite) < len(int8_input(model, x).tflite)
    (outputs,) = ts.run(found.tflite, x[3::4], runtime="tflm", dequantize=True)
    wanted = model.predict(x[3::4], verbose=0)
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.98
