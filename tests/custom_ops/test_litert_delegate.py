"""The delegate's CPU backend in LiteRT and in older runtimes, against TFLM."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, load_delegate

import tflm_sparsesep as ts
from tests.support.delegate_jobs import Array, Job, run_jobs
from tests.support.layers import check_outputs, layout_case
from tests.support.models.operator_models import GraphBuilder, autoencoder, conv1d, lenet_300_100
from tests.support.models.sparse_models import sparse_model
from tests.support.opencl_device import claimed_all, needs_opencl
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.runtime.delegate import delegate_path

ROOT = Path(__file__).parents[2]
RUNTIMES = {
    "installed": Path(sys.executable),
    **{
        name: ROOT / "build/runtimes" / name / "bin/python"
        for name in ("litert-2.0.3", "tflite-runtime-2.14.0")
    },
}
C_LIBRARY, C_LIBRARY_ARM64 = (
    ROOT / f"build/runtimes/c-library-{machine}/pymicro_wakeword/lib/libtensorflowlite_c.so"
    for machine in (platform.machine(), "aarch64")
)
INFERENCES = 1000


def sparse_version(graph: GraphBuilder) -> bytes:
    """The model with what pays rewritten; at least half of its layers do."""
    result = rewrite(graph.build(), target="cortex-m4")
    rewritten = [layer for layer in result.layers if layer.rewritten]
    assert len(rewritten) >= len(result.layers) // 2
    return result.tflite


def assert_agrees(outputs: Array, expected: Array) -> None:
    """int8 to the bit; float32 within 1e-5 of the largest output.

    The bound: ten layers whose sums have up to 640 terms at 90% zeros, errors adding up like a
    random walk: sqrt(10 * 64) halves of eps = 1.5e-6; a factor of 6 is left for their tails.
    """
    outputs = outputs.reshape(expected.shape)
    if expected.dtype == np.int8:
        assert len(np.unique(expected)) > 50
        np.testing.assert_array_equal(outputs, expected)
    else:
        assert np.abs(outputs - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.fixture(scope="module")
def models() -> list[tuple[bytes, list[Array], Array]]:
    """The demo's model, an autoencoder and convolutions, with inputs, and what TFLM gives."""
    found = []
    for make in (lenet_300_100, autoencoder, conv1d):
        for quantized in (True, False) if make is not conv1d else (True,):
            graph = make(quantized=quantized)
            model, inputs = sparse_version(graph), graph.samples(INFERENCES)
            found.append((model, inputs, runtimes.run(model, inputs)[0]))
    return found


def test_models_give_what_tflm_gives(models: list[tuple[bytes, list[Array], Array]]) -> None:
    for model, inputs, expected in models:
        (outputs,) = runtimes.run(model, inputs, runtime="litert")
        assert_agrees(outputs, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("backend", ["cpu", pytest.param("opencl", marks=needs_opencl)])
def test_python_runtimes(
    models: list[tuple[bytes, list[Array], Array]], name: str, backend: str, tmp_path: Path
) -> None:
    python = RUNTIMES[name]
    if not python.is_file():
        pytest.skip(f"no {name}: make runtimes")
    options = {"backend": backend, "verbose": "1"}
    jobs = [Job(model, inputs, options) for model, inputs, _ in models]
    results = run_jobs(tmp_path, jobs, python=str(python))
    for (_, _, expected), done in zip(models, results, strict=True):
        assert_agrees(done.outputs[0], expected)
        # OpenCL knows all of their operators, so none is left to the runtime.
        assert backend == "cpu" or claimed_all(done), done.messages


def run_c_example(
    models: list[tuple[bytes, list[Array], Array]],
    folder: Path,
    backend: str,
    *,
    compiler: str = "gcc",
    library: Path = C_LIBRARY,
    emulator: tuple[str, ...] = (),
    delegate: Path | None = None,
) -> None:
    """Run examples/litert_c on all models; without OpenCL, on the CPU."""
    if not library.is_file():
        pytest.skip("no TensorFlow Lite C library: make runtimes")
    source, program = ROOT / "examples/litert_c/run_model.c", folder / "run_model"
    options = ["-Wall", "-Wextra", "-Wl,--allow-shlib-undefined", f"-Wl,-rpath,{library.parent}"]
    subprocess.run([compiler, *options, source, library, "-ldl", "-o", program], check=True)
    for model, (inputs,), expected in models:
        (folder / "model.tflite").write_bytes(model)
        done = subprocess.run(
            [
                *emulator,
                *(program, folder / "model.tflite", delegate or ts.delegate_path()),
                backend,
            ],
            input=inputs.tobytes(),
            capture_output=True,
            check=True,
        )
        assert_agrees(np.frombuffer(done.stdout, expected.dtype), expected)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cpu", "opencl"])
def test_c_library(
    models: list[tuple[bytes, list[Array], Array]], backend: str, tmp_path: Path
) -> None:
    run_c_example(models, tmp_path, backend)


@pytest.mark.slow
def test_arm64_emulated(models: list[tuple[bytes, list[Array], Array]], tmp_path: Path) -> None:
    """Neon kernels in the delegate, which falls back from OpenCL to the CPU."""
    root = Path("/usr/aarch64-linux-gnu")
    if not C_LIBRARY_ARM64.is_file() or not (root / "lib/libstdc++.so.6").is_file():
        pytest.skip("no arm64 libraries: make runtimes; apt install libstdc++6-arm64-cross")
    tools, build = Path(sys.executable).parent, ROOT / "build/arm64"
    settings = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc",
        "CMAKE_MAKE_PROGRAM": str(tools / "ninja"),
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
    }
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    cmake = tools / "cmake"
    subprocess.run([cmake, "-S", ROOT, "-B", build, "-G", "Ninja", *defined], check=True)
    subprocess.run([cmake, "--build", build, "--target", "sparsesep_delegate"], check=True)
    run_c_example(
        models,
        tmp_path,
        "opencl",
        compiler="aarch64-linux-gnu-gcc",
        library=C_LIBRARY_ARM64,
        emulator=("qemu-aarch64", "-L", str(root)),
        delegate=build / "libsparsesep_delegate.so",
    )


