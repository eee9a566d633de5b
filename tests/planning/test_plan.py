"""`plan`: what it says of each layer of a file, against the cost model and by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import fully_connected_model
from tests.support.models.separable_models import changed, conv_model, random_pair
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import fully_connected as cost
from tflm_sparsesep.converters.cost.break_even import (
    best_sparse,
    break_even_block,
    break_even_rank,
    break_even_zeros,
)
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device.synthetic_separable import SeparableShape


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tflm_sparsesep", "plan", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def fully_connected(rows: int, cols: int) -> bytes:
    return fully_connected_model(
        np.ones((rows, cols), np.int8),
        np.zeros(rows, np.int32),
        input_shape=(1, cols),
        input_scale=0.1,
        input_zero_point=0,
        weight_scales=0.1,
        output_scale=0.1,
        output_zero_point=0,
    )


def convolution(height: int, width: int, dilation: int = 1) -> bytes:
    """8 -> 12 on an image of 10x10, stride 1, VALID."""
    shape = SeparableShape(
        10, 10, (8, 12, 12), (height, width), padding=(Padding.VALID, Padding.VALID)
    )
    first = random_pair(np.random.default_rng(0), shape)[0]
    weights = np.ones((12, height, width, 8), np.int8)
    (conv, *_) = changed([first], 0, weights=weights, dilation=dilation)
    return conv_model([conv], (1, 10, 10, 8))


def grouped() -> bytes:
    """4 -> 12 in each of two groups."""
    shape = SeparableShape(10, 10, (4, 12, 12), (3, 3))
    first = random_pair(np.random.default_rng(0), shape)[0]
    (conv, *_) = changed([first], 0, weights=np.ones((12, 3, 3, 4), np.int8))
    return conv_model([conv], (1, 10, 10, 8))


def test_a_fully_connected_layer_by_its_shape() -> None:
    (layer,) = ts.plan(fully_connected(300, 784), target="cortex-m4").layers
    # A bias for each output, and the quantization of weights and bias: 12 bytes each.
    shape = MatrixShape(300, 784, parameter_bytes=1200 + 24)
    assert (layer.op, layer.size, layer.note) == ("FULLY_CONNECTED", "784->300", "")
    assert layer.dense_bytes == 784 * 300 + 4 * 300 + 24
    # CMSIS-NN, measured.
    assert layer.dense_instructions == 456_192
    assert layer.unstructured == break_even_zeros(shape, "cortex-m4", "1x1")
    assert layer.block == break_even_block(shape, "cortex-m4")
    assert layer.factors == break_even_rank(shape, "cortex-m4")
    assert layer.best_case == best_sparse(shape, "cortex-m4", 0.95)
    assert layer.best_case is not None
    assert layer.best_case.instructions < layer.dense_instructions / 10


def test_a_convolution_by_its_shape() -> None:
    (layer,) = ts.plan(convolution(3, 5), target="cortex-m4").layers
    assert layer.size == "3x5 8->12 on 10x10"
    assert layer.dense_bytes == 12 * 3 * 5 * 8 + (4 + 24) * 12
    assert layer.unstructured is not None
    assert layer.unstructured.zeros is not None
    assert layer.block is not None
    assert layer.block.zeros is not None
    assert layer.block.zeros < layer.unstructured.zeros < 0.7
    assert layer.factors is not None
    # K (3 * 8 + 5 * 12) weights are fewer than 12 * 3 * 5 * 8 up to K = 17.
    assert layer.factors.channels is not None
    assert 1 < layer.factors.channels <= 17
    assert layer.best_case is not None
    assert layer.best_case.zeros == 0.95


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (grouped(), "grouped: no sparse kernel"),
        (fully_connected(2, 4), "too small"),
    ],
)
def test_layers_that_nothing_can_be_done_about_say_why(model: bytes, reason: str) -> None:
    plan = ts.plan(model)
    (layer,) = plan.layers
    assert reason in layer.note
    assert [layer.unstructured, layer.block, layer.factors, layer.best_case] == [None] * 4
    assert plan.best_case_bytes == plan.dense_bytes == layer.dense_bytes


@pytest.mark.parametrize(
    "model", [convolution(3, 1), convolution(3, 3, dilation=2)], ids=["column", "dilated"]
)
def test_convolutions_that_cannot_be_separated_are_planned_sparse(model: bytes) -> None:
    (layer,) = ts.plan(model, target="cortex-m3").layers
    assert layer.unstructured is not None
    assert layer.block is not None
    assert layer.factors is None
    assert layer.best_case == best_sparse(ConvShape(*layer_geometry(model)), "cortex-m3", 0.95)


def layer_geometry(model: bytes) -> tuple[Any, ...]:
    (op,) = editor.read(model).operators
    shapes = (op.weights.shape, op.input(0).shape, op.outputs[0].shape)
    return (*shapes, op.strides, Padding.VALID, 4 * op.weights.shape[0], op.dilation)


def test_bad_models_and_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ts.ConfigError, match="model is of type int"):
        ts.plan(5)
    with pytest.raises(ts.ConfigError, match="target 'z80' is unknown"):
        ts.plan(fully_connected(8, 8), target="z80")
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"no model")
    done = cli(bad)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(bad) in done.stderr


@needs_shared_models
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_a_model_of_others(target: str) -> None:
    """MLPerf Tiny's anomaly detector: its layers add up, and its float32 form plans the same."""
    plan = ts.plan(SHARED_MODELS / "ad01_int8.tflite", target=target)
    assert len(plan.layers) == 10
    shapes = [(640, 128), *[(128, 128)] * 3, (128, 8), (8, 128), *[(128, 128)] * 3, (128, 640)]
    assert [layer.size for layer in plan.layers] == [f"{c}->{r}" for c, r in shapes]
    assert plan.dense_bytes == sum(c * r + 4 * r + 24 for c, r in shapes)
    assert plan.dense_instructions == sum(cost.dense_instructions(target, r, c) for c, r in shapes)
    best = [layer.best_case for layer in plan.layers]
    assert plan.best_case_bytes == sum(form.bytes if form else 8 * 128 + 512 + 24 for form in best)
    float32 = ts.plan(SHARED_MODELS / "ad01_fp32.tflite", target=target)
    # The int8 file is quantized by tensor; quantizers of today do it by channel.
    assert float32.dense_bytes == sum(c * r + (4 + 24) * r for c, r in shapes)
    for int8_layer, float_layer in zip(plan.layers, float32.layers, strict=True):
        assert (int8_layer.op, int8_layer.size) == (float_layer.op, float_layer.size)
        assert int8_layer.dense_instructions == float_layer.dense_instructions


