"""Mutated blobs of SPARSE_FULLY_CONNECTED, under sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import fuzzer
from tests.support.layers import layout_case
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack

pytestmark = [pytest.mark.slow, pytest.mark.sweep, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzer.build("fuzz_packed_weights", tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_mutated_blobs_are_refused_or_harmless(
    program: Path, layout: Layout, tmp_path: Path
) -> None:
    case = layout_case(np.random.default_rng(4), layout, 13, 301, zeros=0.8)
    blob, options = tmp_path / "blob", tmp_path / "options"
    blob.write_bytes(pack(case.layer, layout))
    options.write_bytes(case.options.to_bytes())
    fuzzer.check(program, blob, options)
