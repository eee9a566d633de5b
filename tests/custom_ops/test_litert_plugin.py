"""The delegate as LiteRT 2's accelerator: outputs in CompiledModel equal TFLM's to the bit."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import tflm_sparsesep as ts
from tests.support.models.operator_models import lenet_5, lenet_300_100
from tests.support.models.shared_models import shared_model
from tests.support.opencl_device import needs_opencl
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor

WORKER = Path(__file__).parents[1] / "support/compiled_model_worker.py"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert.environment") is None,
    reason="LiteRT without environments: pip install 'ai-edge-litert>=2.3'",
)

MODELS: dict[str, Callable[[], bytes]] = {
    "demo": lambda: ts.convert(lenet_300_100(quantized=True).build()).tflite,
    "kws": lambda: ts.convert(shared_model("kws_ref_model.tflite")).tflite,
    "lenet_5": lambda: ts.convert(lenet_5(quantized=True, zeros=0.9).build()).tflite,
}


def compiled(
    folder: Path, model: bytes, x: npt.NDArray[np.int8], *options: str
) -> tuple[npt.NDArray[np.int8], str]:
    """The outputs of a model in a process of its own, and all that it printed."""
    (folder / "model.tflite").write_bytes(model)
    np.save(folder / "x.npy", x)
    files = [str(folder / name) for name in ("model.tflite", "x.npy", "y.npy")]
    done = subprocess.run(
        [sys.executable, str(WORKER), *files, *options],
        capture_output=True,
        text=True,
        env={**os.environ, "TFLM_SPARSESEP_CACHE": str(folder / "cache")},
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-3000:]
    return np.load(folder / "y.npy"), printed


@needs_opencl
@pytest.mark.parametrize("backend", ["cpu", "opencl"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_tflm(tmp_path: Path, name: str, backend: str) -> None:
    model = MODELS[name]()
    shape = editor.read(model).subgraphs[0].inputs[0].shape
    x = np.random.default_rng(0).integers(-128, 128, (50, *shape[1:])).astype(np.int8)
    (expected,) = ts.run(model, x)
    found, printed = compiled(tmp_path, model, x, f"backend={backend}", "verbose=1")
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert len(np.unique(expected)) > 20
    assert f"sparsesep delegate: {'OpenCL' if backend == 'opencl' else 'the CPU'} runs" in printed
    if backend == "opencl":
        assert "fully accelerated: True" in printed


@needs_opencl
@pytest.mark.parametrize("backend", ["cpu", "opencl"])
def test_dense_convolutions_are_those_of_the_backend(tmp_path: Path, backend: str) -> None:
    # On the CPU they stay in LiteRT, which rounds once.
    graph = lenet_5(quantized=True)
    model, (x,) = ts.convert(graph.build()).tflite, graph.samples(50)
    x = x.reshape(50, 28, 28, 1)
    runtime = "tflm" if backend == "opencl" else "litert"
    (expected,) = ts.run(model, x, runtime=runtime)
    found, _ = compiled(tmp_path, model, x, f"backend={backend}")
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_options_reach_the_plugin(tmp_path: Path) -> None:
    model = MODELS["demo"]()
    x = np.zeros((1, 784), np.int8)
    _, quiet = compiled(tmp_path, model, x, "backend=cpu")
    assert "the CPU runs" not in quiet
    _, verbose = compiled(tmp_path, model, x, "backend=cpu", "verbose=1")
    assert "the CPU runs" in verbose


def test_other_options_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path))
    for option, reason in (("speed", "speed"), ("backend", "fast"), ("device", "x" * 256)):
        with pytest.raises(ConfigError, match=reason):
            ts.litert_environment(**{option: reason})
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with pytest.raises(ConfigError, match="tensorflow"):
        ts.litert_environment(backend="opencl")
    assert not list(tmp_path.iterdir())


def test_a_runtime_path_is_made_once_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path))
    folder = ts.litert_runtime_path(threads="2")
    assert ts.litert_runtime_path(threads="2") == folder
    assert ts.litert_runtime_path(threads="3") != folder
    plugin = folder / "libLiteRtGpuAccelerator.so"
    assert plugin.read_bytes() == ts.delegate_path().read_bytes()
    plugin.write_bytes(plugin.read_bytes()[:100])
    ts.litert_runtime_path(threads="2")
    assert plugin.read_bytes() == ts.delegate_path().read_bytes()