@needs_shared_models
@pytest.mark.parametrize("name", ["kws_ref_model", "pretrainedResnet_quant"])
def test_a_plan_counts_the_entire_model(name: str) -> None:
    path = SHARED_MODELS / f"{name}.tflite"
    plan = ts.plan(path, target="cortex-m0")
    model = editor.read(path.read_bytes())
    assert plan.dense_instructions == model_cost.instructions(model, (), "cortex-m0")
    assert plan.other_instructions > 0
    assert plan.uncounted == []


@needs_shared_models
@pytest.mark.parametrize("target", ["cortex-m4", "host"])
def test_depthwise_layers_have_a_best_case_where_convert_rewrites_them(target: str) -> None:
    path = SHARED_MODELS / "kws_ref_model.tflite"
    layers = [x for x in ts.plan(path, target=target).layers if x.op == "DEPTHWISE_CONV_2D"]
    rewritten = {x.name for x in ts.convert(path, target=target).layers if x.rewritten}
    assert len(layers) == 4
    for layer in layers:
        assert (layer.best_case is not None) == (layer.name in rewritten)
        assert (layer.note == "") == (layer.best_case is not None)
        assert layer.best_case is None or layer.best_case.pattern == "kernel"


@needs_shared_models
def test_the_command_prints_a_table_or_json() -> None:
    path = SHARED_MODELS / "kws_ref_model.tflite"
    report = json.loads(cli(path, "--target", "cortex-m0", "--json").stdout)
    plan = ts.plan(path, target="cortex-m0")
    assert report == {"model": str(path), **json.loads(json.dumps(plan.to_json()))}
    done = cli(path)
    assert done.returncode == 0, done.stderr
    (total,) = [line for line in done.stdout.splitlines() if line.strip().startswith("total")]
    assert f"{ts.plan(path).dense_instructions:,}" in total
    assert " kernel " in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 120


