"""Files that cannot be read end in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.runtime import files


def test_unreadable_files(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.tflite", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ModelError, match=f"^{path}: cannot be read: {reason}"):
            files.read_model(path)
