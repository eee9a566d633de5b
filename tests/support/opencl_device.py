"""OpenCL devices for tests of the delegate."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.delegate_jobs import Done

OPENCL = {"backend": "opencl", "verbose": "1"}


def platforms() -> str:
    """Return the names of OpenCL platforms and devices. A child process looks for them."""
    try:
        done = subprocess.run(["clinfo", "-l"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout


def has_opencl() -> bool:
    """Return True if there is an OpenCL device."""
    return "Device #0" in platforms()


needs_opencl = pytest.mark.skipif(
    not has_opencl(), reason="no OpenCL device: sudo apt install pocl-opencl-icd clinfo"
)


def claimed_all(done: Done) -> bool:
    """Return True if OpenCL runs the whole model, which is then one partition."""
    (line,) = [line for line in done.messages if "OpenCL runs" in line]
    words = line.split()
    return words[words.index("runs") + 1] == words[words.index("of") + 1]


def build_opencl_shim(folder: Path) -> dict[str, str]:
    """Build failing_opencl.c as `folder`/libOpenCL.so.1; return the environment that loads it."""
    real = ctypes.util.find_library("OpenCL")
    assert real is not None
    root = Path(__file__).parents[2]
    subprocess.run(
        [
            *("gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-ldl"),
            f"-I{root}/custom_ops/litert_delegate",
            root / "tests/custom_ops/failing_opencl.c",
            *("-o", folder / "libOpenCL.so.1"),
        ],
        check=True,
    )
    libraries = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True)
    (path, *_) = [line.split()[-1] for line in libraries.stdout.splitlines() if real in line]
    paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": ":".join(paths), "FAILING_OPENCL_REAL": path}
