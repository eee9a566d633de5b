"""Mutated blobs of SPARSE_CONV_2D, under sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import fuzzer
from tests.support.residuals import each_kind
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual

pytestmark = [pytest.mark.slow, pytest.mark.sweep, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzer.build("fuzz_sparse_conv", tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_mutated_blobs_are_refused_or_harmless(
    program: Path, layout: Layout, tmp_path: Path
) -> None:
    window = ConvWindow((3, 2), 5, (1, 1), (1, 2))
    conv = random_conv(
        np.random.default_rng(4), layout, window=window, units=7, size=(5, 6), zeros=0.6
    )
    blob = tmp_path / "blob"
    blob.write_bytes(conv.blob(layout))
    fuzzer.check(program, blob)


def test_mutated_residuals_are_refused_or_harmless(program: Path, tmp_path: Path) -> None:
    rng, window = np.random.default_rng(4), ConvWindow((3, 2), 5, (1, 1), (1, 2))
    conv = random_conv(rng, LAYOUTS[0], window=window, units=7, size=(5, 6), zeros=0.6)
    blob = tmp_path / "blob"
    for residual in each_kind(rng):
        blob.write_bytes(with_residual(conv.blob(LAYOUTS[0]), residual))
        fuzzer.check(program, blob)
