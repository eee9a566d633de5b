"""Boards: their cores, and whether a model fits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import single_layer_model, sparse_weights
from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.converters.boards import BOARDS
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import TARGETS


def test_every_board_has_a_known_core_and_plausible_memories() -> None:
    for name, board in BOARDS.items():
        assert (name, board.target in TARGETS) == (board.name, True)
        assert board.ram_bytes <= board.flash_bytes


def test_docs_list_the_boards_with_their_sources() -> None:
    text = (Path(__file__).parents[2] / "docs/plan.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` \| (\S+) \| (\S+) \| ([\d,]+) KiB \| (\d+) KiB \| \S", text, re.M
    )
    assert rows == [
        (b.name, b.chip, b.target, f"{b.flash_bytes >> 10:,}", str(b.ram_bytes >> 10))
        for b in BOARDS.values()
    ]


def test_a_model_fits_or_not() -> None:
    model = single_layer_model(sparse_weights(300, 784, 0.9))
    small, large = (ts.plan(model, board=name) for name in ("microbit", "nano33ble"))
    assert small.target == "cortex-m0"
    assert large.fit is not None
    assert small.fit is not None
    assert large.fit.flash_bytes == len(model)
    assert large.fit.ram_bytes == 784 + 300
    assert (small.fit.fits, large.fit.fits) == (True, True)
    assert str(large.fit).startswith("fits nano33ble (nRF52840): flash ")
    wide = ts.plan(single_layer_model(sparse_weights(400, 784, 0.9)), board="microbit")
    assert str(wide.fit).startswith("does not fit microbit")
    assert wide.fit is not None
    assert wide.fit.best_case_bytes < BOARDS["microbit"].flash_bytes < wide.fit.flash_bytes


def test_float_models_count_as_the_int8_models_that_they_become() -> None:
    fits = []
    for quantized in (True, False):
        net = GraphBuilder(0, quantized=quantized)
        net.fully_connected(net.input(1, 256), 64)
        fits.append(ts.plan(net.build(), board="pico").fit)
    int8, float32 = fits
    assert int8 is not None
    assert float32 is not None
    assert float32.ram_bytes == int8.ram_bytes == 256 + 64
    assert np.isclose(float32.flash_bytes, int8.flash_bytes, rtol=0.1)


def test_board_and_target_agree() -> None:
    model = single_layer_model(sparse_weights(30, 78, 0.9))
    with pytest.raises(ConfigError, match="board 'pico' has target 'cortex-m0', given: 'host'"):
        ts.plan(model, board="pico", target="host")
    with pytest.raises(ConfigError, match="board 'uno' is unknown; accepted: nano33ble, "):
        ts.plan(model, board="uno")
    assert ts.plan(model).fit is None
