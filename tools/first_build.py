"""Follow the README's first steps as they stand, in a new environment, with a wheel of this tree.

    python tools/first_build.py

Runs the commands of the section Start: installs the wheel in place of the package on PyPI, converts
a model, exports it and builds the firmware, against the interface of TFLM that the tests use. Then
`doctor` must find what it installed, and the firmware must print PASS in QEMU.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "tflm-sparsesep[tflm]"
FIRMWARE = ROOT / "tests/support/firmware"
BOARD = ROOT / "tflm_sparsesep/device/firmware"
# What `pip install tflm-sparsesep[tflm]` brings, as `doctor` calls it.
INSTALLED = ("native kernels", "tflite-micro", "ai-edge-litert")


def commands(page: str) -> str:
    """Return the commands of the section Start of a page.

    Raises:
        ValueError: there are none.
    """
    found = re.search(r"^## Start\n.*?^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError("the page has no section Start with a block of sh")
    return found[1]


def follow(script: str, wheel: Path, folder: Path, python: str) -> None:
    """Run the commands in `folder`, which holds model.tflite, and the firmware that they build."""
    venv.create(folder / "env", with_pip=True)
    path = f"{folder / 'env/bin'}{os.pathsep}{os.environ['PATH']}{os.pathsep}{Path(python).parent}"
    board = [BOARD / "startup.c", BOARD / "semihosting.c"]
    environment = {
        **os.environ,
        "PATH": path,
        "TFLM_DIR": str(FIRMWARE / "tflm"),
        "TOOLCHAIN": str(FIRMWARE / "cortex-m4.cmake"),
        "CMAKE_GENERATOR": "Unix Makefiles",
    }
    # What a person's toolchain file says: where linker script and start-up code are.
    script = script.replace(PACKAGE, f"{wheel}[tflm]").replace(
        "-DTFLM_DIR=",
        f"-DBOARD={BOARD} '-DBOARD_SOURCES={';'.join(map(str, board))}' -DTFLM_DIR=",
    )
    run = ["bash", "-euo", "pipefail", "-c"]
    subprocess.run([*run, script], cwd=folder, env=environment, check=True)
    doctor = [*run, "tflm-sparsesep doctor --json"]
    table = subprocess.run(doctor, env=environment, check=True, capture_output=True).stdout
    found = {one["name"]: one["version"] for one in json.loads(table)}
    missing = [name for name in INSTALLED if not found[name]]
    if missing:
        raise SystemExit(f"doctor does not find {', '.join(missing)}")


def main() -> None:
    """Build the wheel and the model, follow the README, run the firmware."""
    sys.path.insert(0, str(ROOT))
    from tests.support.firmware_build import emulate
    from tests.support.sparse_network import dense_network

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
        ]
        # A folder of its own, as an editable installation keeps its build in build/cmake.
        pip += ["--config-settings", f"build-dir={folder}/cmake", "--wheel-dir", folder, ROOT]
        subprocess.run(pip, check=True)
        (wheel,) = folder.glob("*.whl")
        (folder / "model.tflite").write_bytes(dense_network())
        follow(commands((ROOT / "README.md").read_text()), wheel, folder, sys.executable)
        code, lines = emulate(folder / "build/lib_example")
        print(*lines[-3:], sep="\n")
        if (code, lines[-1]) != (0, "PASS"):
            raise SystemExit(f"the firmware ended with {code}")


if __name__ == "__main__":
    main()
