"""`benchmark` on models with SEPARABLE_CONV_2D."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.support.device_tools import needs_emulator
from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
from tests.support.models.separable_models import conv_model, random_pair, separable_model
from tflm_sparsesep import cli, report
from tflm_sparsesep.benchmark import LayerFigures, benchmark
from tflm_sparsesep.convert import convert
from tflm_sparsesep.converters.blob.pack_separable import pack
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_images,
)

emulated = [
    pytest.mark.slow,
    needs_emulator,
]

SHAPE = SeparableShape(7, 9, (6, 5, 10), (3, 5), stride=(2, 1))
SAMPLES = 3


def converted(target: str) -> tuple[bytes, np.ndarray, int]:
    """A pair, fused for `target`; images; the estimate of the pair's instructions."""
    rng = np.random.default_rng(0)
    dense = conv_model(random_pair(rng, SHAPE, ("RELU", "NONE")), SHAPE.input_shape)
    images = np.concatenate([random_images(rng, SHAPE) for _ in range(SAMPLES)])
    result = convert(dense, target=target)
    (layer,) = result.layers
    assert layer.rewritten
    assert layer.dense_instructions is not None
    return result.tflite, images, layer.dense_instructions


def check(figures: LayerFigures, target: str, dense_instructions: int) -> None:
    assert figures.op == SEPARABLE_CONV_2D
    assert figures.target == target
    assert figures.bit_exact
    assert figures.samples == SAMPLES
    assert (figures.cols, figures.rows, figures.batch) == (6, 10, 1)
    assert figures.pattern == "3x1,1x5"
    assert figures.weights == 5 * 3 * 6 + 10 * 5 * 5
    assert figures.dense_bytes == figures.weights + 28 * (5 + 10)
    assert figures.dense_instructions == dense_instructions
    assert 0 < figures.sparse_instructions < figures.dense_instructions
    assert figures.speedup == pytest.approx(
        figures.dense_instructions / figures.sparse_instructions, abs=5e-4
    )
    assert figures.estimated_cycles >= figures.sparse_instructions
    assert figures.scratch_bytes > 0
    assert figures.packed_bytes > figures.weights


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=emulated) for name in ("cortex-m0", "cortex-m4")]
)
def test_a_fused_pair_is_measured(target: str, tmp_path: Path) -> None:
    tflite, images, dense = converted(target)
    (figures,) = benchmark(tflite, target=target, inputs=images)
    check(figures, target, dense)

    (tmp_path / "model.tflite").write_bytes(tflite)
    np.save(tmp_path / "x.npy", images)
    command = ["bench", "model.tflite", "--target", target, "--inputs", "x.npy", "--json"]
    command = [str(tmp_path / word) if "." in word else word for word in command]
    said = CliRunner().invoke(cli.app, command)
    assert json.loads(said.stdout) == [figures.to_json()]

    console = Console(width=200, record=True)
    console.print(report.figures_table([figures], target))
    table = console.export_text()
    assert "6->10" in table
    assert f"{figures.sparse_instructions:,}" in table


@pytest.mark.parametrize("target", [pytest.param("cortex-m4", marks=emulated)])
def test_random_inputs_serve_as_well(target: str) -> None:
    tflite, *_ = converted(target)
    (figures,) = benchmark(tflite, target=target)
    assert figures.bit_exact
    assert figures.samples == 1


@pytest.mark.parametrize("target", [pytest.param("cortex-m4", marks=emulated)])
def test_sparse_layers_are_named_as_such(target: str) -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-127, 128, (64, 96)).astype(np.int8)
    weights[rng.random(weights.shape) < 0.9] = 0
    layer = FullyConnectedLayer(weights, None, 0.01, 0.1, -128, "RELU")
    dense = fully_connected_chain(
        [layer], input_shape=(1, 96), input_scale=0.02, input_zero_point=4
    )
    (figures,) = benchmark(convert(dense, target=target).tflite, target=target)
    assert figures.op == SPARSE_FULLY_CONNECTED
    assert figures.weights == 64 * 96
    assert figures.bit_exact


def test_floats_are_refused_because_no_dense_figure_exists() -> None:
    shape = SeparableShape(4, 4, (2, 3, 2), (3, 3))
    conv = random_float_separable(np.random.default_rng(2), shape)
    tflite = separable_model(
        pack(conv), shape.input_shape, conv.output_shape(shape.input_shape), dtype=np.float32
    )
    with pytest.raises(ModelError, match=r"'output': float32 SEPARABLE_CONV_2D .* accepted: int8"):
        benchmark(tflite)
