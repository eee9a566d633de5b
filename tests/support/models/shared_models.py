"""Third-party models, for tests of models that this project did not make.

`shared_models.json` lists them. They are in `shared/models` beside the checkout, or in
`build/models`, where `make runtimes` puts them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_BESIDE = _ROOT.parent / "shared/models"
SHARED_MODELS = _BESIDE if _BESIDE.is_dir() else _ROOT / "build/models"
TABLE = json.loads(Path(__file__).with_suffix(".json").read_text())
MISSING = [row["name"] for row in TABLE["models"] if not (SHARED_MODELS / row["name"]).is_file()]

needs_shared_models = pytest.mark.skipif(
    bool(MISSING), reason=f"no {', '.join(MISSING)} of MLPerf Tiny: make runtimes"
)


def shared_model(name: str) -> bytes:
    """Return the bytes of a third-party model; skip the calling test if it is absent."""
    path = SHARED_MODELS / name
    if not path.is_file():
        pytest.skip(f"no {name} of MLPerf Tiny: make runtimes")
    return path.read_bytes()
