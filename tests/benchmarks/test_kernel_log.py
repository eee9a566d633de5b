"""The committed log of code size and instructions is what the code gives."""

from __future__ import annotations

import json

import pytest

from benchmarks.kernels import log
from tests.support.device_tools import needs_emulator

COMMITTED = json.loads(log.LOG.read_text())


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("target", log.DEVICES)
def test_log_is_up_to_date(target: str) -> None:
    if log.compiler() != COMMITTED["compiler"]:
        pytest.skip(
            f"logged with {COMMITTED['compiler']}, which Debian 12 has; here {log.compiler()}"
        )
    committed = [entry for entry in COMMITTED["entries"] if entry["target"] == target]
    assert log.measure(target) == committed, "run `make kernel-log` and commit the result"


def test_every_core_has_its_kernels() -> None:
    """Twelve kernels or more for each core; an inference of eight vectors costs more than one."""
    for target in log.DEVICES:
        entries = [entry for entry in COMMITTED["entries"] if entry["target"] == target]
        kernels = [entry for entry in entries if "code_bytes" in entry]
        assert len(kernels) >= 12
        assert len({entry["kernel"] for entry in entries}) == len(entries)
        assert all(0 < entry["batch_1"] < entry["batch_8"] for entry in kernels)
        assert all(0 < entry["code_bytes"] <= 1024 for entry in kernels)
