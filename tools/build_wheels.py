"""Build the source distribution, and one wheel for each Linux processor, into a folder.

    python tools/build_wheels.py build/dist [--repository URL]

With the URL of the repository, links of the README lead there; without, PyPI shows none.
The libraries use no Python ABI, so that one wheel per processor is for every Python 3. Its platform
is the oldest manylinux whose C library has every symbol that the libraries import. The Arm64 wheel
is made by a cross compiler, where one is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from release_files import copy_for_release

ROOT = Path(__file__).parents[1]
# The oldest platforms that PyPI knows for each processor start at this version.
OLDEST_GLIBC = 17
CROSS = {"aarch64": "aarch64-linux-gnu-gcc"}


def run(*command: str | Path, **environment: str) -> None:
    """Run a command of this interpreter's modules."""
    subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def oldest_glibc(wheel: Path) -> int:
    """Return the minor version of the oldest glibc 2 that has what the libraries import."""
    versions = [OLDEST_GLIBC]
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.endswith(".so"):
                path = archive.extract(name, folder)
                command = ["readelf", "--version-info", "--wide", path]
                table = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                versions += map(int, re.findall(r"GLIBC_2\.(\d+)", table))
    return max(versions)


def build_wheel(source: Path, output: Path, processor: str, *settings: str) -> None:
    """Build a wheel for a processor and give it the platform of its imports."""
    with tempfile.TemporaryDirectory() as folder:
        build = ["--config-settings", f"build-dir={folder}/cmake"]
        options = ["--no-deps", "--no-build-isolation", "--quiet", *build]
        for setting in settings:
            options += ["--config-settings", setting]
        run("pip", "wheel", *options, "--wheel-dir", folder, source)
        (wheel,) = Path(folder).glob("*.whl")
        platform = f"manylinux_2_{oldest_glibc(wheel)}_{processor}"
        run("wheel", "tags", "--remove", "--platform-tag", platform, wheel)
        (tagged,) = Path(folder).glob("*.whl")
        shutil.copy(tagged, output)
        print(output / tagged.name)


def main(source: Path, output: Path) -> None:
    """Build everything that the installed compilers can build."""
    output.mkdir(parents=True, exist_ok=True)
    run("build", "--sdist", "--no-isolation", "--outdir", output, source)
    build_wheel(source, output, os.uname().machine)
    for processor, compiler in CROSS.items():
        if processor != os.uname().machine and shutil.which(compiler):
            defines = {
                "CMAKE_SYSTEM_NAME": "Linux",
                "CMAKE_SYSTEM_PROCESSOR": processor,
                "CMAKE_C_COMPILER": compiler,
            }
            settings = [f"cmake.define.{name}={value}" for name, value in defines.items()]
            build_wheel(source, output, processor, *settings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--repository", help="URL of the repository, for links")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        copy_for_release(ROOT, Path(name), arguments.repository)
        main(Path(name), arguments.output.resolve())
