"""The delegate's OpenCL backend: every operator, int8 against TFLM to the bit."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.delegate_jobs import Array, Done, Job, run_jobs, start_jobs
from tests.support.layers import check_outputs, layout_case
from tests.support.models.operator_models import GraphBuilder, conv1d, lenet_5
from tests.support.models.separable_models import separable_model
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tests.support.models.sparse_models import sparse_model
from tests.support.opencl_device import (
    OPENCL,
    build_opencl_shim,
    claimed_all,
    needs_opencl,
    platforms,
)
from tests.support.separable_layers import check_floats, random_shape
from tests.support.separable_layers import reference as separable_reference
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv
from tflm_sparsesep.converters.blob.pack_separable import pack as pack_separable
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.device.synthetic_separable import (
    random_float_separable,
    random_images,
    random_separable,
)

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, needs_opencl]


def operator_graphs(quantized: bool) -> Iterator[tuple[str, GraphBuilder]]:
    """Yield every operator that OpenCL computes, with shapes that are easy to get wrong."""

    def graph() -> GraphBuilder:
        return GraphBuilder(11, quantized=quantized)

    g = graph()
    g.fully_connected(g.fully_connected(g.input(3, 37), 29, "RELU"), 5)
    yield "fully connected, batch 3", g
    g = graph()
    x = g.conv(g.input(2, 9, 7, 3), 13, (3, 2), stride=(2, 1), activation="RELU6")
    g.conv(x, 5, (2, 2), dilation=(2, 1), padding="VALID")
    yield "convolution, strides, dilation, two images", g
    g = graph()
    x = g.conv(g.input(1, 8, 6, 4), 8, (3, 3), stride=(1, 2), depthwise=True)
    g.conv(x, 8, (2, 3), padding="VALID", depthwise=True, activation="RELU")
    yield "depthwise, multiplier 2", g
    for kind in ("MAX", "AVERAGE"):
        g = graph()
        x = g.pool(g.input(2, 7, 9, 3), kind, (3, 2), (2, 1), "SAME")
        g.pool(x, kind, (2, 3), (1, 2), activation="RELU")
        yield f"{kind.lower()} pool", g
    for name in ("ADD", "MUL"):
        g = graph()
        x = g.arithmetic(name, g.input(2, 3, 4, 5), g.input(1, 1, 4, 1), "RELU")
        g.arithmetic(name, g.constant(5), g.arithmetic(name, x, x))
        yield f"{name.lower()}, stretched and constant", g
    for name in ("RELU", "RELU6", "LOGISTIC", "SOFTMAX"):
        g = graph()
        g.function(name, g.input(4, 100))
        yield name.lower(), g
    g = graph()
    x = g.pad(g.input(1, 3, 4, 2), [(0, 0), (1, 2), (0, 3), (2, 0)])
    y = g.reshape(g.concatenate([x, x, g.pad(x, [(0, 0)] * 4)], -1), 6, 14 * 6)
    g.concatenate([y, y], 0)
    yield "pad, concatenation, reshape", g


def quantized_and_back() -> GraphBuilder:
    """float32 -> int8 -> int8 of another scale -> float32."""
    g = GraphBuilder(12, quantized=False)
    x = g.input(1, 500)
    g.quantized = True
    x = g.convert(g.convert(x, g.tensor("q", x.shape, 0.021, -5)), g.tensor("r", x.shape, 0.03, 9))
    g.quantized = False
    g.convert(x, g.tensor("real", x.shape, 1.0, 0))
    return g


def in_tflm(job: Job, done: Done) -> list[Array]:
    """Return TFLM's outputs for a job, in the shapes of the delegate's."""
    outputs = runtimes.run(job.model, list(job.inputs))
    return [a.reshape(b.shape) for a, b in zip(outputs, done.outputs, strict=True)]


def test_int8_operators_equal_tflm(tmp_path: Path) -> None:
    graphs = [*operator_graphs(True), ("lenet 5", lenet_5(quantized=True))]
    graphs.append(("quantize", quantized_and_back()))
    jobs = [Job(g.build(), g.samples(20), OPENCL) for _, g in graphs]
    for (name, _), job, done in zip(graphs, jobs, run_jobs(tmp_path, jobs), strict=True):
        assert claimed_all(done), (name, done.messages)
        expected = in_tflm(job, done)
        assert len(np.unique(expected[0])) > 8, name
        for output, wanted in zip(done.outputs, expected, strict=True):
            np.testing.assert_array_equal(output, wanted, err_msg=name)


def test_windows_of_a_line_equal_tflm(tmp_path: Path) -> None:
    graph = conv1d(quantized=True)
    model = rewrite(graph.build(), target="cortex-m4").tflite
    job = Job(model, graph.samples(20), OPENCL)
    (done,) = run_jobs(tmp_path, [job])
    assert claimed_all(done), done.messages
    np.testing.assert_array_equal(done.outputs[0], in_tflm(job, done)[0])


def test_float_operators_agree_with_tflm(tmp_path: Path) -> None:
    """float32 within rounding; float16 storage within its own."""
    graphs = [*operator_graphs(False), ("lenet 5", lenet_5(quantized=False))]
    halves = {**OPENCL, "precision": "fp16"}
    jobs = [
        Job(g.build(), g.samples(5), options) for options in (OPENCL, halves) for _, g in graphs
    ]
    names = [name for name, _ in (*graphs, *graphs)]
    for name, job, done in zip(names, jobs, run_jobs(tmp_path, jobs), strict=True):
        assert claimed_all(done), (name, done.messages)
        (expected,) = in_tflm(job, done)
        scale = np.abs(expected).max()
        # At most 800 products a sum and four layers: errors add up like a random walk of about
        # sqrt(4 * 800) = 57 halves of eps, with a factor of 3 above. Halves of fp16's eps for each
        # weight and each stored activation dominate the latter: sqrt(8) of 2^-11, factor 4.
        bound = 4 * math.sqrt(8) * 2.0**-11 if job.options == halves else 3 * 57 * 2.0**-24
        assert np.abs(done.outputs[0] - expected).max() <= bound * scale, name


def test_what_tflm_lacks_equals_litert(tmp_path: Path) -> None:
    """RELU_N1_TO_1 and RELU_0_TO_1, against LiteRT's reference kernels."""
    jobs = []
    for name in ("RELU_N1_TO_1", "RELU_0_TO_1"):
        for quantized in (True, False):
            g = GraphBuilder(13, quantized=quantized)
            g.function(name, g.input(4, 100))
            model, inputs = g.build(), g.samples(2)
            jobs += [Job(model, inputs, OPENCL), Job(model, inputs, None, reference=True)]
    results = run_jobs(tmp_path, jobs)
    for ours, litert in zip(results[::2], results[1::2], strict=True):
        assert claimed_all(ours), ours.messages
        np.testing.assert_array_equal(ours.outputs[0], litert.outputs[0])
        assert len(np.unique(ours.outputs[0])) > 8


