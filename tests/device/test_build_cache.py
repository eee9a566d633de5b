"""What the build cache holds is what was built, or is built again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tflm_sparsesep.device import build_cache

CONTENT = b"an image of some length"


def truncate(path: Path) -> None:
    path.write_bytes(CONTENT[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])


def remove(path: Path) -> None:
    path.unlink()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("damage", [truncate, empty, change, remove, pipe, device])
@pytest.mark.parametrize("victim", ["firmware.elf", "sha256sums"])
def test_damaged_entries_are_built_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
    victim: str,
) -> None:
    monkeypatch.setenv(build_cache.CACHE_VARIABLE, str(tmp_path))
    builds = []

    def build(directory: Path) -> None:
        builds.append(directory)
        (directory / "firmware.elf").write_bytes(CONTENT)

    entry = build_cache.cached("firmware-1", build)
    assert build_cache.cached("firmware-1", build) == entry
    assert len(builds) == 1
    damage(entry / victim)
    assert build_cache.cached("firmware-1", build) == entry
    assert len(builds) == 2
    assert (entry / "firmware.elf").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["firmware-1"]
