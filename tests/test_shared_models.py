"""The third-party models are the files that tests were written for, and can be fetched."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models.shared_models import SHARED_MODELS, TABLE, needs_shared_models

FETCH = Path(__file__).parents[1] / "tools/fetch_models.py"


def fetch(folder: Path, source: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, FETCH, folder, "--source", source.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@needs_shared_models
@pytest.mark.parametrize("row", TABLE["models"], ids=lambda row: row["name"])
def test_models_are_those_of_the_table(row: dict[str, str]) -> None:
    data = (SHARED_MODELS / row["name"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == row["sha256"]


@needs_shared_models
def test_fetched_once_and_checked(tmp_path: Path) -> None:
    """Served from a folder that is laid out like the repository at the commit."""
    source, folder = tmp_path / "source", tmp_path / "models"
    for row in TABLE["models"]:
        path = source / TABLE["commit"] / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((SHARED_MODELS / row["name"]).read_bytes())
    first, damaged, *_ = (source / TABLE["commit"] / row["path"] for row in TABLE["models"])
    damaged.write_bytes(b"another file")
    done = fetch(folder, source)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{damaged.name}: SHA-256 is ")
    assert len(list(folder.iterdir())) == len(TABLE["models"]) - 1

    damaged.write_bytes((SHARED_MODELS / damaged.name).read_bytes())
    first.unlink()  # already fetched: not asked for again
    assert fetch(folder, source).returncode == 0
    assert len(list(folder.iterdir())) == len(TABLE["models"])


def test_what_cannot_be_fetched_is_named(tmp_path: Path) -> None:
    done = fetch(tmp_path / "models", tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [row["name"] for row in TABLE["models"]]
