"""Third-party models that lie beside the repository, not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "models"

NAMES = ("ad01_fp32.tflite", "ad01_int8.tflite", "kws_ref_model.tflite")


def shared_model(name: str) -> bytes:
    """Bytes of one of NAMES; skips the calling test where it is absent."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {FOLDER}")
    return path.read_bytes()
