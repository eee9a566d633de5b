"""The scratch that Python states for a target is the scratch that its kernel asks for there."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.layers import layout_case
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS, layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.layer_job import LayerJob

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
CASES = [
    pytest.param(target, layout, id=f"{target}-{layout}")
    for target in DEVICES
    for layout in layouts_for(target)
]
# rows, cols, batch: remainders of every tile, one vector and several, one portion and more.
SHAPES = [(13, 67, 1), (150, 64, 5)]


def blob_of(layout: Layout, rows: int = 13, cols: int = 67) -> bytes:
    case = layout_case(np.random.default_rng(2), layout, rows, cols, zeros=0.8)
    return pack(case.layer, layout)


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize(("target", "layout"), CASES)
def test_equals_what_the_core_asks_for(target: str, layout: Layout) -> None:
    jobs = []
    for rows, cols, batch in SHAPES:
        case = layout_case(np.random.default_rng(2), layout, rows, cols, zeros=0.8, batch=batch)
        options, blob = case.options.to_bytes(), pack(case.layer, layout)
        jobs.append(
            LayerJob(SPARSE_FULLY_CONNECTED, options, blob, case.inputs[None], (batch, rows))
        )
    for job, run in zip(jobs, emulation.run_layers(target, jobs), strict=True):
        scratch = native.scratch_bytes(job.blob, job.output_shape[0], target=target)
        assert scratch == run.scratch_bytes
        assert native.variant_name(job.blob, target=target) == run.kernel


def test_the_host_states_its_own_scratch() -> None:
    for layout in LAYOUTS:
        blob = blob_of(layout)
        assert native.variant_name(blob) is not None
        assert native.scratch_bytes(blob) >= 0
    columns = next(layout for layout in LAYOUTS if "offset16" in str(layout))
    # int32 accumulators of 13 rows, rounded up to blocks of 4
    assert native.scratch_bytes(blob_of(columns)) == 4 * 16


def test_bad_arguments_are_refused() -> None:
    blob = blob_of(next(layout for layout in LAYOUTS if "offset16" in str(layout)))
    with pytest.raises(ConfigError, match="batch is 0, accepted: 1 to"):
        native.scratch_bytes(blob, 0)
    with pytest.raises(ConfigError, match="target 'z80' is unknown"):
        native.scratch_bytes(blob, target="z80")
    with pytest.raises(ConfigError, match="cortex-m55 has no kernel for this layout"):
        native.scratch_bytes(blob, target="cortex-m55")
    with pytest.raises(ModelError, match="not packed weights of version 1"):
        native.scratch_bytes(b"?" * 64)
