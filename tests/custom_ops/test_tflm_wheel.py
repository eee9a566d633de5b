"""The wheel adapter in real `tflite-micro` wheels, of both generations of its ABI."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import separable_layers
from tests.support.layers import check_outputs, layout_case, reference
from tests.support.models.dense_models import fully_connected_model
from tests.support.models.separable_models import separable_model
from tests.support.models.sparse_models import sparse_model
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import pack_separable
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Tensor
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_images,
    random_separable,
)

PROBE = Path(__file__).with_name("wheel_probe.py")
ROOT = Path(__file__).parents[2]
# The last generation with TfLite's global types, and one with TFLM's own opaque ones.
VERSIONS = ("0.dev20260930204519", "0.dev20261023182759")


def installed_version() -> str | None:
    try:
        return importlib.metadata.version("tflite-micro")
    except importlib.metadata.PackageNotFoundError:
        return None


def python_with(version: str) -> str:
    """Return a Python that has this version of tflite-micro; skip the test if there is none."""
    if version == installed_version():
        return sys.executable
    python = ROOT / "build/runtimes" / f"tflite-micro-{version}" / "bin/python"
    if not python.is_file():
        pytest.skip(f"no tflite-micro {version}: make runtimes")
    return str(python)


@pytest.fixture(
    params=[
        pytest.param(version, marks=[] if version == installed_version() else pytest.mark.slow)
        for version in sorted({*VERSIONS, installed_version() or VERSIONS[0]})
    ]
)
def python(request: pytest.FixtureRequest) -> str:
    return python_with(request.param)


class Models:
    """A folder for the probe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, model: bytes, inputs: np.ndarray) -> None:
        (self.folder / f"{name}.tflite").write_bytes(model)
        np.save(self.folder / f"{name}.npy", inputs)

    def run(self, python: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Outputs or error by name, and what was printed on stderr by name."""
        library = native.library_path("libsparsesep_tflm_wheel.so")
        done = subprocess.run(
            [python, str(PROBE), str(library), str(self.folder)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-2000:]}"
        printed = dict(part.split("\n", 1) for part in done.stderr.split("== ")[1:])
        return json.loads(done.stdout), printed


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def small_case(seed: int = 0, batch: int = 2) -> LayerCase[Any]:
    return random_case(np.random.default_rng(seed), 19, 70, zeros=0.8, batch=batch)


def test_models_take_turns_in_one_process(python: str, models: Models) -> None:
    rng = np.random.default_rng(0)
    cases = {}
    for number, layout in enumerate(LAYOUTS):
        for batch in (1, 5):
            case = layout_case(rng, layout, 19, 70, zeros=0.8, batch=batch)
            cases[f"layout{number}x{batch}"] = case
            models.add(f"layout{number}x{batch}", sparse_model(case, layout=layout), case.inputs)
    results, _ = models.run(python)
    assert results.keys() == cases.keys()
    for name, case in cases.items():
        first, second = results[name]
        assert first == second
        check_outputs(case, np.array(first, case.inputs.dtype))


SEPARABLE = SeparableShape(9, 8, (5, 6, 7), (3, 4), stride=(2, 1), batch=2)


def test_separable_convolutions(python: str, models: Models) -> None:
    rng = np.random.default_rng(1)
    conv, images = random_separable(rng, SEPARABLE), random_images(rng, SEPARABLE)
    shapes = (images.shape, conv.output_shape(images.shape))
    for order in Order:
        blob = pack_separable.pack(conv, order)
        models.add(order.name, separable_model(blob, *shapes), images)
    float_conv = random_float_separable(rng, SEPARABLE)
    reals = rng.normal(0, 1, images.shape).astype(np.float32)
    blob = pack_separable.pack(float_conv)
    models.add("float32", separable_model(blob, *shapes, dtype=np.float32), reals)
    results, _ = models.run(python)
    expected = separable_layers.reference(conv, images).tolist()
    assert results["NATURAL"] == results["WOVEN"] == [expected] * 2
    first, second = results["float32"]
    assert first == second
    separable_layers.check_floats(float_conv, reals, np.array(first, np.float32))


def test_corrupt_separable_convolutions_are_refused(python: str, models: Models) -> None:
    rng = np.random.default_rng(2)
    conv, images = random_separable(rng, SEPARABLE), random_images(rng, SEPARABLE)
    blob = pack_separable.pack(conv)
    shape = conv.output_shape(images.shape)
    narrow = (*shape[:3], shape[3] - 1)
    corrupt = {
        "magic": separable_model(b"SSC0" + blob[4:], images.shape, shape),
        "truncated": separable_model(blob[:-1], images.shape, shape),
        "another operator's": separable_model(
            pack(small_case().layer, LAYOUTS[0]), images.shape, shape
        ),
        "output shape": separable_model(blob, images.shape, narrow),
        "options": separable_model(blob, images.shape, shape, options=b"\x02\x00\x04\x00"),
    }
    for name, model in corrupt.items():
        models.add(name, model, images)
    results, printed = models.run(python)
    assert results == dict.fromkeys(corrupt, "TFLM failed to allocate tensors")
    for name in corrupt:
        assert printed[name].startswith("SEPARABLE_CONV_2D: "), name


def test_leading_dimensions_are_a_batch(python: str, models: Models) -> None:
    case = small_case(batch=6)
    pixels = case.inputs.reshape(1, 2, 3, 70)
    models.add("pixels", sparse_model(case, input_shape=pixels.shape), pixels)
    results, _ = models.run(python)
    assert results["pixels"] == [reference(case).reshape(1, 2, 3, 19).tolist()] * 2


def test_dense_model_is_unaffected(python: str, models: Models) -> None:
    rng = np.random.default_rng(4)
    model = fully_connected_model(
        rng.integers(-127, 128, (10, 30)).astype(np.int8),
        rng.integers(-1000, 1000, 10).astype(np.int32),
        input_shape=(1, 30),
        input_scale=0.5,
        input_zero_point=3,
        weight_scales=0.01,
        output_scale=2.0,
        output_zero_point=-7,
    )
    inputs = rng.integers(-128, 128, (1, 30)).astype(np.int8)
    models.add("dense", model, inputs)
    results, _ = models.run(python)
    (expected,) = runtimes.run(model, inputs)  # this wheel without the adapter
    assert results["dense"] == [expected.tolist()] * 2


def corrupt_models(case: LayerCase[Any]) -> dict[str, bytes]:
    """Models that Prepare must refuse, by what is wrong with them."""
    blob = pack(case.layer, LAYOUTS[0])
    options = case.options.to_bytes()

    def patched(data: bytes, offset: int, value: bytes) -> bytes:
        return data[:offset] + value + data[offset + len(value) :]

    def rewired(inputs: int, outputs: int) -> bytes:
        model = editor.read(sparse_model(case))
        (op,) = model.subgraphs[0].operators
        op.inputs, op.outputs = op.inputs[:inputs], op.outputs[:outputs]
        return editor.write(model)

    def absent_blob() -> bytes:
        model = editor.read(sparse_model(case))
        model.subgraphs[0].operators[0].inputs[1] = None
        return editor.write(model)

    def written_blob() -> bytes:
        """The blob is what another operator writes, so that it exists only in Eval."""
        model = editor.read(sparse_model(case))
        (op,) = model.subgraphs[0].operators
        source = Tensor.constant("source", np.frombuffer(blob, np.uint8))
        op.weights.buffer = None
        reshape = Operator(BuiltinOperator.RESHAPE, [source], [op.weights])
        model.subgraphs[0].operators.insert(0, reshape)
        return editor.write(model)

    def blob_as_input() -> bytes:
        model = editor.read(sparse_model(case))
        (op,) = model.subgraphs[0].operators
        op.weights.buffer = None
        model.subgraphs[0].inputs.append(op.weights)
        return editor.write(model)

    def constant_output(*, in_blob: bool) -> bytes:
        """Eval would overwrite what Prepare has validated."""
        model = editor.read(sparse_model(case))
        (op,) = model.subgraphs[0].operators
        (output,) = op.outputs
        other = Tensor.constant("other", np.zeros(output.shape, np.int8))
        output.buffer = op.weights.buffer if in_blob else other.buffer
        return editor.write(model)

    narrow = dataclasses.replace(case, inputs=case.inputs[:, :-1])
    return {
        "magic": sparse_model(case, blob=patched(blob, 0, b"SPW0")),
        "blob version": sparse_model(case, blob=patched(blob, 4, b"\x02")),
        "truncated blob": sparse_model(case, blob=blob[:-1]),
        "short blob": sparse_model(case, blob=blob[:7]),
        "index out of range": sparse_model(case, blob=patched(blob, len(blob) // 2, b"\xff" * 40)),
        "options version": sparse_model(case, options=patched(options, 0, b"\x02\x00")),
        "options size": sparse_model(case, options=options[:-4]),
        "no options": sparse_model(case, options=b""),
        "zero point": sparse_model(case, options=patched(options, 4, struct.pack("<i", 128))),
        "other shape": sparse_model(narrow, blob=blob),
        "no weights": rewired(inputs=1, outputs=1),
        "no inputs": rewired(inputs=0, outputs=1),
        "no outputs": rewired(inputs=2, outputs=0),
        "absent weights": absent_blob(),
        "written weights": written_blob(),
        "weights as an input": blob_as_input(),
        "weights as the output": constant_output(in_blob=True),
        "constant output": constant_output(in_blob=False),
    }


def test_corrupt_models_are_refused_in_prepare(python: str, models: Models) -> None:
    case = small_case()
    corrupt = corrupt_models(case)
    for name, model in corrupt.items():
        models.add(name, model, case.inputs)
    models.add("intact", sparse_model(case), case.inputs)
    results, printed = models.run(python)
    assert results.pop("intact") == [reference(case).tolist()] * 2
    assert results == dict.fromkeys(corrupt, "TFLM failed to allocate tensors")
    for name in corrupt:
        assert printed[name].startswith("SPARSE_FULLY_CONNECTED: "), name
        assert "failed to prepare" in printed[name], name
