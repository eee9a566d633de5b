"""The cost model's fit finds the instructions that made the counts, and nothing else."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripts import load_script
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.device.kernel_bench import random_layer

LAYOUT = Layout(IndexEncoding.DELTA8)
# As of a kernel that decodes a blob once for four vectors.
ALONE = {"per_call": 120.0, "per_vector": 80.0, "per_row": 23.0, "per_block": 3.75}
TOGETHER = {"per_row_and_pass": 46.0, "per_col_and_pass": 6.25, "per_block_and_pass": 8.25}


@pytest.fixture(scope="module")
def fit() -> ModuleType:
    """The script as a module."""
    return load_script("benchmarks/cost_model/fit.py")


def counted(fit: ModuleType, instructions: dict[str, float], vectors_per_pass: int) -> list[Any]:
    """The points of the fit, as a kernel of these `instructions` would count."""
    layers = []
    for point in fit.FITTED:
        case = random_layer(
            LAYOUT, point.rows, point.cols, zeros=point.zeros, batch=point.batch, input_zeros=0.0
        )
        size = size_of(case.layer.weights, LAYOUT)
        layer = fit.Measured(LAYOUT, size, point.batch, 0.0, 0.0)
        terms = layer.terms(vectors_per_pass)
        count = sum(value * terms[name] for name, value in instructions.items())
        layers.append(dataclasses.replace(layer, instructions=round(count)))
    return layers


@pytest.mark.parametrize(("instructions", "vectors"), [(ALONE, 1), (ALONE | TOGETHER, 4)])
def test_the_fit_finds_what_made_the_counts(
    fit: ModuleType, instructions: dict[str, float], vectors: int
) -> None:
    found, vectors_per_pass = fit.fit_passes(counted(fit, instructions, vectors))
    assert vectors_per_pass == vectors
    assert found["per_block"] == pytest.approx(3.75, rel=0.02)
    # What the fit leaves out may be worth 0.1% (TOLERATED_ERROR); counts are rounded.
    layers = counted(fit, instructions, vectors)
    for layer in layers:
        terms = layer.terms(vectors)
        predicted = sum(value * terms[name] for name, value in found.items())
        assert predicted == pytest.approx(layer.instructions, rel=0.01)


def test_points_that_are_held_out_are_not_fitted(fit: ModuleType) -> None:
    assert not set(fit.FITTED) & set(fit.HELD_OUT)
    assert {point.batch for point in fit.HELD_OUT} != {1}
