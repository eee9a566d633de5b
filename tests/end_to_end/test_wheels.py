"""What `make wheels` promises: no Python ABI, and the oldest platform that has every import."""

from __future__ import annotations

import importlib.util
import subprocess
import zipfile
from pathlib import Path

import pytest

from tflm_sparsesep.converters import native

ROOT = Path(__file__).parents[2]
LIBRARIES = [
    *("libsparsesep_host.so", "libsparsesep_host_single_rounding.so"),
    *("libsparsesep_tflm_wheel.so", "libsparsesep_delegate.so"),
]


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_need_only_the_c_library(name: str) -> None:
    command = ["readelf", "--dynamic", "--wide", str(native.library_path(name))]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    needed = {line.split("[")[1].split("]")[0] for line in table.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def test_the_platform_is_that_of_the_newest_import(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("build_wheels", ROOT / "tools/build_wheels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    source, library, wheel = (tmp_path / name for name in ("x.c", "x.so", "x.whl"))
    # Each imports one function; getrandom came with glibc 2.25.
    for call, version in (("abs(1)", 17), ("(int)getrandom(0, 0, 0)", 25)):
        source.write_text(
            "#include <stdlib.h>\n#include <sys/random.h>\nint f(void);\n"
            f"int f(void) {{ return {call}; }}\n"
        )
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", library], check=True)
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.write(library, "native/x.so")
        assert module.oldest_glibc(wheel) == version
