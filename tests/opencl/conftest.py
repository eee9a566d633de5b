"""Runs each module of this folder in a process of its own.

TensorFlow, which other tests import, and pocl end each other in one process. So a module is one
test here, whose process has `INSIDE` set; `INSIDE=1 pytest tests/opencl/...` shows its parts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tflm_sparsesep.converters.errors import ToolMissingError
from tflm_sparsesep.opencl import Device

INSIDE = "SPARSESEP_OPENCL_PROCESS"


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    """Collect a module of this folder as one test."""
    if INSIDE in os.environ:
        return None
    return ModuleProcess.from_parent(parent, path=module_path)


class ModuleProcess(pytest.File):
    """A module that this process does not import."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the run of the module."""
        run = ModuleRun.from_parent(self, name="in_its_own_process")
        text = self.path.read_text()
        if text.count("@pytest.mark.slow\n") == text.count("\ndef test_"):
            run.add_marker("slow")
        yield run


class ModuleRun(pytest.Item):
    """The run of such a module; skipped where all of it was skipped."""

    def runtest(self) -> None:
        """Run the module in a process of its own."""
        marks = self.config.option.markexpr
        options = ["-q", "-rs", "-o", "addopts=", *(["-m", marks] if marks else [])]
        command = [sys.executable, "-m", "pytest", *options, str(self.path)]
        run = subprocess.run(
            command,
            cwd=self.config.rootpath,
            env=os.environ | {INSIDE: "1"},
            capture_output=True,
            text=True,
        )
        if run.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
            pytest.skip(f"none of its tests is {marks!r}")
        if run.returncode != 0:
            raise ModuleFailed(run.stdout + run.stderr)
        if " passed" not in run.stdout:
            reasons = [line for line in run.stdout.splitlines() if line.startswith("SKIPPED")]
            pytest.skip(reasons[0] if reasons else run.stdout)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """Show what the process printed."""
        if isinstance(excinfo.value, ModuleFailed):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))


class ModuleFailed(Exception):
    """What a module's process printed."""


@pytest.fixture(scope="session")
def device() -> Device:
    """The default device; skips where there is none."""
    try:
        return Device()
    except ToolMissingError as error:
        pytest.skip(str(error))