def test_every_layout_shared_by_threads() -> None:
    """Layers large enough to be split by rows, with one vector and with several."""
    rng = np.random.default_rng(3)
    for number, layout in enumerate(LAYOUTS):
        batch = 1 if number % 2 else 11
        case = layout_case(rng, layout, 203, 401, zeros=0.3, batch=batch)
        options = {"backend": "cpu", "threads": "3"}
        interpreter = Interpreter(
            model_content=sparse_model(case, layout=layout),
            experimental_delegates=[load_delegate(str(ts.delegate_path()), options)],
        )
        check_outputs(case, run_once(interpreter, case.inputs))


def run_once(interpreter: Interpreter, inputs: Array) -> Array:
    (entry,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], inputs)
    interpreter.invoke()
    outputs: Array = interpreter.get_tensor(leaving["index"])
    return outputs


def test_dense_layers_are_left_to_litert_where_asked(tmp_path: Path) -> None:
    """One of three layers stays dense; with dense=litert, LiteRT runs both dense operators."""
    graph = GraphBuilder(5, quantized=True, zeros=0.95)
    hidden = graph.fully_connected(graph.input(1, 256), 128, "RELU")
    graph.zeros = 0.0
    graph.function("SOFTMAX", graph.fully_connected(hidden, 3))
    dense, inputs = graph.build(), graph.samples(200)
    model = rewrite(dense, target="cortex-m4").tflite
    options = [{"backend": "cpu", "verbose": "1", "dense": who} for who in ("tflm", "litert")]
    (exact, fast) = run_jobs(tmp_path, [Job(model, inputs, one) for one in options])
    assert any("3 of 3 operators" in line for line in exact.messages), exact.messages
    assert any("1 of 3 operators" in line for line in fast.messages), fast.messages
    (expected,) = runtimes.run(model, inputs)
    np.testing.assert_array_equal(exact.outputs[0].reshape(expected.shape), expected)
    # Logits may differ by a step of 0.1 either way: p * (1 - p) * 0.2 is at most 0.05 of softmax,
    # 12.8 steps of 1 / 256, and one for its own rounding.
    difference = fast.outputs[0].reshape(expected.shape).astype(int) - expected
    assert np.abs(difference).max() <= 13


def test_a_resized_batch() -> None:
    case = layout_case(np.random.default_rng(4), LAYOUTS[0], 20, 50, zeros=0.5, batch=1)
    larger = layout_case(np.random.default_rng(4), LAYOUTS[0], 20, 50, zeros=0.5, batch=6)
    interpreter = Interpreter(
        model_content=sparse_model(case),
        experimental_delegates=[load_delegate(str(ts.delegate_path()))],
    )
    check_outputs(case, run_once(interpreter, case.inputs))
    interpreter.resize_tensor_input(0, larger.inputs.shape)
    together = run_once(interpreter, larger.inputs)
    one_each = [runtimes.run(sparse_model(case), x[None])[0] for x in larger.inputs]
    np.testing.assert_array_equal(together, np.concatenate(one_each))


def test_windows_are_not_resized() -> None:
    # Windows across two inputs would be no convolution's.
    interpreter = Interpreter(
        model_content=sparse_version(conv1d(quantized=True)),
        experimental_delegates=[load_delegate(str(ts.delegate_path()))],
    )
    interpreter.resize_tensor_input(0, (25, 1, 60, 6))
    with pytest.raises(RuntimeError, match="SPARSE_FULLY_CONNECTED"):
        interpreter.allocate_tensors()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "gpu"}, "option backend=gpu is not accepted: cpu, opencl"),
        ({"colour": "red"}, "option colour is unknown; accepted: backend, device, precision,"),
        ({"precision": "int4"}, "option precision=int4 is not accepted: fp32, fp16"),
        ({"dense": "xnnpack"}, "option dense=xnnpack is not accepted: tflm, litert"),
        ({"threads": "0"}, "option threads=0 is not accepted: 1 to 64"),
        ({"verbose": "yes"}, "option verbose=yes is not accepted: 0, 1"),
        ({"cache_dir": "/no/such/folder"}, "is not accepted: a folder that can be written to"),
        ({"tune": "2"}, "option tune=2 is not accepted: 0, 1"),
        ({"tune": "1"}, "option tune=1 needs cache_dir"),
        ({"lanes": "3"}, "option lanes=3 is not accepted: a power of two, 1 to 64"),
        ({"lanes": "128"}, "option lanes=128 is not accepted: a power of two, 1 to 64"),
        ({"group_size": "0"}, "option group_size=0 is not accepted: a power of two, 1 to 1024"),
        ({"vectors": "2x"}, "option vectors=2x is not accepted: 1, 2, 4, 8"),
        ({"lanes": "32", "group_size": "16"}, "option lanes is larger than group_size"),
    ],
)
def test_bad_options_are_one_line(options: dict[str, str], message: str) -> None:
    from ai_edge_litert import interpreter

    path = str(delegate_path())
    with pytest.raises(ValueError, match=message) as caught:
        interpreter.load_delegate(path, options)
    # LiteRT puts its own line before the delegate's.
    assert "\n" not in str(caught.value).split(path)[-1].strip()
