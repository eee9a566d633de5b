"""`compress` from a file to what TFLM computes: quality, size and time within the budget."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import fully_connected_model
from tests.support.models.latent_models import (
    INPUT_SCALE,
    SIZES,
    latent_samples,
    mlp,
    tflm_sqnr,
)
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tests.support.tensors import values_of
from tflm_sparsesep.compression.budget_search import pareto
from tflm_sparsesep.compression.factorization import Factorization
from tflm_sparsesep.compression.layer_compressor import LayerCompressor
from tflm_sparsesep.converters.blob.pack_depthwise import to_taps
from tflm_sparsesep.converters.layers.packed import is_depthwise, packed_depthwise
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trials are not those of another day, nor are these left to the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def dense() -> bytes:
    return mlp()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return latent_samples(400, seed=0)


@pytest.fixture(scope="module")
def at_20_db(dense: bytes, x: np.ndarray) -> ts.CompressResult:
    return ts.compress(dense, budget=ts.Budget(min_output_sqnr_db=20), representative_dataset=x)


def test_quality_is_as_asked_in_tflm(
    dense: bytes, x: np.ndarray, at_20_db: ts.CompressResult
) -> None:
    assert any(layer.rewritten for layer in at_20_db.layers)
    held_out = x[3::4]
    found = tflm_sqnr(dense, at_20_db.tflite, held_out)
    assert found >= 20
    # LiteRT and TFLM differ by one step in few outputs (`runtimes.run`), against noise of some.
    assert at_20_db.point.sqnr_db == pytest.approx(found, abs=0.1)
    # Nor is it the samples' merit: new ones of the same kind. The estimate of noise power from
    # 100 samples of 10 free numbers each errs by about 1 / sqrt(100): 0.4 dB, twice that allowed.
    assert tflm_sqnr(dense, at_20_db.tflite, latent_samples(400, seed=9)) >= 20 - 0.8


def test_it_is_smaller_and_faster(dense: bytes, at_20_db: ts.CompressResult) -> None:
    plain = ts.convert(dense)
    assert len(at_20_db.tflite) < 0.7 * len(plain.tflite)
    before = sum(layer.dense_instructions or 0 for layer in plain.layers)
    assert at_20_db.point.instructions < 0.5 * before


def test_figures_are_those_of_the_file(dense: bytes, at_20_db: ts.CompressResult) -> None:
    point = at_20_db.point
    assert point.flash_bytes == len(at_20_db.tflite)
    assert point.instructions == sum(
        (layer.sparse_instructions if layer.rewritten else layer.dense_instructions) or 0
        for layer in at_20_db.layers
    )
    assert point in at_20_db.visited
    assert at_20_db.pareto == pareto(at_20_db.visited)
    assert len(at_20_db.pareto) > 3
    # TFLM's arena holds the planned activations, and more.
    main = editor.read(at_20_db.tflite).subgraphs[0]
    assert sum(SIZES[:2]) <= point.arena_bytes < 2000
    assert len(point.forms) == len(SIZES) - 1
    assert main.inputs[0].shape == (1, SIZES[0])


def test_dropping_the_smallest_weights_does_worse(
    dense: bytes, x: np.ndarray, at_20_db: ts.CompressResult
) -> None:
    """What fitting to data is for: as many weights by magnitude, unfitted."""
    held = [
        sum(int(np.count_nonzero(values_of(op.weights))) for op in group)
        for group in operators_by_layer(at_20_db.dense_tflite)
    ]
    model = editor.read(dense)
    for op, count in zip(model.subgraphs[0].operators, held, strict=True):
        weights = values_of(op.weights).copy()
        ranks = np.argsort(np.argsort(-np.abs(weights.astype(int)), axis=None)).reshape(
            weights.shape
        )
        weights[ranks >= count] = 0
        op.weights.array = weights
    assert tflm_sqnr(dense, editor.write(model), x[3::4]) < at_20_db.point.sqnr_db - 3


def operators_by_layer(tflite: bytes) -> list[list[Operator]]:
    """A layer ends where its output is not called "between"."""
    groups: list[list[Operator]] = [[]]
    for op in editor.read(tflite).subgraphs[0].operators:
        groups[-1].append(op)
        if not op.outputs[0].name.endswith("/between"):
            groups.append([])
    return groups[:-1]


def test_dense_layers_may_grow_for_speed(x: np.ndarray) -> None:
    """One scale for all weights: 4x4 blocks, an index each, are larger than the layer, and faster.

    No form keeps 60 dB: the layer stays dense, or is packed as it is.
    """
    rng = np.random.default_rng(0)
    model = fully_connected_model(
        rng.integers(-127, 128, (64, SIZES[0])).astype(np.int8),
        np.zeros(64, np.int32),
        input_shape=(1, SIZES[0]),
        input_scale=INPUT_SCALE,
        input_zero_point=0,
        weight_scales=0.003,
        output_scale=0.05,
        output_zero_point=0,
    )
    budget = ts.Budget(min_output_sqnr_db=60)
    small, fast = (
        ts.compress(model, budget=budget, representative_dataset=x, prefer=prefer)
        for prefer in (None, "speed")
    )
    assert small.point.sqnr_db == fast.point.sqnr_db == math.inf
    assert fast.point.instructions < 0.75 * small.point.instructions
    assert small.point.flash_bytes < fast.point.flash_bytes < 1.2 * small.point.flash_bytes
    assert fast.tflite == ts.convert(model, prefer="speed").tflite


def test_unknown_preferences_are_refused(dense: bytes, x: np.ndarray) -> None:
    budget = ts.Budget(min_output_sqnr_db=20)
    with pytest.raises(ts.ConfigError, match="prefer='size'; accepted: flash, speed, or None"):
        ts.compress(dense, budget=budget, representative_dataset=x, prefer="size")  # type: ignore[arg-type]


@pytest.mark.slow
def test_bytes_and_instructions_are_kept(dense: bytes, x: np.ndarray) -> None:
    limits = ts.Budget(flash_bytes=6_000, instructions=6_000)
    result = ts.compress(dense, budget=limits, representative_dataset=x)
    assert len(result.tflite) <= 6_000
    assert result.point.instructions <= 6_000
    small = [p for p in result.visited if limits.is_small(p)]
    # Nearly the best that was seen: the careful fit of a choice is not always the better one.
    assert result.point.sqnr_db >= max(p.sqnr_db for p in small) - 1


@pytest.mark.slow
def test_a_budget_out_of_reach_says_how_close_it_came(dense: bytes, x: np.ndarray) -> None:
    with pytest.raises(ts.ConfigError) as caught:
        ts.compress(
            dense,
            budget=ts.Budget(min_output_sqnr_db=20, flash_bytes=2_000),
            representative_dataset=x,
        )
    message = str(caught.value)
    assert "flash_bytes is" in message
    assert "limit 2,000" in message
    assert re.search(r"layer 'fc[01]' binds with [1-9][0-9,]* bytes", message)
    assert "\n" not in message


def test_what_cannot_be_compressed_is_refused(dense: bytes, x: np.ndarray) -> None:
    budget = ts.Budget(min_output_sqnr_db=20)
    with (
        pytest.warns(UserWarning, match="6 samples are left to fit layer 'fc0'"),
        pytest.raises(ts.ConfigError, match="7 samples given, accepted: at least 8"),
    ):
        ts.compress(dense, budget=budget, representative_dataset=x[:7])
    with pytest.raises(ts.ConfigError, match="model is of type int"):
        ts.compress(5, budget=budget, representative_dataset=x)
    scale = Quantization(0.1)
    ends = [Tensor(name, (1, 4), TensorType.INT8, quantization=scale) for name in ("in", "out")]
    relu = Operator(BuiltinOperator.RELU, [ends[0]], ends[1:], version=2)
    weightless = editor.write(
        Model([Subgraph(inputs=ends[:1], outputs=ends[1:], operators=[relu])])
    )
    with pytest.raises(ts.ModelError, match="no int8 FULLY_CONNECTED or CONV_2D layer"):
        ts.compress(weightless, budget=budget, representative_dataset=np.zeros((8, 4), np.float32))
    with pytest.raises(ts.ConfigError, match="max_accuracy_drop is given without labels"):
        ts.compress(dense, budget=ts.Budget(max_accuracy_drop=1), representative_dataset=x)
    with pytest.raises(ts.ConfigError, match=r"labels are int64\[399\], accepted: 400 integers"):
        ts.compress(dense, budget=budget, representative_dataset=x, labels=np.zeros(399, int))


@pytest.mark.slow
@pytest.mark.parametrize("shift", [1, 77])
def test_labels_of_other_classes_are_refused(dense: bytes, x: np.ndarray, shift: int) -> None:
    (scores,) = ts.run(dense, x)
    budget, labels = ts.Budget(max_accuracy_drop=1), scores.argmax(axis=1)
    classes = scores.shape[1]
    shifted = (labels + 1) % classes if shift == 1 else labels + shift
    message = "gets 0.0% of .* no more than chance" if shift == 1 else "labels are .*, accepted: 0"
    with pytest.raises(ts.ConfigError, match=message):
        ts.compress(dense, budget=budget, representative_dataset=x, labels=shifted)


def test_few_labels_do_not_show_that_they_are_wrong(dense: bytes, x: np.ndarray) -> None:
    few = x[:40]  # 10 of them measure
    (scores,) = ts.run(dense, few)
    shifted = (scores.argmax(axis=1) + 1) % scores.shape[1]
    budget = ts.Budget(max_accuracy_drop=1)
    result = ts.compress(dense, budget=budget, representative_dataset=few, labels=shifted)
    assert result.point.accuracy_drop is not None


def test_accuracy_is_kept_where_labels_are_given(dense: bytes, x: np.ndarray) -> None:
    """Labels of a teacher that the model is right about, but for some."""
    (scores,) = ts.run(dense, x, runtime="tflm")
    labels = scores.argmax(axis=1)
    labels[::10] = 0
    result = ts.compress(
        dense, budget=ts.Budget(max_accuracy_drop=8), representative_dataset=x, labels=labels
    )

    def accuracy(tflite: bytes) -> float:
        (found,) = ts.run(tflite, x[3::4], runtime="tflm")
        return 100 * float(np.mean(found.argmax(axis=1) == labels[3::4]))

    # LiteRT and TFLM may decide a tie in 100 samples differently: one point.
    assert accuracy(result.tflite) >= accuracy(dense) - 8 - 1
    assert result.point.accuracy_drop is not None
    assert result.point.accuracy_drop <= 8
    assert len(result.tflite) < 0.75 * len(dense)


@pytest.mark.slow
def test_the_arena_is_a_budget(dense: bytes, x: np.ndarray) -> None:
    with pytest.raises(ts.ConfigError, match=r"arena_bytes is .* limit 100"):
        ts.compress(
            dense,
            budget=ts.Budget(min_output_sqnr_db=20, arena_bytes=100),
            representative_dataset=x,
        )


@pytest.mark.slow
def test_the_command_gives_the_same_bytes(
    dense: bytes, x: np.ndarray, at_20_db: ts.CompressResult, tmp_path: Path
) -> None:
    (tmp_path / "in.tflite").write_bytes(dense)
    np.save(tmp_path / "x.npy", x)
    done = command(tmp_path, "--min-sqnr", "20", "--flash", "0.1M", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (tmp_path / "out.tflite").read_bytes() == at_20_db.tflite
    assert report["output"] == "out.tflite"
    assert report["sqnr_db"] == at_20_db.point.sqnr_db
    assert len(report["pareto"]) == len(at_20_db.pareto)


@pytest.mark.slow
def test_what_does_not_pay_is_not_written(dense: bytes, x: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "in.tflite").write_bytes(dense)
    np.save(tmp_path / "x.npy", x)
    done = command(tmp_path, "--min-sqnr", "90")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("out.tflite: not written, as nothing pays within the budget; nearest ")
    offers = [float(db) for db in re.findall(r"([\d.]+) dB about the mean", line)]
    assert len(offers) == 3
    assert 25 < offers[0] < 90
    assert offers == sorted(offers, reverse=True)
    assert not (tmp_path / "out.tflite").exists()
    done = command(tmp_path, "--flash", "1M")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("out.tflite: not written, as `convert` alone meets the budget: outputs ")
    done = command(tmp_path, "--min-sqnr", "90", "--unchanged", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["sqnr_db"] is None
    # TFLM's arena holds more than the activations.
    assert report["tflm_arena_bytes"] > report["arena_bytes"]
    written = (tmp_path / "out.tflite").read_bytes()
    np.testing.assert_array_equal(ts.run(written, x)[0], ts.run(dense, x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--flash", "much"], "'much' is not a number"),
        (["--instructions", "0k"], "instructions is 0"),
        ([], "no budget is given; accepted: at least one of --min-sqnr"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    done = command(tmp_path, *options)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr


def command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "tflm_sparsesep", "compress", "in.tflite"]
    return subprocess.run(
        [*start, "-o", "out.tflite", "--data", "x.npy", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.mark.slow
@needs_shared_models
def test_a_model_of_others() -> None:
    """MLPerf Tiny's anomaly detector: ten layers."""
    data = (SHARED_MODELS / "ad01_int8.tflite").read_bytes()
    x = np.random.default_rng(0).integers(-128, 128, (400, 640)).astype(np.int8)
    compressor = LayerCompressor(data, [x[:300, None]], target="cortex-m4", name="ad01")
    sizes = [layer.real.weights.size for layer in compressor.layers]
    forms = [Factorization("sparse", (1, 4), size // 2) for size in sizes]
    forms[0], forms[-1] = (
        Factorization("low_rank", rank=45),
        Factorization("dictionary", size=16_000, rank=64),
    )
    compressed = ts.convert(compressor.build(forms).tflite)
    assert sum(layer.rewritten for layer in compressed.layers) >= 5
    assert len(compressed.tflite) < 0.8 * len(data)
    # Random inputs drive the outputs towards a constant, which has 0 dB about the mean.
    assert tflm_sqnr(data, compressed.tflite, x[300:]) > 4


@pytest.mark.slow
@needs_shared_models
def test_a_convolutional_model_of_others() -> None:
    """Keyword spotting with depthwise convolutions, which pass through unharmed."""
    data = (SHARED_MODELS / "kws_ref_model.tflite").read_bytes()
    x = np.random.default_rng(0).integers(-128, 128, (120, 49, 10, 1)).astype(np.int8)
    result = ts.compress(data, budget=ts.Budget(min_output_sqnr_db=20), representative_dataset=x)
    assert len(result.tflite) < len(data)
    assert tflm_sqnr(data, result.tflite, x[3::4]) >= 20
    before = [
        to_taps(values_of(op.weights))
        for op in editor.read(data).operators
        if op.op_name == "DEPTHWISE_CONV_2D"
    ]
    after = [
        packed_depthwise(op).layer.weights.weights
        for op in editor.read(result.tflite).operators
        if is_depthwise(op) and packed_depthwise(op).layer.window.channels == 64
    ]
    assert len(before) == 4
    assert len(after) >= 3
    for new in after:
        assert any(np.array_equal(old, new) for old in before)