def test_a_resized_batch(tmp_path: Path) -> None:
    g = GraphBuilder(14, quantized=True)
    x = g.fully_connected(g.input(3, 37), 30, "RELU")
    g.function("SOFTMAX", g.arithmetic("ADD", x, x))
    inputs = g.rng.integers(-128, 128, (1, 12, 37)).astype(np.int8)
    (done,) = run_jobs(tmp_path, [Job(g.build(), [inputs], OPENCL, resize=True)])
    assert done.outputs[0].shape == (1, 12, 30)
    (expected,) = runtimes.run(g.build(), inputs[0])
    np.testing.assert_array_equal(done.outputs[0][0], expected)


def test_sparse_layers_of_every_layout(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for number, layout in enumerate(LAYOUTS):
        rows, cols = int(rng.integers(1, 90)), int(rng.integers(1, 700))
        if number % 2:  # tiles of all vectors are aligned
            cols = (cols + 15) // 16 * 16
        case = layout_case(rng, layout, rows, cols, zeros=rng.choice([0.0, 0.5, 0.9]), batch=3)
        cases.append((layout, case))
    jobs = [
        Job(sparse_model(case, layout=layout), [case.inputs[None]], OPENCL)
        for layout, case in cases
    ]
    for (_, case), done in zip(cases, run_jobs(tmp_path, jobs), strict=True):
        assert claimed_all(done), done.messages
        check_outputs(case, done.outputs[0][0])
    assert any(case.is_float for _, case in cases)


def test_separable_layers_of_both_orders(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    cases: list[tuple[SeparableConv, Array]] = []
    jobs = []
    for number in range(24):
        shape = random_shape(rng)
        if number % 3 == 0:
            conv = random_float_separable(rng, shape)
            images: Array = rng.normal(0, 1, shape.input_shape).astype(np.float32)
            order = Order.NATURAL
        else:
            conv, images = random_separable(rng, shape), random_images(rng, shape)
            order = Order.WOVEN if number % 3 == 1 else Order.NATURAL
        model = separable_model(
            pack_separable(conv, order),
            images.shape,
            conv.output_shape(images.shape),
            dtype=images.dtype.type,
        )
        cases.append((conv, images))
        jobs.append(Job(model, [images[None]], OPENCL))
    halves = [Job(job.model, job.inputs, OPENCL | {"precision": "fp16"}) for job in jobs[::3]]
    results = run_jobs(tmp_path, [*jobs, *halves])
    for (conv, images), done in zip(cases, results, strict=False):
        assert claimed_all(done), done.messages
        if images.dtype == np.float32:
            check_floats(conv, images, done.outputs[0][0])
        else:
            np.testing.assert_array_equal(done.outputs[0][0], separable_reference(conv, images))
    for exact, half in zip(results[: len(jobs) : 3], results[len(jobs) :], strict=True):
        # Stored in 16 bits, as in test_float_operators_agree_with_tflm.
        bound = 4 * math.sqrt(8) * 2.0**-11 * np.abs(exact.outputs[0]).max()
        assert np.abs(half.outputs[0] - exact.outputs[0]).max() <= bound


@needs_shared_models
def test_whole_models_are_one_partition(tmp_path: Path) -> None:
    models = [
        (SHARED_MODELS / f"{name}.tflite").read_bytes() for name in ("kws_ref_model", "ad01_int8")
    ]
    rng = np.random.default_rng(3)
    shapes = [(100, 1, 49, 10, 1), (1000, 1, 640)]
    inputs = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    jobs = [Job(model, [x], OPENCL) for model, x in zip(models, inputs, strict=True)]
    for job, done in zip(jobs, run_jobs(tmp_path, jobs), strict=True):
        assert claimed_all(done), done.messages
        np.testing.assert_array_equal(done.outputs[0], in_tflm(job, done)[0])


def test_without_opencl_the_cpu_takes_its_place(tmp_path: Path) -> None:
    case = layout_case(np.random.default_rng(2), LAYOUTS[0], 9, 40, zeros=0.5)
    no_device = {**OPENCL, "device": "no such device"}
    job = Job(sparse_model(case), [case.inputs[None]], no_device)
    (done,) = run_jobs(tmp_path, [job])
    messages = [line for line in done.messages if "takes its place" in line]
    assert messages == [
        "sparsesep delegate: there is no OpenCL device like no such device; the CPU takes its place"
    ]
    check_outputs(case, done.outputs[0][0])


def test_compiled_programs_are_cached(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    case = layout_case(np.random.default_rng(2), LAYOUTS[0], 9, 40, zeros=0.5)
    job = Job(sparse_model(case), [case.inputs[None]], {**OPENCL, "cache_dir": str(cache)})
    check_outputs(case, run_jobs(tmp_path, [job])[0].outputs[0][0])
    (entry,) = cache.iterdir()
    written = entry.read_bytes()
    check_outputs(case, run_jobs(tmp_path, [job])[0].outputs[0][0])
    assert entry.read_bytes() == written
    # A damaged file is built anew.
    entry.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
    check_outputs(case, run_jobs(tmp_path, [job])[0].outputs[0][0])
    assert len(entry.read_bytes()) == len(written)


def replace_by_link(entry: Path) -> None:
    entry.rename(entry.with_suffix(".elsewhere"))
    entry.symlink_to(entry.with_suffix(".elsewhere"))


def replace_by_fifo(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def give_away(entry: Path) -> None:
    os.chown(entry, 65534, 65534)


def open_to_all(entry: Path) -> None:
    entry.chmod(0o666)


@pytest.mark.parametrize("spoil", [replace_by_link, replace_by_fifo, give_away, open_to_all])
def test_cached_files_that_others_may_have_written_are_not_read(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    """The message of a tuned launch names its origin; programs use the same files."""
    if spoil is give_away and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    cache = tmp_path / "cache"
    cache.mkdir()
    case = layout_case(np.random.default_rng(2), LAYOUTS[0], 9, 40, zeros=0.5)
    keep = {**OPENCL, "cache_dir": str(cache)}

    def origin(options: dict[str, str]) -> str:
        (done,) = run_jobs(tmp_path, [Job(sparse_model(case), [case.inputs[None]], options)])
        check_outputs(case, done.outputs[0][0])
        return "".join(done.messages).rsplit(", ", 1)[1]

    assert origin(keep | {"tune": "1"}).startswith("tuned to ")
    assert origin(keep) == "from cache_dir"
    (entry,) = cache.glob("*.tune")
    spoil(entry)
    assert origin(keep) == "by class and options"
    # Tuned again, it is replaced by a file of our own; what a link led to stays.
    assert origin(keep | {"tune": "1"}).startswith("tuned to ")
    assert not entry.is_symlink()
    assert entry.stat().st_mode & 0o777 == 0o600
    assert origin(keep) == "from cache_dir"


@needs_shared_models
def test_a_second_start_is_five_times_faster(tmp_path: Path) -> None:
    """By cache_dir alone: the driver's own cache is empty both times. It is 20 times and more.

    That is pocl's. Others compile what they load again (rusticl): they only may not lose by it.
    """
    script = ROOT / "benchmarks/opencl_delegate/start.py"
    options = {"backend": "opencl", "cache_dir": str(tmp_path)}
    seconds = []
    for number in range(2):
        done = subprocess.run(
            [
                *(sys.executable, script, ts.delegate_path(), json.dumps(options)),
                SHARED_MODELS / "kws_ref_model.tflite",
            ],
            env={**os.environ, "POCL_CACHE_DIR": str(tmp_path / f"driver{number}")},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(float(done.stdout))
    factor = 5 if "Portable Computing Language" in platforms() else 0.5
    assert seconds[0] > factor * seconds[1], seconds


def test_a_damaged_blob_is_refused_with_its_reason(tmp_path: Path) -> None:
    case = layout_case(np.random.default_rng(2), LAYOUTS[0], 9, 40, zeros=0.5)
    model = sparse_model(case, blob=bytes(200))
    done = start_jobs(tmp_path, [Job(model, [case.inputs[None]], OPENCL)])
    assert done.returncode != 0
    assert "SPARSE_FULLY_CONNECTED: not packed weights of version 1" in done.stderr


@pytest.mark.parametrize("samples", [0, 12])
def test_every_call_may_fail(samples: int, tmp_path: Path) -> None:
    """Context, allocation, build, arguments, launches, transfers, program cache.

    Of the calls of a load that tunes, some: those that time a candidate only cost the candidate.
    """
    environment = build_opencl_shim(tmp_path)
    graph = GraphBuilder(1, quantized=True)
    graph.function("SOFTMAX", graph.fully_connected(graph.input(1, 30), 10))
    (tmp_path / "model.tflite").write_bytes(graph.build())
    np.save(tmp_path / "in.npy", graph.samples(1)[0][0])
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("failing_opencl_worker.py"),
            tmp_path,
            str(ts.delegate_path()),
            str(samples),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["calls"] >= (samples or 41)
    assert result["right"] + len(result["errors"]) == result["calls"]
    assert all("sparsesep delegate: OpenCL" in error for error in result["errors"])
    assert result["live"] == 0
    if samples:
        assert result["right"] > samples // 2
        return
    # What fails before there is a device hands over to the CPU.
    assert "OpenCL device" in done.stderr
    assert "the CPU takes its place" in done.stderr
