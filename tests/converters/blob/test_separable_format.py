"""The C header of separable convolutions and its Python mirror must name the same bytes."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep
from tests.support.separable_layers import random_shape
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import separable_format
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.pack_separable import (
    SeparableConv,
    order_for,
    pack,
    read_order,
    unpack,
    weave,
)
from tflm_sparsesep.converters.blob.separable_format import HEADER, STAGE, Order, Padding
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
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


def evaluate(expressions: list[str], folder: Path) -> list[int]:
    """Values of C expressions over our header."""
    lines = "\n".join(f'printf("%llu\\n", (unsigned long long)({e}));' for e in expressions)
    source = folder / "mirror.c"
    source.write_text(
        '#include <stdio.h>\n#include "sparsesep/separable_conv.h"\n'
        f"int main(void) {{ {lines} return 0; }}\n"
    )
    include = f"-I{tflm_sparsesep.source_dir() / 'kernels/include'}"
    program = folder / "mirror"
    subprocess.run(["cc", include, str(source), "-o", str(program)], check=True)
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in printed.split()]


def test_constants_agree(tmp_path: Path) -> None:
    assert evaluate(list(CONSTANTS), tmp_path) == list(CONSTANTS.values())


@pytest.mark.parametrize(
    ("struct", "mirror"), [("SparsesepSeparableConv", HEADER), ("SparsesepConvStage", STAGE)]
)
def test_fields_agree(struct: str, mirror: np.dtype, tmp_path: Path) -> None:
    names = list(mirror.names or ())
    expressions = [f"offsetof({struct}, {name})" for name in names]
    expressions += [f"sizeof((({struct}*)0)->{name})" for name in names]
    fields = [mirror.fields[name] for name in names]
    expected = [field[1] for field in fields] + [field[0].itemsize for field in fields]
    assert evaluate(expressions, tmp_path) == expected


def test_woven_weights_by_hand() -> None:
    # Two units of one tap and four channels; the third and fourth unit are zeros.
    weights = np.array([[[1, 2, 3, 4]], [[-1, 0, 5, 6]]], np.int8)
    woven = np.frombuffer(weave(weights), np.int16)
    assert woven.tolist() == [
        *(1 - 256, 3 + 5 * 256, 0, 0),  # channels 0 and 2
        *(2, 4 + 6 * 256, 0, 0),  # channels 1 and 3
    ]


@pytest.mark.parametrize("kind", ["NATURAL", "WOVEN", "FLOAT32"])
def test_unpack_is_the_inverse_of_pack(kind: str) -> None:
    rng = np.random.default_rng(9)
    for _ in range(50):
        shape = random_shape(rng)
        if kind == "FLOAT32":
            given, order = random_float_separable(rng, shape), Order.NATURAL
        else:
            given, order = random_separable(rng, shape, extreme=rng.random() < 0.3), Order[kind]
        blob = pack(given, order)
        assert read_order(blob) is order
        found = unpack(blob)
        for stage, expected in (
            (found.vertical, given.vertical),
            (found.horizontal, given.horizontal),
        ):
            for field in dataclasses.fields(stage):
                value = getattr(stage, field.name)
                np.testing.assert_array_equal(value, getattr(expected, field.name), field.name)


def test_odd_channels_are_filled_up() -> None:
    woven = np.frombuffer(weave(np.full((1, 2, 3), 7, np.int8)), np.int16)
    assert woven.tolist() == [7, 7, 0, 0, 7, 0, 0, 0] * 2


def conv() -> SeparableConv:
    return random_separable(np.random.default_rng(0), SHAPE)


def test_large_weights_stay_in_natural_order() -> None:
    shape = SeparableShape(8, 8, (160, 4, 4), (5, 5))
    layer = random_separable(np.random.default_rng(0), shape)
    assert order_for(layer, "cortex-m4") is Order.WOVEN
    assert order_for(layer, "cortex-m55") is Order.NATURAL
    layer.vertical.weights[:] = 127
    assert order_for(layer, "cortex-m4") is Order.NATURAL
    with pytest.raises(ValueError, match="cannot be interleaved"):
        pack(layer, Order.WOVEN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 256}, r"kernel is 3 and stride 256, accepted: 1\.\.255 each"),
        ({"output_zero_point": 5}, "zero points of the intermediate"),
        ({"weights": np.zeros((8, 3, 6), np.int8)}, "gives 8 channels, the horizontal one takes 7"),
        ({"weights": np.zeros((7, 3, 0), np.int8)}, r"channels are \(0, 7, 5\), accepted"),
        ({"weights": np.zeros((7, 3, 6), np.int16)}, "weights are int16 and int8, accepted"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes: dict[str, object], message: str) -> None:
    layer = conv()
    zero_point = layer.horizontal.input_zero_point
    vertical = dataclasses.replace(layer.vertical, output_zero_point=zero_point)
    broken = SeparableConv(dataclasses.replace(vertical, **changes), layer.horizontal)  # type: ignore[arg-type]
    if "output_zero_point" in changes and zero_point == 5:
        pytest.fail("the seed makes both zero points equal")
    with pytest.raises(ValueError, match=message):
        pack(broken)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("magic", 1, "version 1"),
        ("version", 2, "version 1"),
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
