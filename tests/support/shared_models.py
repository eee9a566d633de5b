"""Third-party models beside the checkout, for tests that want models we did not make."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"

needs_shared_models = pytest.mark.skipif(
    not SHARED_MODELS.is_dir(), reason="no folder shared/models beside the checkout"
)
