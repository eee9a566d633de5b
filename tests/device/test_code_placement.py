"""Kernels run wherever a linker puts them: at addresses that are no multiple of 4, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.device.test_kernels_on_device import cases_of
from tests.support.device_tools import needs_emulator
from tests.support.layers import reference
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.targets import Target
from tflm_sparsesep.device import emulation, toolchain

pytestmark = [pytest.mark.slow, needs_emulator]

# Where gcc aligns no function to 4 bytes.
LEVELS = ("-O0", "-Os")


@pytest.mark.parametrize("target", ["cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("padding", [0, 2])
def test_every_function_may_be_at_any_even_address(
    target: str, level: str, padding: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In front of each object file. Functions have sections of their own, aligned to 2 bytes.
    pad = tmp_path / "pad.h"
    section = '.section .text.pad,\\"axR\\",%progbits'
    pad.write_text(f'__asm__("{section}\\n .space {padding}\\n .text\\n");\n')

    def flags(core: Target, optimization: str) -> tuple[str, ...]:
        first = ("-fno-toplevel-reorder", "-include", str(pad))
        return (*core.gcc_flags, level, *toolchain._LANGUAGE_FLAGS, *first)

    monkeypatch.setattr(toolchain, "compile_flags", flags)
    layouts = [x for x in layouts_for(target) if x.value_type is not ValueType.FLOAT32]
    cases = [case for layout in layouts for case in cases_of(layout, extreme=False)]
    runs = emulation.run_layers(target, [job for _, job in cases])
    for (case, job), run in zip(cases, runs, strict=True):
        outputs = run.outputs.reshape(-1, job.output_shape[1])
        np.testing.assert_array_equal(outputs, reference(case))
