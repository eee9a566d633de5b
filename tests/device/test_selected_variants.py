"""Images that link only the kernels which a model needs: real ELF files, run in QEMU."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.layers import layout_case, reference
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.sparse_models import sparse_model
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, ValueOrder
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.selected_variants import RESIDUAL, variants_of
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_layers import LayerCase

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
]
TARGET = "cortex-m4"
NEEDED = Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1, value_order=ValueOrder.WOVEN)
OTHER = Layout(IndexEncoding.GAP4, count_multiple=1)


def case_of(layout: Layout) -> LayerCase[Any]:
    case = layout_case(np.random.default_rng(1), layout, 13, 67, zeros=0.8)
    assert not case.is_float
    return case


def run(layout: Layout, variants: list[str]) -> emulation.LayerRun:
    case = case_of(layout)
    return emulation.run_layer(
        TARGET,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        pack(case.layer, layout),
        case.inputs[None],
        (1, 13),
        variants=tuple(variants),
    )


@pytest.fixture(scope="module")
def variants() -> list[str]:
    return variants_of(sparse_model(case_of(NEEDED), layout=NEEDED), target=TARGET)


def kernels_in(image: Path) -> set[str]:
    symbols = subprocess.run(
        ["arm-none-eabi-nm", "--defined-only", str(image)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return set(re.findall(r"sparsesep_fully_connected_(\d+x\d+_\w+)", symbols))


def test_only_the_models_kernels_are_linked(variants: list[str]) -> None:
    assert variants == ["4x4_delta8_int8_woven_dsp"]
    every_image = toolchain.build_firmware(TARGET)
    image = toolchain.build_firmware(TARGET, variants=tuple(variants))
    assert kernels_in(image) == set(variants)
    assert len(kernels_in(every_image)) > 10


def test_the_models_layers_run(variants: list[str]) -> None:
    small, whole = run(NEEDED, variants), run(NEEDED, [])
    np.testing.assert_array_equal(small.outputs[0], reference(case_of(NEEDED)))
    assert small.kernel == variants[0]
    assert small.instructions == whole.instructions
    assert small.code_bytes < whole.code_bytes


def test_a_layer_without_its_kernel_is_refused(variants: list[str]) -> None:
    with pytest.raises(
        DeviceError, match="in prepare: no kernel of this build runs these packed weights"
    ):
        run(OTHER, variants)


def test_a_kernel_that_the_target_has_not_is_refused_by_the_compiler() -> None:
    with pytest.raises(DeviceError, match=r"was made for another target or version"):
        toolchain.build_firmware(TARGET, variants=("4x4_delta8_int8_v7m",))


def test_residuals_are_linked_where_a_model_has_one() -> None:
    graph = GraphBuilder(1, quantized=True, zeros=0.9)
    x = graph.input(1, 12, 12, 8)
    dense = graph.build(graph.arithmetic("ADD", x, graph.conv(x, 8, (3, 3))))
    model = rewrite(dense, target=TARGET).tflite
    names = variants_of(model, target=TARGET)
    assert RESIDUAL in names
    (op,) = editor.read(model).operators
    rng = np.random.default_rng(2)
    inputs, residuals = rng.integers(-128, 128, (2, 1, *x.shape)).astype(np.int8)
    job = LayerJob(op.op_name, b"", blob_of(op), inputs, op.outputs[0].shape, residuals=residuals)
    (selected,) = emulation.run_layers(TARGET, [job], variants=tuple(names))
    (whole,) = emulation.run_layers(TARGET, [job])
    np.testing.assert_array_equal(selected.outputs, whole.outputs)
    without = tuple(name for name in names if name != RESIDUAL)
    with pytest.raises(DeviceError, match="in prepare: no kernel of this build runs"):
        emulation.run_layers(TARGET, [job], variants=without)
