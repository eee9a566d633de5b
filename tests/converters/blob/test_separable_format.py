"""The C header of separable convolutions and its Python mirror must name the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.c_headers import check_struct, evaluate
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import separable_format
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.pack_separable import (
    SeparableConv,
    pack,
)
from tflm_sparsesep.converters.blob.separable_format import HEADER, STAGE, Order, Padding
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_separable,
)

CONSTANTS = {
    "SPARSESEP_SEPARABLE_MAGIC": separable_format.MAGIC,
    "SPARSESEP_SEPARABLE_VERSION": separable_format.VERSION,
    "SPARSESEP_STAGE_BOUNDED": separable_format.STAGE_BOUNDED,
    "SPARSESEP_SEPARABLE_INT8": ValueType.INT8,
    "SPARSESEP_SEPARABLE_FLOAT32": ValueType.FLOAT32,
    "SPARSESEP_SEPARABLE_NATURAL": Order.NATURAL,
    "SPARSESEP_SEPARABLE_WOVEN": Order.WOVEN,
    "SPARSESEP_PADDING_SAME": Padding.SAME,
    "SPARSESEP_PADDING_VALID": Padding.VALID,
    "sizeof(SparsesepSeparableConv)": HEADER.itemsize,
    "sizeof(SparsesepConvStage)": STAGE.itemsize,
}
SHAPE = SeparableShape(8, 8, (6, 7, 5), (3, 5))


def test_constants_agree(tmp_path: Path) -> None:
    assert evaluate(list(CONSTANTS), tmp_path) == list(CONSTANTS.values())


@pytest.mark.parametrize(
    ("struct", "mirror"), [("SparsesepSeparableConv", HEADER), ("SparsesepConvStage", STAGE)]
)
def test_fields_agree(struct: str, mirror: np.dtype, tmp_path: Path) -> None:
    check_struct(struct, mirror, tmp_path)


def conv() -> SeparableConv:
    return random_separable(np.random.default_rng(0), SHAPE)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("magic", 1, "version 1"),
        ("version", 3, "version 1"),
        ("value_type", 1, "no kernel"),
        ("order", 2, "no kernel"),
        ("middle_channels", 0, "illegal"),
        ("output_channels", 6000, "section"),
        ("bytes", 10**6, "section"),
        ("reserved", 1, "no kernel"),
    ],
)
def test_damaged_headers_are_refused(field: str, value: int, reason: str) -> None:
    blob = bytearray(pack(conv()))
    header = np.frombuffer(blob, HEADER, 1)
    header[field] = value
    message = native.validate_separable_conv(bytes(blob))
    assert message is not None
    assert reason in message


def test_damaged_stages_are_refused() -> None:
    for field, value in (("kernel", 0), ("stride", 0), ("padding", 2), ("activation_max", 128)):
        blob = bytearray(pack(conv()))
        np.frombuffer(blob, HEADER, 1)["horizontal"][field] = value
        assert native.validate_separable_conv(bytes(blob)) is not None, field


def test_truncated_blobs_are_refused() -> None:
    blob = pack(conv())
    for size in (0, 7, HEADER.itemsize - 1, HEADER.itemsize, len(blob) - 1):
        assert native.validate_separable_conv(blob[:size]) is not None, size
