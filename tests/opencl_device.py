"""OpenCL in tests of the delegate."""

from __future__ import annotations

import subprocess

import pytest

from tests.delegate_jobs import Done

OPENCL = {"backend": "opencl", "verbose": "1"}


def has_opencl() -> bool:
    """Whether some OpenCL device is here; asked in another process."""
    try:
        done = subprocess.run(["clinfo", "-l"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return "Device #0" in done.stdout


needs_opencl = pytest.mark.skipif(
    not has_opencl(), reason="no OpenCL device; apt install pocl-opencl-icd"
)


def claimed_all(done: Done) -> bool:
    """Whether OpenCL runs the whole model: then it is one partition."""
    (line,) = [line for line in done.messages if "OpenCL runs" in line]
    words = line.split()
    return words[words.index("runs") + 1] == words[words.index("of") + 1]
