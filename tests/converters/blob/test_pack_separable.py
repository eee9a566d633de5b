"""Blobs of separable convolutions: packed, unpacked, and refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.separable_layers import random_shape
from tflm_sparsesep.converters.blob.pack_separable import (
    SeparableConv,
    order_for,
    pack,
    read_order,
    unpack,
    weave,
)
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_separable,
)

SHAPE = SeparableShape(8, 8, (6, 7, 5), (3, 5))


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
    layer = random_separable(np.random.default_rng(0), SHAPE)
    zero_point = layer.horizontal.input_zero_point
    vertical = dataclasses.replace(layer.vertical, output_zero_point=zero_point)
    broken = SeparableConv(dataclasses.replace(vertical, **changes), layer.horizontal)  # type: ignore[arg-type]
    if "output_zero_point" in changes and zero_point == 5:
        pytest.fail("the seed makes both zero points equal")
    with pytest.raises(ValueError, match=message):
        pack(broken)
