"""Third-party models next to the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"

needs_shared_models = pytest.mark.skipif(
    not SHARED_MODELS.is_dir(), reason="no folder shared/models next to the checkout"
)


def shared_model(name: str) -> bytes:
    """Return the bytes of a third-party model; skip the calling test if it is absent."""
    path = SHARED_MODELS / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {SHARED_MODELS}")
    return path.read_bytes()
