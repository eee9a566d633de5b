"""The cycle model: every emulated core and class has a timing, and sums are as documented."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.cost.cycles import TAKEN, TIMINGS, estimate_cycles
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation


def test_every_emulated_core_has_timings_and_says_where_from() -> None:
    assert set(TIMINGS) == {name for name, target in TARGETS.items() if target.qemu_machine}
    for timing in TIMINGS.values():
        assert "TRM" in timing.source
        assert all(timing.of_class(name) > 0 for name in emulation.CLASSES)


def test_an_estimate_is_the_sum_over_the_classes() -> None:
    # Cortex-M3: loads and stores 2, MLA 2, a taken branch 1 + 2.
    classes = {"load": 100, "store": 10, "multiply": 50, "branch": 40, "vector": 0, "other": 30}
    branches = 40 * (TAKEN * 3 + (1 - TAKEN) * 1)
    assert estimate_cycles("cortex-m3", classes) == 200 + 20 + 100 + branches + 30


@pytest.mark.parametrize("target", TIMINGS)
def test_nothing_executed_takes_no_time(target: str) -> None:
    assert estimate_cycles(target, dict.fromkeys(emulation.CLASSES, 0)) == 0


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33"])
def test_cores_that_issue_one_instruction_take_a_cycle_for_each_or_more(target: str) -> None:
    assert all(TIMINGS[target].of_class(name) >= 1 for name in emulation.CLASSES)


def test_a_core_that_issues_two_is_never_faster_than_that() -> None:
    assert all(TIMINGS["cortex-m7"].of_class(name) >= 0.5 for name in emulation.CLASSES)
