"""A cache of what is compiled, in the user's cache directory.

An entry is named by a hash of every source, every flag and the compiler, so it never goes stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.runtime import files

CACHE_VARIABLE = "TFLM_SPARSESEP_CACHE"

_CHECKSUMS = "sha256sums"  # in each entry


def cache_dir() -> Path:
    """Return where built images are kept: $TFLM_SPARSESEP_CACHE, or the user's cache directory."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tflm-sparsesep"


def hash_of(paths: Iterable[Path], words: Iterable[str]) -> str:
    """Return the name of an entry: a hash of files with their names, and of words."""
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return cache entry `name`; `build` makes it in a private directory, then it is renamed.

    An entry that is not what was built, after a full disk for instance, is built anew.
    """
    entry = cache_dir() / name
    if _is_intact(entry):
        return entry
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, ignore_cleanup_errors=True) as work:
            built = Path(work) / name
            built.mkdir()
            build(built)
            (built / _CHECKSUMS).write_text(_checksums(built))
            if not _is_intact(entry):
                with contextlib.suppress(OSError):
                    entry.rename(Path(work) / "damaged")
            try:
                built.rename(entry)
            except OSError:
                # Another process was faster: its entry has the same contents.
                if not _is_intact(entry):
                    raise
    except OSError as error:
        raise ConfigError(
            f"cannot write the cache {entry.parent}: {error.strerror}; set {CACHE_VARIABLE} to a "
            "directory that can be written"
        ) from error
    return entry


def _checksums(entry: Path) -> str:
    """Return a line for each file of a cache entry, but for the file that holds these lines."""
    paths = sorted(path for path in entry.iterdir() if path.name != _CHECKSUMS)
    hashes = (hashlib.sha256(files.read_regular(path)).hexdigest() for path in paths)
    return "".join(f"{found}  {path.name}\n" for found, path in zip(hashes, paths, strict=True))


def _is_intact(entry: Path) -> bool:
    try:
        return files.read_regular(entry / _CHECKSUMS).decode() == _checksums(entry)
    except (OSError, UnicodeDecodeError):
        return False
