"""The C header of depthwise convolutions and its Python mirror must name the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.c_headers import check_struct, evaluate
from tests.support.depthwise_layers import random_case
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import depthwise_format
from tflm_sparsesep.converters.blob.depthwise_format import HEADER, Kind, is_depthwise
from tflm_sparsesep.converters.blob.pack_depthwise import (
    DepthwiseLayer,
    pack_depthwise,
    unpack_depthwise,
)
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise

CONSTANTS = {
    "SPARSESEP_SEPARABLE_MAGIC": depthwise_format.MAGIC,
    "SPARSESEP_DEPTHWISE_VERSION": depthwise_format.VERSION,
    "SPARSESEP_DEPTHWISE_BOUNDED": depthwise_format.BOUNDED,
    "SPARSESEP_KIND_DEPTHWISE": Kind.DEPTHWISE,
    "SPARSESEP_KIND_BLOCK": Kind.BLOCK,
    "sizeof(SparsesepDepthwiseConv)": HEADER.itemsize,
}


def test_constants_agree(tmp_path: Path) -> None:
    assert evaluate(list(CONSTANTS), tmp_path) == list(CONSTANTS.values())


def test_fields_agree(tmp_path: Path) -> None:
    check_struct("SparsesepDepthwiseConv", HEADER, tmp_path)


def layer() -> DepthwiseLayer:
    return random_depthwise(np.random.default_rng(0), ConvWindow((3, 4), 6), multiplier=2)


def test_blobs_are_read_back() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        case = random_case(rng)
        blob = pack_depthwise(case.layer)
        assert is_depthwise(blob)
        found = unpack_depthwise(blob)
        assert (found.window, found.options) == (case.layer.window, case.layer.options)
        for name in ("weights", "bias", "multiplier", "shift"):
            expected = getattr(case.layer.weights, name)
            np.testing.assert_array_equal(getattr(found.weights, name), expected)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("magic", 1, "version 1"),
        ("version", 3, "version 1"),
        ("kind", 3, "no kernel"),
        ("padding", 2, "no kernel"),
        ("flags", 2, "no kernel"),
        ("kernel_width", 0, "illegal"),
        ("stride_height", 0, "illegal"),
        ("dilation_width", 0, "illegal"),
        ("channels", 0, "illegal"),
        ("channels", 60000, "illegal"),
        ("channels", 600, "section"),
        ("kernel_height", 200, "section"),
        ("bias_offset", 79, "section"),
        ("weights_offset", 2**32 - 4, "section"),
        ("bytes", 10**6, "section"),
        ("reserved", 1, "no kernel"),
        ("pointwise_offset", 16, "no kernel"),
    ],
)
def test_damaged_headers_are_refused(field: str, value: int, reason: str) -> None:
    blob = bytearray(pack_depthwise(layer()))
    np.frombuffer(blob, HEADER, 1)[field] = value
    message = native.validate_separable_conv(bytes(blob))
    assert message is not None
    assert reason in message


def test_damaged_requantization_is_refused() -> None:
    for section, value in (("shift", 31), ("shift", 0), ("multiplier", 0x80)):
        blob = bytearray(pack_depthwise(layer()))
        at = int(np.frombuffer(blob, HEADER, 1)[0][f"{section}_offset"])
        blob[at + (3 if section == "multiplier" else 0)] = value
        assert native.validate_separable_conv(bytes(blob)) is not None


def test_truncated_blobs_are_refused() -> None:
    blob = pack_depthwise(layer())
    for size in (0, 7, HEADER.itemsize - 1, HEADER.itemsize, len(blob) - 1):
        assert native.validate_separable_conv(blob[:size]) is not None, size
