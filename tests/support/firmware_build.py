"""Build an exported library into the firmware of `firmware/`, and run it in QEMU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tflm_sparsesep.device.toolchain import FIRMWARE_DIR

_PROJECT = Path(__file__).parent / "firmware"
_VENV = Path(sys.executable).parent
# The interfaces of TFLM before July 2023 and since.
OLD_API = (_PROJECT / "tflm",)
NEW_API = (_PROJECT / "tflm", _PROJECT / "tflm_2023_08")

needs_firmware_tools = pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-g++") and shutil.which("qemu-system-arm")),
    reason="no arm-none-eabi-g++ or no qemu-system-arm: run `tflm-sparsesep doctor`",
)


def tool(name: str) -> str:
    """The path of a build tool, of this environment or on PATH."""
    found = shutil.which(name, path=str(_VENV)) or shutil.which(name)
    assert found is not None, f"no {name}: make setup"
    return found


def build(export: Path, library: str, work: Path, api: tuple[Path, ...] = NEW_API) -> Path:
    """Build for Cortex-M4 with -Wall -Wextra -Werror; returns the image."""
    configure(
        work,
        _PROJECT,
        f"-DBOARD={FIRMWARE_DIR}",
        f"-DEXPORT={export}",
        f"-DLIBRARY={library}",
        f"-DAPI={';'.join(map(str, api))}",
    )
    return work / "firmware"


def configure(work: Path, source: Path, *options: str) -> None:
    """Configure a project for Cortex-M4 and build it."""
    toolchain = _PROJECT / "cortex-m4.cmake"
    command: list[str | Path] = [tool("cmake"), "-G", "Ninja", "-S", source, "-B", work, *options]
    ninja = f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"
    run([*command, ninja, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", f"-DBOARD={FIRMWARE_DIR}"])
    run([tool("ninja"), "-C", work])


def run(command: list[str | Path]) -> str:
    """Run a command; its output goes into the failure."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def emulate(image: Path) -> tuple[int, list[str]]:
    """Run an image on the Cortex-M4 board; returns main's value and the lines that it printed."""
    command = ["qemu-system-arm", "-machine", "mps2-an386", "-nodefaults", "-display", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.splitlines()
