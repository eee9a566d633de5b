"""Every kernel on every emulated core against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.layers import Windows, check_outputs, reference, windows_case
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
]

# (rows, cols, zeros, batch, inputs): remainders of every tile, one and several vectors, groups of
# more than 256 tiles, rows of many weights with and without wide gaps, empty rows, vectors of many
# passes; over 100 inferences for each kernel.
LAYERS = [
    (13, 67, 0.5, 1, 25),
    (8, 64, 0.9, 4, 25),
    (31, 129, 0.8, 1, 25),
    (5, 1101, 0.95, 3, 15),
    (65, 40, 0.7, 2, 15),
    (23, 400, 0.85, 5, 3),
    (19, 300, 0.6, 4, 3),
    (6, 420, 0.2, 9, 1),
    (18, 150, 0.8, 13, 2),
    (37, 66, 0.7, 7, 5),
]
# One vector, and several: these show whether accumulators and left shifts wrap.
EXTREME_LAYERS = (LAYERS[0], LAYERS[-1])
CASES = [
    pytest.param(target, board, layout, id=f"{board or target}-{layout}")
    for target, board in [
        *((name, None) for name in TARGETS if TARGETS[name].qemu_machine),
        ("cortex-m0", "microbit"),
    ]
    for layout in layouts_for(target)
    if layout.value_type is not ValueType.FLOAT32
]


def cases_of(layout: Layout, *, extreme: bool) -> Iterator[tuple[LayerCase[Any], LayerJob]]:
    palette = 16 if layout.value_type is ValueType.PALETTE4 else None
    layers = EXTREME_LAYERS if extreme else LAYERS
    for seed, (rows, cols, zeros, batch, samples) in enumerate(layers):
        case = random_case(
            np.random.default_rng(seed),
            rows,
            cols,
            zeros=zeros,
            batch=batch * samples,
            block=(layout.block_rows, layout.block_cols),
            input_zeros=0.4,
            palette=palette,
            extreme=extreme,
        )
        if seed % 2 == 1:  # both limits narrower than int8
            case = replace(case, options=replace(case.options, activation_max=20))
        options, blob = case.options.to_bytes(), pack(case.layer, layout)
        inputs = case.inputs.reshape(samples, batch, cols)
        yield case, LayerJob(SPARSE_FULLY_CONNECTED, options, blob, inputs, (batch, rows))


@pytest.mark.parametrize(("target", "board", "layout"), CASES)
def test_equals_reference(target: str, board: str | None, layout: Layout) -> None:
    cases = [*cases_of(layout, extreme=False), *cases_of(layout, extreme=True)]
    runs = emulation.run_layers(target, [job for _, job in cases], board=board)
    for (case, job), run in zip(cases, runs, strict=True):
        outputs = run.outputs.reshape(-1, job.output_shape[1])
        np.testing.assert_array_equal(outputs, reference(case))


@pytest.mark.parametrize(("target", "board", "layout"), CASES)
def test_windows_of_a_line(target: str, board: str | None, layout: Layout) -> None:
    # Vectors that begin anywhere in a word, and seven of them: a pass of four and three alone.
    shape = Windows(rows=19, taps=5, channels=6, stride=1, count=7, rest=3)
    case, line = windows_case(np.random.default_rng(9), layout, shape, zeros=0.5)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        pack(case.layer, layout),
        line[None],
        (shape.count, shape.rows),
        board=board,
    )
    check_outputs(case, run.outputs[0])


@pytest.mark.parametrize("layout", ["1x1_delta8_int8", "1x1_gap4_int8"])
@pytest.mark.parametrize("magnitude", [2**15 - 1, 2**15], ids=["fits", "too_large"])
def test_the_largest_sums_of_two_vectors_in_64_bits(layout: str, magnitude: int) -> None:
    # Of a row's weights, on the largest inputs (eight_vectors_dsp.h).
    sums = {(largest, sign): np.zeros(300, np.int8) for largest in (127, 128) for sign in (-1, 1)}
    for (largest, sign), row in sums.items():
        whole, rest = divmod(magnitude, largest)
        row[: whole + 1] = np.clip(sign * np.array([largest] * whole + [rest]), -128, 127)
    case = random_case(np.random.default_rng(3), len(sums), 300, zeros=0.0, batch=8)
    case.inputs[:] = np.repeat([-128, 127, -128, -128, 127, -128, 127, 127], 300).reshape(8, 300)
    case = replace(case, layer=replace(case.layer, weights=np.array([*sums.values()])))
    (chosen,) = (x for x in layouts_for("cortex-m4") if str(x) == layout)
    run = emulation.run_layer(
        "cortex-m4",
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        pack(case.layer, chosen),
        case.inputs[None],
        (8, len(sums)),
    )
    np.testing.assert_array_equal(run.outputs[0], reference(case))
