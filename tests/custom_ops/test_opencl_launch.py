"""Launches of fully-connected layers on OpenCL: by class, by options, tuned and kept."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.delegate_jobs import Array, Done, Job, run_jobs
from tests.support.layers import check_outputs, layout_case
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.sparse_models import sparse_model
from tests.support.opencl_device import OPENCL, build_opencl_shim, claimed_all, needs_opencl
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.device.synthetic_layers import LayerCase

pytestmark = [pytest.mark.slow, needs_opencl]

LAUNCH = re.compile(
    r"tiles of (\d+) x \d+, room for (\d+) work-items and (\d+) bytes: "
    r"lanes=(\d+) group_size=(\d+) vectors=(\d+), (.*)"
)


def tile_layouts() -> list[Layout]:
    """Return one layout for each tile shape that kernels are compiled for."""
    found = {(a.block_rows, a.block_cols, a.value_type.name == "FLOAT32"): a for a in LAYOUTS}
    return list(found.values())


def dense_model(*, quantized: bool, batch: int) -> tuple[bytes, Array]:
    """Return two layers whose columns fill no chunk, and inputs for one inference."""
    graph = GraphBuilder(21, quantized=quantized)
    graph.fully_connected(graph.fully_connected(graph.input(batch, 203), 37, "RELU"), 5)
    return graph.build(), graph.samples(1)[0]


def launches(done: Done) -> list[tuple[int, int, int, str]]:
    """Return lanes, group_size, vectors and their origin for each layer."""
    found = [LAUNCH.search(line) for line in done.messages]
    return [(int(m[4]), int(m[5]), int(m[6]), m[7]) for m in found if m is not None]


def check_launch(done: Done, wanted: Sequence[int]) -> None:
    """The first layer has the launch that was wanted, or, where it has no room, a smaller one.

    Sums of a work-group take 4 bytes each of half of the local memory.
    """
    (match, *_) = [m for m in map(LAUNCH.search, done.messages) if m is not None]
    tile_rows, items, size = int(match[1]), int(match[2]), int(match[3])
    launch = launches(done)[0][:3]
    _, group_size, vectors = wanted
    if group_size <= items and group_size * vectors * tile_rows * 8 <= size:
        assert launch == tuple(wanted)
        return
    assert launch[1] <= items
    assert launch[0] == 1 or launch[1] * launch[2] * tile_rows * 8 <= size
    for number, most in zip(launch, wanted, strict=True):
        assert number.bit_count() == 1
        assert number <= most
    assert launch[0] <= launch[1]


def check_halves(case: LayerCase[Any], outputs: Array) -> None:
    """Weights, inputs and outputs are stored in 16 bits, sums are made in 32.

    Storing rounds by 2^-11 at most, of each product's two factors: errors of products are
    independent and at most 2^-10 of them, their root mean square is less than half of that; six
    deviations, and 2^-11 of the result for storing it. Rounding in 32 bits is 2^-13 of this.
    """
    weights, inputs = case.layer.weights.astype(np.float64), case.inputs.astype(np.float64)
    exact = inputs @ weights.T + case.layer.bias
    deviation = 2.0**-11 * np.sqrt((inputs**2) @ (weights**2).T)
    bits = [case.options.activation_min, case.options.activation_max]
    low, high = np.array(bits, np.int32).view(np.float32)
    tolerance = 6 * deviation + 2.0**-11 * np.abs(exact) + 1e-7
    assert np.all(np.abs(outputs - np.clip(exact, low, high)) <= tolerance)
    np.testing.assert_array_equal(outputs, outputs.astype(np.float16))


def test_outputs_do_not_depend_on_the_launch(tmp_path: Path) -> None:
    """int8 is right, and floats are those of the default launch, to the bit."""
    rng = np.random.default_rng(5)
    halves = {"precision": "fp16"}
    models: list[tuple[LayerCase[Any] | None, bytes, Array, dict[str, str]]] = []
    for layout in tile_layouts():
        case = layout_case(rng, layout, 45, 333, zeros=0.6, batch=11)
        model, inputs = sparse_model(case, layout=layout), case.inputs[None]
        models.append((case, model, inputs, {}))
        if case.is_float:
            models.append((case, model, inputs, halves))
    for quantized, extra in ((True, {}), (False, halves), (False, {})):
        models.append((None, *dense_model(quantized=quantized, batch=11), extra))
    chosen = [(1, 256, 8), (4, 32, 1), (8, 8, 2), (64, 1024, 4)]
    names = ("lanes", "group_size", "vectors")
    options = [{}, *(dict(zip(names, map(str, numbers), strict=True)) for numbers in chosen)]
    jobs = [
        Job(model, [inputs], OPENCL | base | launch)
        for launch in options
        for _, model, inputs, base in models
    ]
    results = run_jobs(tmp_path, jobs)
    for number, done in enumerate(results):
        layer, _, _, base = models[number % len(models)]
        assert claimed_all(done), done.messages
        np.testing.assert_array_equal(done.outputs[0], results[number % len(models)].outputs[0])
        if layer is not None and layer.is_float and base == halves:
            check_halves(layer, done.outputs[0][0])
        elif layer is not None:
            check_outputs(layer, done.outputs[0][0])
    firsts = range(len(models), len(results), len(models))
    for (lanes, group_size, vectors), first in zip(chosen, firsts, strict=True):
        # The last model is of floats, a chunk of which has work for 8 lanes at most.
        for number, most in ((first, 64), (first + len(models) - 1, 8)):
            check_launch(results[number], (min(lanes, most), group_size, vectors))
            assert launches(results[number])[0][3] == "by class and options"


@pytest.mark.parametrize(
    ("gpu", "int8", "floats"),
    [
        ("Mali-G715", (4, 64, 2), (4, 64, 2)),
        ("QUALCOMM Adreno(TM)", (4, 128, 2), (8, 128, 2)),
        ("Some other GPU", (4, 64, 2), (8, 64, 2)),
    ],
)
def test_launches_of_gpu_classes_give_right_outputs(
    gpu: str, int8: tuple[int, ...], floats: tuple[int, ...], tmp_path: Path
) -> None:
    """Launches of the GPU classes, on a CPU device with their names."""
    case = layout_case(np.random.default_rng(8), LAYOUTS[0], 45, 333, zeros=0.6, batch=11)
    model, inputs = dense_model(quantized=False, batch=11)
    jobs = [
        Job(sparse_model(case), [case.inputs[None]], OPENCL),
        Job(model, [inputs], OPENCL),
        Job(model, [inputs], OPENCL | {"lanes": "2"}),
    ]
    environment = {**build_opencl_shim(tmp_path), "FAILING_OPENCL_GPU": gpu}
    first, second, overridden = run_jobs(tmp_path, jobs, environment=environment)
    (usual,) = run_jobs(tmp_path, jobs[1:2])
    check_outputs(case, first.outputs[0][0])
    check_launch(first, int8)
    for done, wanted in ((second, floats), (overridden, (2, *floats[1:]))):
        np.testing.assert_array_equal(done.outputs[0], usual.outputs[0])
        check_launch(done, wanted)


@pytest.mark.parametrize(("items", "size"), [(256, 65536), (100, 8192), (16, 512), (1, 0)])
def test_small_devices_get_smaller_launches(items: int, size: int, tmp_path: Path) -> None:
    """Work-groups of few work-items and little local memory: other launches, equal outputs."""
    case = layout_case(np.random.default_rng(8), LAYOUTS[0], 45, 333, zeros=0.6, batch=11)
    model, inputs = dense_model(quantized=False, batch=11)
    wanted = (8, 1024, 4)
    options = dict(zip(("lanes", "group_size", "vectors"), map(str, wanted), strict=True))
    jobs = [
        Job(sparse_model(case), [case.inputs[None]], OPENCL | options),
        Job(model, [inputs], OPENCL | options),
    ]
    environment = {
        **build_opencl_shim(tmp_path),
        "FAILING_OPENCL_ITEMS": str(items),
        "FAILING_OPENCL_BYTES": str(size),
    }
    sparse, dense = run_jobs(tmp_path, jobs, environment=environment)
    (usual,) = run_jobs(tmp_path, jobs[1:])
    check_outputs(case, sparse.outputs[0][0])
    np.testing.assert_array_equal(dense.outputs[0], usual.outputs[0])
    for done in (sparse, dense):
        check_launch(done, wanted)
        assert launches(done)[0][1] <= items


def test_tuned_launches_are_kept_in_cache_dir(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    rng = np.random.default_rng(6)
    case = layout_case(rng, LAYOUTS[0], 120, 300, zeros=0.8, batch=4)
    sparse = (sparse_model(case), case.inputs[None])
    models = [sparse, *(dense_model(quantized=q, batch=4) for q in (True, False))]
    keep = OPENCL | {"cache_dir": str(cache)}

    def run(options: dict[str, str]) -> list[Done]:
        return run_jobs(tmp_path, [Job(model, [inputs], options) for model, inputs in models])

    def origins(results: list[Done]) -> list[str]:
        return [launch[3] for done in results for launch in launches(done)]

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in cache.glob("*.tune")}

    plain = run(OPENCL)
    tuned = run(keep | {"tune": "1"})
    assert all(origin.startswith("tuned to ") for origin in origins(tuned))
    stored = files()
    assert len(stored) == 5  # one for each layer
    # Programs that only took part in the contest are not kept.
    assert len(list(cache.glob("*.bin"))) <= 5
    for options in (keep, keep | {"tune": "1"}):
        again = run(options)
        assert origins(again) == ["from cache_dir"] * 5
        assert [launches(a) for a in again] == [
            [(*launch[:3], "from cache_dir") for launch in launches(done)] for done in tuned
        ]
        for a, b in zip(plain, again, strict=True):
            np.testing.assert_array_equal(a.outputs[0], b.outputs[0])
    assert files() == stored
    # What options choose is not what these files were tuned with.
    assert "from cache_dir" not in origins(run(keep | {"lanes": "1"}))


def test_damaged_tuning_is_ignored_and_made_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    case = layout_case(np.random.default_rng(7), LAYOUTS[0], 30, 90, zeros=0.5)
    keep = OPENCL | {"cache_dir": str(cache)}

    def origin(options: dict[str, str]) -> str:
        (done,) = run_jobs(tmp_path, [Job(sparse_model(case), [case.inputs[None]], options)])
        check_outputs(case, done.outputs[0][0])
        return launches(done)[0][3]

    assert origin(keep | {"tune": "1"}).startswith("tuned")
    (entry,) = cache.glob("*.tune")
    whole = entry.read_bytes()
    key = whole[:8]
    damaged = [
        b"",
        whole[:-1],
        whole[:-1] + bytes([whole[-1] ^ 1]),
        # Whole, but no launches: not powers of two, or more than the device can.
        key + launch_file(3, 64, 1),
        key + launch_file(1, -64, 1),
        key + launch_file(1, 1 << 30, 1),
        key + launch_file(1, 64, 8),  # of a batch of 1
    ]
    for content in damaged:
        entry.write_bytes(content)
        assert origin(keep) == "by class and options"
    assert origin(keep | {"tune": "1"}).startswith("tuned")
    assert len(entry.read_bytes()) == len(whole)
    assert origin(keep) == "from cache_dir"


def launch_file(lanes: int, group_size: int, vectors: int) -> bytes:
    """Return a file of cache_dir after its key: length, FNV-1a checksum, content."""
    content = struct.pack("<iii", lanes, group_size, vectors)
    state = 0xCBF29CE484222325
    for byte in content:
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return struct.pack("<QQ", len(content), state) + content
