"""Channels that are silent on the samples leave the model: their worth, and their risk."""

from __future__ import annotations

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.converters.passes.test_remove_constant_channels import DEAD, block, set_bias
from tests.support.models.latent_models import latent_samples, mlp
from tests.support.tensors import values_of
from tflm_sparsesep.compression.silent_channels import margins_of, silenced
from tflm_sparsesep.compression.trial_builder import TrialBuilder, TrialJob
from tflm_sparsesep.converters.tflite import editor

# Units of the first layer of `mlp` that the tests make silent.
QUIET = np.arange(0, 48, 3)
TARGET = "cortex-m4"


def quiet_mlp(stays_below: float) -> bytes:
    """Return `mlp` with a bias that keeps a third of its units below zero.

    Args:
        stays_below: by how many of their deviations, on `latent_samples`. The units could speak:
            inputs are int8, and any of them would do.
    """
    model = editor.read(mlp())
    op = model.subgraphs[0].operators[0]
    assert op.weights.array is not None
    assert op.bias is not None
    x = np.clip(np.rint(latent_samples(400, seed=0) / 0.03), -128, 127).astype(int)
    sums = x @ op.weights.array.astype(int).T
    bias = -(sums.max(axis=0) + stays_below * sums.std(axis=0))
    op.bias.array = np.where(np.isin(np.arange(48), QUIET), bias, 0).astype(np.int32)
    return editor.write(model)


def builder(data: bytes, x: np.ndarray) -> TrialBuilder:
    return TrialBuilder(TrialJob(data, [x], None, TARGET, "model"))


def without_silent(data: bytes, x: np.ndarray, budget: ts.Budget) -> bytes | None:
    made = builder(data, x)
    return silenced(data, made.layers, budget, made.measured)


def test_margins_are_in_deviations() -> None:
    made = builder(quiet_mlp(0.8), latent_samples(400, seed=0))
    margins = margins_of(made.layers[0])
    # Fits see three quarters of the samples: their largest value is no larger.
    assert (margins[QUIET] > 0.75).all()
    assert np.isneginf(np.delete(margins, QUIET)).all()
    assert np.isneginf(margins_of(made.layers[1])).all(), "no RELU: nothing is silent"


def test_outputs_stay_the_same_bit_for_bit() -> None:
    data, x = quiet_mlp(0.8), latent_samples(400, seed=0)
    found = without_silent(data, x, ts.Budget(min_output_sqnr_db=20))
    assert found is not None
    converted = ts.convert(found, target=TARGET).tflite
    np.testing.assert_array_equal(ts.run(data, x)[0], ts.run(converted, x)[0])
    assert len(converted) < len(ts.convert(data, target=TARGET).tflite) - len(QUIET) * 96
    assert editor.read(converted).subgraphs[0].operators[0].outputs[0].shape == (1, 32)


def test_channels_of_convolutions_leave_the_depthwise_one_behind_them() -> None:
    graph = block()
    # Their sums deviate by about 27,000; 220,000 is what they could reach.
    set_bias(graph.operators[0], DEAD, -140_000)
    data, (x,) = graph.build(), graph.samples(20)
    found = without_silent(data, x, ts.Budget(min_output_sqnr_db=20))
    assert found is not None
    converted = ts.convert(found, target=TARGET).tflite
    shapes = [op.outputs[0].shape[-1] for op in editor.read(converted).subgraphs[0].operators]
    assert shapes == [8, 8, 8]
    np.testing.assert_array_equal(ts.run(data, x)[0], ts.run(converted, x)[0])


def test_channels_that_may_speak_stay() -> None:
    """A held-out sample at which every quiet unit is loud: it would be lost."""
    data, x = quiet_mlp(0.8), latent_samples(400, seed=0)
    x[3::4] *= 20
    assert without_silent(data, x, ts.Budget(min_output_sqnr_db=20)) is None


def test_little_room_keeps_more_channels() -> None:
    """Half of the units hardly stay below zero: what they lose is too much at 60 dB."""
    data, x = quiet_mlp(0.3), latent_samples(400, seed=0)
    x[3::4] *= 1.2
    assert units_left(data, x, 10) < units_left(data, x, 60)


def units_left(data: bytes, x: np.ndarray, db: float) -> int:
    """Return how many units of the first layer have weights after a search for a quality."""
    found = without_silent(data, x, ts.Budget(min_output_sqnr_db=db)) or data
    return int(values_of(editor.read(found).subgraphs[0].operators[0].weights).any(axis=1).sum())


def test_without_a_limit_of_quality_outputs_stay() -> None:
    data, x = quiet_mlp(1.0), latent_samples(400, seed=0)
    found = without_silent(data, x, ts.Budget(flash_bytes=6_000))
    assert found is not None
    np.testing.assert_array_equal(ts.run(data, x)[0], ts.run(found, x)[0])


@pytest.mark.slow
def test_compress_takes_them_first() -> None:
    x = latent_samples(400, seed=0)
    result = ts.compress(
        quiet_mlp(1.0),
        budget=ts.Budget(min_output_sqnr_db=40),
        representative_dataset=x,
        cache_dir=None,
    )
    assert not result.is_unchanged
    assert result.point.forms[0].endswith("without 16 silent channels")
    assert result.point.sqnr_db >= 40
    assert (
        not ts.compress(
            mlp(), budget=ts.Budget(min_output_sqnr_db=40), representative_dataset=x, cache_dir=None
        )
        .point.forms[0]
        .endswith("channels")
    )
