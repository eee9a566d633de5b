"""The C header and its Python mirror must name the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

import tflm_sparsesep
from tests.support.c_headers import evaluate, offset_of
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob import format as blob_format
from tflm_sparsesep.converters.blob.format import (
    HEADER,
    FullyConnectedOptions,
    IndexEncoding,
    Major,
    ValueOrder,
    ValueType,
)

ENUMS = {"VALUE": ValueType, "INDEX": IndexEncoding, "MAJOR": Major, "ORDER": ValueOrder}
CONSTANTS = {
    "SPARSESEP_PACKED_MAGIC": blob_format.MAGIC,
    "SPARSESEP_PACKED_VERSION": blob_format.VERSION,
    "SPARSESEP_PACKED_MAX_DIM": blob_format.MAX_DIM,
    "SPARSESEP_PACKED_ALIGNMENT": blob_format.ALIGNMENT,
    "SPARSESEP_FLAG_BIAS_FOLDED": blob_format.FLAG_BIAS_FOLDED,
    "SPARSESEP_FLAG_BOUNDED": blob_format.FLAG_BOUNDED,
    "SPARSESEP_OPTIONS_VERSION": blob_format.OPTIONS_VERSION,
    "sizeof(SparsesepPackedHeader)": HEADER.itemsize,
    "SPARSESEP_OPTIONS_VERSION_WINDOWS": blob_format.OPTIONS_VERSION_WINDOWS,
    "SPARSESEP_OPTIONS_BYTES": len(FullyConnectedOptions(0, 0, 0, 0).to_bytes()),
    "SPARSESEP_OPTIONS_BYTES_WINDOWS": len(FullyConnectedOptions(0, 0, 0, 0, 1).to_bytes()),
} | {
    f"SPARSESEP_{prefix}_{member.name}": int(member)
    for prefix, kind in ENUMS.items()
    for member in kind
}


def test_constants_agree(tmp_path: Path) -> None:
    assert evaluate(list(CONSTANTS), tmp_path) == list(CONSTANTS.values())


def test_header_fields_agree(tmp_path: Path) -> None:
    names = list(HEADER.names or ())
    offsets = evaluate([f"offsetof(SparsesepPackedHeader, {name})" for name in names], tmp_path)
    assert offsets == [offset_of(HEADER, name) for name in names]


def test_op_names_agree() -> None:
    text = (tflm_sparsesep.source_dir() / "custom_ops/op_names.h").read_text()
    for name in op_names.ALL:
        assert f'#define SPARSESEP_OP_{name} "{name}"' in text


@pytest.mark.parametrize("step", [0, 7])
def test_options_round_trip(step: int) -> None:
    options = FullyConnectedOptions(-128, 127, -3, 99, step)
    assert FullyConnectedOptions.from_bytes(options.to_bytes()) == options


@pytest.mark.parametrize("data", [b"", b"\x01\x00\x14\x00", bytes(20), bytes(21), bytes(24)])
def test_bad_options_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="custom options have"):
        FullyConnectedOptions.from_bytes(data)
