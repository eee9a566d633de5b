"""Mutated pages of SPARSE_FULLY_CONNECTED and SPARSE_CONV_2D, under sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import fuzzer
from tests.support.layers import layout_case
from tests.support.pages import page_conv
from tests.support.residuals import random_residual
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual
from tflm_sparsesep.converters.blob.page_weights import page_weights

pytestmark = [pytest.mark.slow, pytest.mark.sweep, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fuzzer.build("fuzz_paged_weights", tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_mutated_pages_are_refused_or_harmless(
    program: Path, layout: Layout, tmp_path: Path
) -> None:
    case = layout_case(np.random.default_rng(4), layout, 13, 301, zeros=0.8)
    blob = pack(case.layer, layout)
    table, image = page_weights(
        blob,
        page_bytes=3 * len(blob) // 5,
        input_zero_point=case.options.input_zero_point,
    )
    check(program, tmp_path, table, image, case.options.to_bytes())


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_mutated_pages_of_convolutions_are_refused_or_harmless(
    program: Path, layout: Layout, tmp_path: Path
) -> None:
    window = ConvWindow((3, 2), 16, (1, 1), (1, 2))
    conv = random_conv(
        np.random.default_rng(4), layout, window=window, units=13, size=(5, 6), zeros=0.6
    )
    check(program, tmp_path, *page_conv(conv, layout, part=0.6), b"")


def test_mutated_pages_with_residuals_are_refused_or_harmless(
    program: Path, tmp_path: Path
) -> None:
    rng, layout = np.random.default_rng(4), LAYOUTS[0]
    conv = random_conv(rng, layout, window=ConvWindow((3, 2), 16), units=13, size=(5, 6), zeros=0.6)
    table, image = page_conv(conv, layout, part=0.6)
    check(program, tmp_path, with_residual(table, random_residual(rng)), image, b"")


def check(program: Path, folder: Path, table: bytes, image: bytes, options: bytes) -> None:
    """Assert that all mutants of a table and its pages are refused or harmless."""
    files = [folder / name for name in ("table", "image", "options")]
    for path, data in zip(files, (table, image, options), strict=True):
        path.write_bytes(data)
    fuzzer.check(program, *files)
