"""Mutated blobs of SEPARABLE_CONV_2D, under sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import fuzzer
from tests.support.depthwise_layers import DepthwiseCase, random_block
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_separable import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
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


@pytest.mark.parametrize("kind", ["depthwise", "block"])
def test_mutated_depthwise_blobs(program: Path, kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    layer = random_depthwise(rng, ConvWindow((3, 3), 5, (2, 1)), multiplier=2)
    case = DepthwiseCase(layer, np.zeros((1, 4, 4, 5), np.int8))
    blob = tmp_path / "blob"
    if kind == "depthwise":
        blob.write_bytes(pack_depthwise(layer))
    else:
        blob.write_bytes(random_block(rng, LAYOUTS[0], case=case, units=9).blob)
    fuzzer.check(program, blob)


@pytest.mark.parametrize("kind", ["natural", "woven", "float32"])
def test_mutated_blobs_are_refused_or_harmless(program: Path, kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    blob = tmp_path / "blob"
    if kind == "float32":
        blob.write_bytes(pack(random_float_separable(rng, SHAPE)))
    else:
        blob.write_bytes(pack(random_separable(rng, SHAPE), Order[kind.upper()]))
    fuzzer.check(program, blob)
