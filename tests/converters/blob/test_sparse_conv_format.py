"""The C header of sparse convolutions and its Python mirror must name the same bytes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.c_headers import check_struct, evaluate
from tests.support.residuals import random_residual
from tests.support.sparse_convs import random_conv, random_window
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import sparse_conv_format
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import (
    ConvWindow,
    from_columns,
    pack_conv,
    to_columns,
    unpack_conv,
    with_residual,
)
from tflm_sparsesep.converters.blob.sparse_conv_format import (
    HEADER,
    PARAMS,
    RESIDUAL,
    RESIDUAL_KINDS,
)

CONSTANTS = {
    "SPARSESEP_SPARSE_CONV_MAGIC": sparse_conv_format.MAGIC,
    "SPARSESEP_SPARSE_CONV_VERSION": sparse_conv_format.VERSION,
    "sizeof(SparsesepSparseConv)": HEADER.itemsize,
    "sizeof(SparsesepFullyConnectedParams)": PARAMS.itemsize,
    "sizeof(SparsesepResidual)": RESIDUAL.itemsize,
    "SPARSESEP_RESIDUAL_NARROW_OTHER": 1 + RESIDUAL_KINDS.index("other"),
    "SPARSESEP_RESIDUAL_NARROW_OUTPUT": 1 + RESIDUAL_KINDS.index("output"),
}


def test_constants_agree(tmp_path: Path) -> None:
    assert evaluate(list(CONSTANTS), tmp_path) == list(CONSTANTS.values())


@pytest.mark.parametrize(
    ("struct", "mirror"),
    [
        ("SparsesepSparseConv", HEADER),
        ("SparsesepFullyConnectedParams", PARAMS),
        ("SparsesepResidual", RESIDUAL),
    ],
)
def test_fields_agree(struct: str, mirror: np.dtype, tmp_path: Path) -> None:
    check_struct(struct, mirror, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_unpack_is_the_inverse_of_pack(layout: Layout) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        conv = random_conv(rng, layout)
        found = unpack_conv(conv.blob(layout))
        assert found.window == conv.window
        assert found.options == conv.case.options
        assert found.residual is None
        np.testing.assert_array_equal(found.weights.weights, conv.case.layer.weights)


def test_a_residual_is_read_as_it_was_written() -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        conv = random_conv(rng, LAYOUTS[0], window=ConvWindow((3, 3), 4), units=2)
        residual = random_residual(rng, shifts=(1, 31))
        found = unpack_conv(with_residual(conv.blob(LAYOUTS[0]), residual))
        assert found.residual == residual
        assert (found.window, found.options) == (conv.window, conv.case.options)
        np.testing.assert_array_equal(found.weights.weights, conv.case.layer.weights)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"narrow": "sum"}, "narrow is 'sum', accepted: other, output"),
        ({"shift": 32}, r"right shifts are 32 and \d+, accepted: 0\.\.31 and 1\.\.31"),
        ({"sum_shift": 0}, "right shifts are"),
        ({"sum_zero_point": 128}, "accepted: int8, in order"),
        ({"activation_min": 5, "activation_max": 4}, "accepted: int8, in order"),
    ],
)
def test_numbers_that_no_residual_holds_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(random_residual(np.random.default_rng(7)), **changes)


def test_columns_go_down_first() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        window = random_window(rng)
        kernel = rng.integers(-128, 128, (3, *window.kernel, window.channels)).astype(np.int8)
        columns = to_columns(kernel)
        y, x, c = (int(rng.integers(n)) for n in (*window.kernel, window.channels))
        col = (x * window.kernel[0] + y) * window.channels + c
        np.testing.assert_array_equal(columns[:, col], kernel[:, y, x, c])
        np.testing.assert_array_equal(from_columns(columns, window), kernel)


def test_sizes_that_no_header_holds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 256, 1, 1, 1, 1\), accepted: 1\.\.255"):
        ConvWindow((3, 256), 4)
    with pytest.raises(ValueError, match=r"65536 channels, accepted: 1\.\.65535"):
        ConvWindow((3, 3), 65536)
    conv = random_conv(np.random.default_rng(3), LAYOUTS[0], window=ConvWindow((3, 3), 4))
    with pytest.raises(ValueError, match="weights have 36 columns, the window has 27"):
        pack_conv(ConvWindow((3, 3), 3), conv.case.options, conv.case.layer, LAYOUTS[0])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("magic", 1, "not packed weights"),
        ("version", 2, "not packed weights"),
        ("padding", 2, "no kernel"),
        ("kernel_height", 0, "illegal rows, cols"),
        ("kernel_width", 4, "illegal rows, cols"),
        ("stride_width", 0, "illegal rows, cols"),
        ("dilation_height", 0, "illegal rows, cols"),
        ("channels", 5, "illegal rows, cols"),
        ("residual", 4, "no kernel"),
        ("residual", 3 | 1 << 7, "no kernel"),
        ("residual", 1 | 1 << 12, "no kernel"),
        ("residual", 1, "illegal multiplier or shift"),  # a sum without a shift
        ("addition", (0, 0, 0, 0, 0, 1), "no kernel"),
    ],
)
def test_damaged_headers_are_refused(field: str, value: int, reason: str) -> None:
    conv = random_conv(np.random.default_rng(4), LAYOUTS[0], window=ConvWindow((3, 3), 4))
    blob = bytearray(conv.blob(LAYOUTS[0]))
    header = np.frombuffer(blob, HEADER, count=1)
    header[field] = value
    assert reason in str(native.validate_sparse_conv(bytes(blob)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("input_zero_point", 128), ("output_zero_point", -129), ("activation_max", 200)],
)
def test_zero_points_outside_int8_are_refused(field: str, value: int) -> None:
    conv = random_conv(np.random.default_rng(5), LAYOUTS[0])
    blob = bytearray(conv.blob(LAYOUTS[0]))
    np.frombuffer(blob, HEADER, count=1)["params"][field] = value
    assert native.validate_sparse_conv(bytes(blob)) == "illegal multiplier or shift"
