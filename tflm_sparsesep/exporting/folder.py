"""Write a folder: whole or not at all, and never over files that are not an export's."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError

MANIFEST = "tflm_sparsesep.json"


def check_replaceable(folder: Path) -> None:
    """Check early that `write_folder` will accept this folder.

    Raises:
        ConfigError: it holds what no export wrote, or cannot be written.
    """
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise ConfigError(f"{folder}: cannot be written: folder {parent} does not exist")
    if not folder.exists():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise ConfigError(f"{folder}: is not a folder; accepted: a new folder")
    foreign = _first_foreign(folder)
    if foreign is not None:
        raise ConfigError(
            f"{folder}: holds {foreign}, which no export wrote or which was edited; accepted: a "
            "new or empty folder, or an unchanged export, which is replaced"
        )


def write_folder(folder: Path, files: Mapping[str, str], about: Mapping[str, Any]) -> None:
    """Write files and a manifest of them into a new folder, then put it in the place of `folder`.

    Args:
        folder: an unchanged export there is replaced.
        files: the text by path.
        about: what else the manifest says.

    Raises:
        ConfigError: as for `check_replaceable`; nothing has changed then.
    """
    check_replaceable(folder)
    contents = {path: text.encode() for path, text in files.items()}
    hashes = {path: _hash(data) for path, data in sorted(contents.items())}
    contents[MANIFEST] = (json.dumps({**about, "files": hashes}, indent=2) + "\n").encode()
    try:
        with tempfile.TemporaryDirectory(
            dir=folder.absolute().parent, prefix=".", ignore_cleanup_errors=True
        ) as directory:
            new, old = Path(directory) / "new", Path(directory) / "old"
            for path, data in contents.items():
                file = new / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None


def _first_foreign(folder: Path) -> str | None:
    """Return the first file that is not as the manifest says; None if there is none."""
    found = sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    try:
        hashes = dict(json.loads((folder / MANIFEST).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        hashes = {}
    for path in found:
        name = path.relative_to(folder).as_posix()
        if name == MANIFEST and hashes:
            continue
        if path.is_symlink() or hashes.get(name) != _hash(path.read_bytes()):
            return name
    return None


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
