"""Every variant that this machine can run against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import native_ops
from tests.support.layers import Windows, check_outputs, layout_case, windows_case
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.device.synthetic_layers import LayerCase

INTEGER_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is not ValueType.FLOAT32]

ZEROS = (0.0, 0.5, 0.9, 0.995, 1.0)
# Remainders around every tile and unrolling, primes, one past a uint8 step, one and many.
ROWS = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33)
COLS = (1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 61, 127, 256, 257, 521)


def run(case: LayerCase[Any], layout: Layout) -> npt.NDArray[Any]:
    blob = pack(case.layer, layout)
    assert native.validate(blob) is None
    rows = len(case.layer.bias)
    return native_ops.sparse_fully_connected(case.options.to_bytes(), blob, case.inputs, rows)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("zeros", ZEROS)
def test_equals_reference(layout: Layout, zeros: float) -> None:
    rng = np.random.default_rng(1)
    for cols in COLS:
        for rows in ROWS:
            batch = int(rng.integers(1, 10))
            case = layout_case(rng, layout, rows, cols, zeros=zeros, batch=batch)
            check_outputs(case, run(case, layout))


@pytest.mark.sweep
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_many_random_layers(layout: Layout) -> None:
    for rng in sweep(5, 200):
        rows, cols = int(rng.integers(1, 40)), int(rng.integers(1, 90))
        case = layout_case(
            rng,
            layout,
            rows,
            cols,
            zeros=float(rng.random()),
            batch=int(rng.integers(1, 4)),
            input_zeros=float(rng.choice([0.0, 0.6, 1.0])),
        )
        check_outputs(case, run(case, layout))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_batches_of_all_sizes(layout: Layout) -> None:
    # Kernels take up to 32 vectors at once, and leave a few to others.
    rng = np.random.default_rng(10)
    for batch in (*range(1, 41), 63, 64, 71):
        rows, cols = int(rng.integers(1, 40)), int(rng.integers(1, 140))
        case = layout_case(rng, layout, rows, cols, zeros=float(rng.choice(ZEROS)), batch=batch)
        check_outputs(case, run(case, layout))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_many_windows_of_a_line(layout: Layout) -> None:
    # Windows of whole steps may share them, in lanes that start at each step.
    rng = np.random.default_rng(11)
    for taps, stride, channels in (
        (3, 1, 8),
        (5, 1, 7),
        (4, 2, 6),
        (30, 1, 4),
        (9, 3, 12),
        (4, 3, 9),
    ):
        for count in (8, 33, 50):
            shape = Windows(int(rng.integers(1, 36)), taps, channels, stride, count)
            case, line = windows_case(rng, layout, shape, zeros=0.6)
            outputs = native_ops.sparse_fully_connected(
                case.options.to_bytes(), pack(case.layer, layout), line, shape.rows, windows=count
            )
            check_outputs(case, outputs)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_windows_of_a_line(layout: Layout) -> None:
    # Overlapping, side by side, and with gaps between; passes of four, and what is left of them.
    rng = np.random.default_rng(7)
    for taps, stride in ((5, 1), (3, 2), (4, 4), (2, 3)):
        for channels, count in ((1, 9), (6, 8), (16, 3), (3, 1)):
            rest = int(rng.integers(0, stride * channels)) if taps != stride else 0
            shape = Windows(int(rng.integers(1, 36)), taps, channels, stride, count, rest)
            case, line = windows_case(rng, layout, shape, zeros=0.6)
            outputs = native_ops.sparse_fully_connected(
                case.options.to_bytes(), pack(case.layer, layout), line, shape.rows, windows=count
            )
            check_outputs(case, outputs)


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_a_model_at_an_odd_address_is_refused(offset: int) -> None:
    case = layout_case(np.random.default_rng(9), LAYOUTS[0], 8, 12, zeros=0.5, batch=1)
    blob, options = pack(case.layer, LAYOUTS[0]), case.options.to_bytes()
    with pytest.raises(DeviceError, match=r"not 4-byte aligned: put alignas\(16\) before"):
        native_ops.sparse_fully_connected(options, blob, case.inputs, 8, offset=offset)
    aligned = native_ops.sparse_fully_connected(options, blob, case.inputs, 8, offset=4)
    check_outputs(case, aligned)


def test_windows_that_do_not_fit_are_refused() -> None:
    rng, layout = np.random.default_rng(8), LAYOUTS[0]
    case, line = windows_case(rng, layout, Windows(4, 3, 4, 1, 10), zeros=0.5)
    blob = pack(case.layer, layout)

    def message(count: int, step: int, inputs: npt.NDArray[Any] = line) -> str:
        options = replace(case.options, input_step=step).to_bytes()
        with pytest.raises(DeviceError) as error:
            native_ops.sparse_fully_connected(options, blob, inputs, 4, windows=count)
        return str(error.value)

    assert "tensor" in message(11, 4)
    assert "tensor" in message(9, 4)
    assert "tensor" in message(1, 4, line[:11])
    assert "tensor" in message(3, 12, line[:-4])  # side by side, with a rest
    for step in (-4, 65536):
        assert "options" in message(10, step)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_weights_that_ignore_the_blocks(layout: Layout) -> None:
    # A few weights of each block are zero, and steps between blocks are as they come.
    rng = np.random.default_rng(6)
    for cols in (5, 64, 1100):
        case = layout_case(rng, layout, 21, cols, zeros=0.0, batch=3)
        case.layer.weights[rng.random((21, cols)) < 0.97] = 0
        check_outputs(case, run(case, layout))


@pytest.mark.sweep
@pytest.mark.parametrize("layout", INTEGER_LAYOUTS, ids=str)
def test_accumulator_and_left_shift_wrap(layout: Layout) -> None:
    for rng in sweep(2, 20):
        batch = int(rng.choice([2, 9, 21]))
        case = layout_case(rng, layout, 9, 300, zeros=0.3, batch=batch, extreme=True)
        check_outputs(case, run(case, layout))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_empty_rows_give_the_bias(layout: Layout) -> None:
    rng = np.random.default_rng(3)
    case = layout_case(rng, layout, 12, 40, zeros=0.5)
    case.layer.weights[[0, 3, 4, 5, 6, 7, 11]] = 0
    check_outputs(case, run(case, layout))


@pytest.mark.parametrize("layout", INTEGER_LAYOUTS, ids=str)
def test_every_input_at_its_zero_point(layout: Layout) -> None:
    rng = np.random.default_rng(7)
    case = layout_case(rng, layout, 10, 50, zeros=0.5, batch=2, input_zeros=1.0)
    check_outputs(case, run(case, layout))


def test_options_of_other_versions_and_sizes_are_refused() -> None:
    case = layout_case(np.random.default_rng(9), LAYOUTS[0], 8, 12, zeros=0.5, batch=1)
    blob, options = pack(case.layer, LAYOUTS[0]), case.options.to_bytes()
    behind = native_ops.sparse_fully_connected(options + b"viewers", blob, case.inputs, 8)
    check_outputs(case, behind)
    head = {"version": b"\x03\0\x14\0", "size": b"\x01\0\x18\0", "windows": b"\x02\0\x18\0"}
    for wrong in (b"", options[:3], options[:-1], *(new + options[4:] for new in head.values())):
        with pytest.raises(DeviceError, match="options"):
            native_ops.sparse_fully_connected(wrong, blob, case.inputs, 8)
