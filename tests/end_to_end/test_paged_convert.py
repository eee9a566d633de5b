"""From a model to pages of an external memory, by Python and by the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tflm_sparsesep as ts
from tests.support.models.dense_models import fully_connected_model
from tests.support.models.separable_models import Conv, conv_model
from tflm_sparsesep import cli
from tflm_sparsesep.converters.blob.format import HEADER
from tflm_sparsesep.converters.blob.paged_format import PAGED_HEADER, Table
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

PAGE = Path(__file__).parents[2] / "docs/paging.md"
ROWS, COLS = 120, 200


def dense_model() -> bytes:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (ROWS, COLS)).astype(np.int8)
    weights[rng.random(weights.shape) < 0.9] = 0
    return fully_connected_model(
        weights,
        rng.integers(-1000, 1000, ROWS).astype(np.int32),
        input_shape=(1, COLS),
        input_scale=0.5,
        input_zero_point=3,
        weight_scales=0.001,
        output_scale=0.5,
        output_zero_point=-7,
    )


def test_pages_compute_what_the_dense_model_does() -> None:
    model = dense_model()
    inputs = np.random.default_rng(1).integers(-128, 128, (8, COLS)).astype(np.int8)
    (expected,) = ts.run(model, inputs)
    result = ts.convert(model, page_bytes=1024)
    assert result.external is not None
    (outputs,) = ts.run(result.tflite, inputs, external=result.external)
    np.testing.assert_array_equal(outputs, expected)
    assert ts.convert(model).external is None


def test_pages_of_a_convolution_compute_what_the_dense_model_does() -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(-127, 128, (48, 3, 3, 16)).astype(np.int8)
    weights[rng.random(weights.shape) < 0.9] = 0
    conv = Conv(
        weights=weights,
        bias=rng.integers(-1000, 1000, 48).astype(np.int32),
        weight_scales=np.full(48, 0.002, np.float32),
        output_scale=0.5,
        output_zero_point=5,
        stride=(2, 1),
        padding="SAME",
    )
    model = conv_model([conv], (1, 14, 18, 16))
    images = rng.integers(-128, 128, (2, 1, 14, 18, 16)).astype(np.int8)
    (expected,) = ts.run(model, images)
    result = ts.convert(model, page_bytes=1024)
    (op,) = editor.read(result.tflite).operators
    assert op.op_name == "SPARSE_CONV_2D"
    assert result.external
    (outputs,) = ts.run(result.tflite, images, external=result.external)
    np.testing.assert_array_equal(outputs, expected)
    with pytest.raises(ts.ConfigError, match=r"accepted: its image, external=result\.external"):
        ts.run(result.tflite, images)
    with pytest.raises(ts.DeviceError, match="SPARSE_CONV_2D: cannot read external"):
        ts.run(result.tflite, images, external=b"")
    with pytest.raises(ts.ModelError, match="its weights are pages in external memory"):
        ts.benchmark(result.tflite, inputs=images[0])


def test_several_interpreters_keep_their_own_images() -> None:
    model = dense_model()
    small, large = (ts.convert(model, page_bytes=size) for size in (512, 2048))
    inputs = np.random.default_rng(1).integers(-128, 128, (1, COLS)).astype(np.int8)
    (expected,) = ts.run(model, inputs)
    interpreters = [
        TflmInterpreter(paged.tflite, editor.read(paged.tflite), external=paged.external)
        for paged in (small, large)
    ]
    unpaged = ts.convert(model).tflite
    interpreters.append(TflmInterpreter(unpaged, editor.read(unpaged)))
    for _ in range(2):
        for interpreter in interpreters:
            np.testing.assert_array_equal(interpreter.invoke([inputs])[0], expected)
    # A page is arena for the time of a layer: larger pages take more, none take least.
    small_arena, large_arena, arena = (one.arena_bytes or 0 for one in interpreters)
    assert arena < small_arena < large_arena < arena + 2048 + 256


def test_tflm_refuses_what_is_not_the_models_image() -> None:
    result = ts.convert(dense_model(), page_bytes=1024)
    assert result.external is not None
    inputs = np.zeros((1, COLS), np.int8)
    with pytest.raises(ts.ConfigError, match=r"accepted: its image, external=result\.external"):
        ts.run(result.tflite, inputs)
    with pytest.raises(ts.ConfigError, match="external= is for runtime='tflm', given: 'litert'"):
        ts.run(result.tflite, inputs, runtime="litert", external=result.external)
    for image in (b"", result.external[:-16]):
        with pytest.raises(ts.DeviceError, match="SPARSE_FULLY_CONNECTED: cannot read external"):
            ts.run(result.tflite, inputs, external=image)
    with pytest.raises(ts.DeviceError, match="external memory holds other weights"):
        ts.run(result.tflite, inputs, external=bytes(len(result.external)))


def test_command_line(tmp_path: Path) -> None:
    source, output, external = (tmp_path / name for name in ("in.tflite", "out.tflite", "ext.bin"))
    source.write_bytes(dense_model())
    command = ["convert", str(source), "-o", str(output), "--page-bytes", "1024"]
    done = CliRunner().invoke(cli.app, [*command, "--external", str(external), "--json"])
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    (op,) = editor.read(output.read_bytes()).operators
    table = Table.from_bytes(blob_of(op))
    assert table.largest_page <= 1024
    assert said["external"] == str(external)
    assert said["external_bytes"] == external.stat().st_size == table.external_bytes
    assert len(blob_of(op)) == PAGED_HEADER.itemsize + 12 * len(table.pages) < HEADER.itemsize * 4

    alone = CliRunner().invoke(cli.app, command)
    assert isinstance(alone.exception, ts.ConfigError)
    assert str(alone.exception).startswith("--page-bytes and --external go together")


def test_a_paged_model_is_refused_where_its_weights_are_needed() -> None:
    paged = ts.convert(dense_model(), page_bytes=1024).tflite
    with pytest.raises(ts.ModelError, match="its weights are pages in external memory"):
        ts.benchmark(paged, inputs=np.zeros((1, COLS), np.int8))
    with pytest.raises(ts.ModelError, match="already rewritten"):
        ts.convert(paged)


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("model_int8.tflite").write_bytes(dense_model())
    exec(compile(example, str(PAGE), "exec"), {})
    (op,) = editor.read(Path("model.tflite").read_bytes()).operators
    assert (
        Table.from_bytes(blob_of(op)).external_bytes == Path("external.bin").stat().st_size > 4096
    )
