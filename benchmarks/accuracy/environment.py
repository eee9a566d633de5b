"""What the benchmark fetches by pip into build/accuracy, once, where it is missing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build/accuracy"
_TFMOT_PACKAGES = (
    "tensorflow==2.21.0",
    "tf-keras==2.21.0",
    "tensorflow-model-optimization==0.8.1",
)
_WATCH_PACKAGE = "seglearn==1.2.5"
_WATCH_MEMBER = "seglearn/data/watch_dataset.npy"


def tfmot_python() -> Path:
    """The interpreter of TFMOT's own virtual environment: it works with Keras 2 only."""
    folder = BUILD / "tfmot-venv"
    python, installed = folder / "bin/python", folder / "installed"
    if not installed.exists():
        print(f"Installing {', '.join(_TFMOT_PACKAGES)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_TFMOT_PACKAGES], check=True)
        installed.touch()
    return python


def watch_file() -> Path:
    """The recordings of the smartwatch, out of the package that publishes them."""
    path = BUILD / Path(_WATCH_MEMBER).name
    if not path.exists():
        print(f"Fetching the data of {_WATCH_PACKAGE}", file=sys.stderr)
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run(
                [*pip, "--only-binary=:all:", "--dest", folder, _WATCH_PACKAGE], check=True
            )
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                member = Path(archive.extract(_WATCH_MEMBER, folder))
            member.replace(path)
    return path


if __name__ == "__main__":
    watch_file()