@needs_shared_models
def test_tensorflow_is_not_imported() -> None:
    code = (
        "import sys, tflm_sparsesep as ts; ts.plan(sys.argv[1]); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    path = SHARED_MODELS / "ad01_int8.tflite"
    assert subprocess.run([sys.executable, "-c", code, path], timeout=300).returncode == 0


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_a_keras_model_plans_as_the_int8_model_it_becomes(tmp_path: Path) -> None:
    import keras

    from tflm_sparsesep.quantize import quantize

    layers = keras.layers
    branch = keras.Sequential([layers.Conv2D(8, 1, activation="relu"), layers.Flatten()])
    model: Any = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(16, (3, 5), strides=2, padding="same", bias_initializer="uniform"),
            layers.DepthwiseConv2D(7, padding="same", bias_initializer="uniform"),
            layers.DepthwiseConv2D(3, 2, bias_initializer="uniform"),
            layers.Conv2D(12, 3, dilation_rate=2, padding="same", bias_initializer="uniform"),
            layers.Conv2D(12, (2, 1), bias_initializer="uniform"),
            branch,
            layers.Dense(10, activation="softmax", bias_initializer="uniform"),
        ]
    )
    x = np.random.default_rng(0).random((8, 12, 12, 3)).astype(np.float32)
    keras_plan = ts.plan(model).layers
    file_plan = ts.plan(quantize(model, x)).layers
    assert [layer.op for layer in keras_plan] == [layer.op for layer in file_plan]
    wide, small = keras_plan[1:3]
    assert (wide.size, small.size) == ("7x7 of 16 on 6x6", "3x3 of 16 on 6x6")
    assert wide.dense_bytes == 16 * (49 + 28)
    assert wide.factors is not None
    assert wide.factors.bytes == 16 * (7 + 7 + 28 + 28)
    # CMSIS-NN runs 3x3 in a kernel of its own, faster than it runs 3x1 and 1x3.
    assert small.factors is None
    for ours, theirs in zip(keras_plan, file_plan, strict=True):
        if not ours.note:
            assert replace(ours, name="") == replace(theirs, name="")
        else:
            assert theirs.note
    model.save(tmp_path / "model.keras")
    assert ts.plan(tmp_path / "model.keras").layers == keras_plan


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_convolutions_along_one_axis_are_planned_as_matrices() -> None:
    import keras

    from tflm_sparsesep.quantize import quantize

    layers = keras.layers
    model: Any = keras.Sequential(
        [
            keras.Input((50, 6)),
            layers.Conv1D(16, 5, bias_initializer="uniform"),
            layers.Conv1D(32, 3, strides=2, bias_initializer="uniform"),
            layers.Conv1D(8, 3, padding="same", bias_initializer="uniform"),
        ]
    )
    x = np.random.default_rng(0).random((8, 50, 6)).astype(np.float32)
    keras_plan = ts.plan(model).layers
    file_plan = ts.plan(quantize(model, x)).layers
    sizes = ["1x5 6->16 x46", "1x3 16->32 x22", "1x3 32->8 on 1x22"]
    assert [layer.size for layer in keras_plan] == sizes
    for ours, theirs in zip(keras_plan, file_plan, strict=True):
        assert replace(ours, name="") == replace(theirs, name="")
        assert ours.unstructured is not None
        assert ours.note == ""
