"""Blocks against loops over their weights, and in real fits against the packer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import X, Y, array, deep_model, fit
from tflm_sparsesep.converters.blob.size import block_mask
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.patterns import PATTERNS, Blocks
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

# [inputs, outputs] and [taps..., inputs, outputs], none a multiple of any block.
SHAPES = [(17, 6), (1, 1), (3, 5, 7), (2, 3, 18, 5)]


def members(shape: tuple[int, ...], pattern: str) -> list[list[tuple[int, ...]]]:
    """The weights of each block, by the definition: indices into a kernel of `shape`."""
    groups: dict[Any, list[tuple[int, ...]]] = {}
    for index in np.ndindex(*shape):
        *taps, col, row = index
        if pattern == "row":
            key: Any = row
        elif pattern == "column":
            key = col
        else:
            block_rows, block_cols = map(int, pattern.split("x"))
            key = (*taps, col // block_cols, row // block_rows)
        groups.setdefault(key, []).append(index)
    return list(groups.values())


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_blocks_equal_their_definition(shape: tuple[int, ...], pattern: str) -> None:
    blocks = Blocks.of(shape, pattern)
    groups = members(shape, pattern)
    values = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float32)
    sums = np.asarray(blocks.sum(values))
    assert sums.shape == blocks.grid
    assert sorted(sums.ravel()) == sorted(sum(values[i] for i in group) for group in groups)
    assert sorted(blocks.sizes.ravel()) == sorted(map(len, groups))
    spread = np.asarray(blocks.spread(sums, shape))
    assert spread.shape == shape
    for group in groups:
        assert {spread[i] for i in group} == {sum(values[i] for i in group)}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_kept_weights_are_those_of_blocks_that_hold_anything(pattern: str) -> None:
    shape = (17, 6)
    weights = (np.random.default_rng(1).random(shape) > 0.97).astype(np.float32)
    kept = np.asarray(Blocks.of(shape, pattern).kept(weights))
    for group in members(shape, pattern):
        assert {bool(kept[i]) for i in group} == {any(weights[i] for i in group)}


def test_blocks_are_those_of_the_packer() -> None:
    kernel = (np.random.default_rng(2).random((30, 22)) > 0.9).astype(np.float32)
    for pattern in ("1x1", "1x4", "4x1", "2x4", "4x4", "1x16"):
        blocks = Blocks.of(kernel.shape, pattern)
        stored = np.count_nonzero(np.asarray(blocks.sum(kernel)))
        assert stored == block_mask(kernel.T, (blocks.block_rows, blocks.block_cols)).sum()


# By strength only within one output: where all four outputs of a block have been dropped, those of
# dead units stay 0 when the others return.
@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        *((pattern, {"zeros": 0.7}) for pattern in PATTERNS[1:]),
        ("1x4", {"strength": 0.1}),
        ("row", {"strength": 0.1}),
    ],
    ids=str,
)
def test_a_fit_drops_and_keeps_whole_blocks(pattern: str, options: dict[str, Any]) -> None:
    model = deep_model(keras.optimizers.RMSprop(0.02))
    history = fit(model, ProximalL1(**options, pattern=pattern, warmup_epochs=0), 6, steps=8)
    kernels = [array(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
    zeros = 0
    for kernel in kernels:
        groups = members(kernel.shape, pattern)
        held = [sum(kernel[i] != 0 for i in group) for group in groups]
        # No gradient is exactly 0 in these layers, so that kept blocks have no zeros.
        assert all(n in (0, len(group)) for n, group in zip(held, groups, strict=True))
        zeros += sum(len(g) for n, g in zip(held, groups, strict=True) if n == 0)
    found = history.history["zeros"][-1]
    size = sum(kernel.size for kernel in kernels)
    assert found == zeros / size
    assert 0 < found < 1
    if "zeros" in options:
        largest = max(int(Blocks.of(k.shape, pattern).sizes.max()) for k in kernels)
        assert 0.7 <= found < 0.7 + largest / size


def test_kernels_of_convolutions_in_blocks() -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12, 1)), layers.Conv1D(8, 3, name="conv"), layers.Flatten(), layers.Dense(3)]
    )
    model.compile("adam", "mse")
    model.fit(
        X[..., np.newaxis],
        Y,
        epochs=4,
        verbose=0,
        callbacks=[ProximalL1(zeros=0.5, pattern="row", layers=["conv"])],
    )
    filters = np.count_nonzero(array(model.get_layer("conv").kernel), axis=(0, 1))
    assert sorted(filters) == [0, 0, 0, 0, 3, 3, 3, 3]


@pytest.mark.parametrize("pattern", ["3x3", "4X4", "", None, 4, "rows"])
def test_unknown_pattern_is_refused(pattern: Any) -> None:
    with pytest.raises(ConfigError, match=r"pattern=.*accepted: 1x1, .*column"):
        ProximalL1(zeros=0.9, pattern=pattern)
