"""What `make wheels` promises: no Python ABI, and the oldest platform that has every import."""

from __future__ import annotations

import importlib
import re
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

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


def tool(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of tools/, which finds those beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module(name)


def test_the_platform_is_that_of_the_newest_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tool("build_wheels", monkeypatch)
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


@pytest.mark.parametrize("repository", [None, "https://example.org/code"])
def test_the_readme_of_a_release_has_no_relative_links(
    repository: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = tool("release_files", monkeypatch)
    text = (ROOT / "README.md").read_text()
    found = release.readme(text, repository)
    links = re.findall(r"\]\(([^)]+)\)", found)
    assert all(link.startswith("https://") for link in links)
    assert ("*Speedup of one" in found) == (repository is not None)
    if repository is not None:
        assert len(links) == len(re.findall(r"\]\([^)]+\)", text))
        assert "![" in found
        paths = [link.removeprefix(f"{repository}/") for link in links if repository in link]
        assert all((ROOT / path.split("/", 2)[2].split("#")[0]).exists() for path in paths)
        urls = release.project((ROOT / "pyproject.toml").read_text(), repository)
        assert f'Homepage = "{repository}"' in urls


def test_the_first_steps_of_the_readme_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    first_build = tool("first_build", monkeypatch)
    script = first_build.commands((ROOT / "README.md").read_text())
    assert script.startswith(f'pip install "{first_build.PACKAGE}"\n')
    assert script.count("-DTFLM_DIR=") == 1
    for step in ("ts.convert(", "tflm-sparsesep export ", "cmake --build "):
        assert step in script
    with pytest.raises(ValueError, match="no section Start"):
        first_build.commands("# x")
