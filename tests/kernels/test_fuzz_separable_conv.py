"""Mutated blobs of SEPARABLE_CONV_2D, under sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.kernels import fuzzer
from tflm_sparsesep.converters.blob.pack_separable import pack
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_separable,
)

SHAPE = SeparableShape(8, 8, (5, 6, 9), (3, 4))

pytestmark = [pytest.mark.slow, pytest.mark.sweep, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzer.build("fuzz_separable_conv", tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", ["natural", "woven", "float32"])
def test_mutated_blobs_are_refused_or_harmless(program: Path, kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    blob = tmp_path / "blob"
    if kind == "float32":
        blob.write_bytes(pack(random_float_separable(rng, SHAPE)))
    else:
        blob.write_bytes(pack(random_separable(rng, SHAPE), Order[kind.upper()]))
    fuzzer.check(program, blob)
