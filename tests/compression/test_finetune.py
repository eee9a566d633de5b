"""Fine-tuning without labels and without a Keras model: the original teaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.latent_models import latent_samples, mlp, tflm_sqnr
from tests.support.models.shared_models import needs_shared_models, shared_model
from tests.support.models.small_models import dense_model
from tests.support.tensors import values_of
from tflm_sparsesep.compression.segments import run_model
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.output_quality import sqnr_db

pytestmark = pytest.mark.xdist_group("tensorflow")


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return latent_samples(400, seed=0)


@pytest.fixture(scope="module")
def small(x: np.ndarray) -> ts.CompressResult:
    budget = ts.Budget(flash_bytes=3_500)
    return ts.compress(mlp(), budget=budget, representative_dataset=x, cache_dir=None, workers=1)


def weights_of(tflite: bytes) -> list[np.ndarray]:
    return [values_of(op.weights) for op in editor.read(tflite).operators]


def pruned(tflite: bytes, share: float) -> bytes:
    """Drop the smallest weights of each layer, unfitted."""
    model = editor.read(tflite)
    for op in model.operators:
        weights = values_of(op.weights).copy()
        weights[np.abs(weights.astype(int)) <= np.quantile(np.abs(weights.astype(int)), share)] = 0
        op.weights.array = weights
    return editor.write(model)


@pytest.mark.slow
def test_it_gets_better_and_keeps_its_zeros_and_its_size(
    small: ts.CompressResult, x: np.ndarray
) -> None:
    dense = pruned(mlp(), 0.7)
    spoiled = replace(small, dense_tflite=dense, tflite=ts.convert(dense).tflite)
    before = tflm_sqnr(mlp(), spoiled.tflite, x[3::4])
    found = spoiled.finetune(x, epochs=20, learning_rate=3e-3)
    assert found.point.sqnr_db > before + 3
    # The samples that measure are held out, and new ones of the same kind agree.
    assert tflm_sqnr(mlp(), found.tflite, x[3::4]) == pytest.approx(found.point.sqnr_db, abs=0.1)
    assert tflm_sqnr(mlp(), found.tflite, latent_samples(400, seed=9)) > before + 3
    pairs = zip(weights_of(dense), weights_of(found.dense_tflite), strict=True)
    assert all(not after[before == 0].any() for before, after in pairs)
    assert len(found.tflite) <= len(spoiled.tflite) + 16
    assert found.point.flash_bytes == len(found.tflite)
    assert found.point in found.visited
    assert spoiled.finetune(x, epochs=20, learning_rate=3e-3) == found


@pytest.mark.slow
def test_palettes_stay(small: ts.CompressResult, x: np.ndarray) -> None:
    assert all("of 16 values" in form for form in small.point.forms)
    found = small.finetune(x, epochs=10, learning_rate=3e-3)
    assert found.point.sqnr_db >= small.point.sqnr_db
    assert found is not small
    assert len(found.tflite) == len(small.tflite)
    for before, after in zip(
        *map(weights_of, (small.dense_tflite, found.dense_tflite)), strict=True
    ):
        assert not np.array_equal(before, after)
        assert set(np.unique(np.abs(after))) <= set(np.unique(np.abs(before)))


@pytest.mark.slow
def test_what_training_spoils_is_not_taken(small: ts.CompressResult, x: np.ndarray) -> None:
    assert small.finetune(x, epochs=2, learning_rate=1e3) is small


def test_arguments_that_say_nothing_are_refused(small: ts.CompressResult, x: np.ndarray) -> None:
    with pytest.raises(ts.ConfigError, match="epochs is 0; accepted: an integer from 1 up"):
        small.finetune(x, epochs=0)
    with pytest.raises(ts.ConfigError, match="learning_rate is nan; accepted: a number above 0"):
        small.finetune(x, learning_rate=float("nan"))
    with pytest.raises(ts.ConfigError, match="4 samples given, accepted: at least 8"):
        small.finetune(x[:4])


@pytest.mark.slow
@needs_shared_models
@pytest.mark.parametrize("name", ["kws_ref_model", "pretrainedResnet_quant", "ad01_int8"])
def test_all_activations_are_those_of_litert(name: str) -> None:
    """Real numbers rounded to int8: ties differ by a step, and so does what follows them."""
    from tflm_sparsesep.compression.differentiable import DifferentiableModel

    data = shared_model(f"{name}.tflite")
    model = editor.read(data)
    main = model.subgraphs[0]
    shape = main.inputs[0].shape
    rng = np.random.default_rng(0)
    smooth = rng.integers(-9, 10, (4, *shape)).cumsum(axis=2).clip(-128, 127).astype(np.int8)
    wanted = [op.outputs[0] for op in main.operators if op.op_name != "SOFTMAX"]
    found = run_model(model, data, wanted, [smooth])
    real: Any = samples.dequantize(smooth, main.inputs[0]).astype(np.float32)
    values = DifferentiableModel(model, is_trained=False)([real.reshape(-1, *shape[1:])])
    for tensor, array in zip(wanted, found, strict=True):
        real = samples.dequantize(array, tensor)
        assert sqnr_db([real], [np.reshape(values[tensor.name], array.shape)]) > 20


@pytest.mark.slow
def test_an_operator_without_equivalent_is_named() -> None:
    from tflm_sparsesep.compression.differentiable import DifferentiableModel

    model = editor.read(dense_model())
    model.subgraphs[0].operators[0].builtin_code = editor.BuiltinOperator.TANH
    with pytest.raises(ts.ModelError, match="net: TANH cannot be trained"):
        DifferentiableModel(model, is_trained=True, name="net")
