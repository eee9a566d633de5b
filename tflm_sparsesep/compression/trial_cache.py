"""Results of a search's trials on disk: an interrupted search resumes, a second one is instant.

An entry is one file, named by a hash of all that its result depends on: the code that computes it,
the libraries that it computes with, the model, the samples, the target, and the trial's setting.
So an entry never gets stale; those not used for long are deleted where all together grow too large.
Entries appear whole or not at all (written aside, then renamed), and carry a checksum: damaged ones
count as absent. Nothing in a file is executed.

    cache = TrialCache(cache_directory(), tflite, *samples, target)
    entry = cache.recall({"level": 12}, lambda: Entry({"sqnr_db": 25.1}, {"tflite": data}))
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import converters
from tflm_sparsesep.device import toolchain

Array = npt.NDArray[Any]

_MAGIC = b"TSTRIAL1"
_DIGEST_BYTES = hashlib.sha256().digest_size
# Of the JSON part.
_LENGTH = struct.Struct("<Q")
_SUFFIX = ".trial"
_UNFINISHED = ".writing"
_UNFINISHED_SECONDS = 3600.0
_LARGEST_TOTAL = 512 << 20
_LIBRARIES = ("ai-edge-litert", "numpy", "scipy")


@dataclass(frozen=True)
class Entry:
    """A result: plain values, which JSON holds exactly (floats too), and bytes by name."""

    values: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Magic, checksum of the rest, length of the JSON, JSON, blobs one after another."""
        sizes = {name: len(blob) for name, blob in self.blobs.items()}
        text = json.dumps({"values": self.values, "sizes": sizes}).encode()
        body = b"".join([_LENGTH.pack(len(text)), text, *self.blobs.values()])
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry | None:
        """Inverse of `to_bytes`; None for bytes that it did not write."""
        body = data[len(_MAGIC) + _DIGEST_BYTES :]
        if data[: -len(body) or None] != _MAGIC + hashlib.sha256(body).digest():
            return None
        start = _LENGTH.size + _LENGTH.unpack_from(body)[0]
        head = json.loads(body[_LENGTH.size : start])
        blobs = {}
        for name, size in head["sizes"].items():
            blobs[name] = body[start : start + size]
            start += size
        return cls(head["values"], blobs)


class TrialCache:
    """The entries of one search in a directory that searches share.

    Args:
        directory: where files are, made where it is absent; None keeps nothing. One that cannot be
            written to keeps nothing either: a cache is no reason to fail.
        context: what all results of this search depend on, in a fixed order.
        largest_total: bytes in the directory above which entries are deleted, those not used for
            longest first.
    """

    def __init__(
        self,
        directory: Path | None,
        *context: bytes | str | Array | None,
        largest_total: int = _LARGEST_TOTAL,
    ) -> None:
        self._directory = directory
        self._context = _digest_of(_code_version(), *context)
        if directory is not None:
            with contextlib.suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                _clean(directory, largest_total)

    def recall(self, setting: Mapping[str, Any], compute: Callable[[], Entry]) -> Entry:
        """The entry of a setting (plain values), computed and kept where there is none."""
        found = self.get(setting)
        if found is None:
            found = compute()
            self.put(setting, found)
        return found

    def get(self, setting: Mapping[str, Any]) -> Entry | None:
        """The entry of a setting; None where there is none, or a damaged one."""
        path = self._path(setting)
        if path is None:
            return None
        try:
            entry = Entry.from_bytes(path.read_bytes())
            os.utime(path)  # used now
        except OSError:
            return None
        if entry is None:
            with contextlib.suppress(OSError):
                path.unlink()
        return entry

    def put(self, setting: Mapping[str, Any], entry: Entry) -> None:
        """Keeps an entry; whatever interrupts this leaves the one from before, or none."""
        path = self._path(setting)
        if path is None:
            return
        with contextlib.suppress(OSError):
            _write(path, entry.to_bytes())

    def _path(self, setting: Mapping[str, Any]) -> Path | None:
        if self._directory is None:
            return None
        text = json.dumps(dict(setting), sort_keys=True)
        return self._directory / f"{_digest_of(self._context, text)}{_SUFFIX}"


def cache_directory() -> Path:
    """Where `compress` keeps trials: in $TFLM_SPARSESEP_CACHE, or the user's cache directory."""
    return toolchain.cache_dir() / "trials"


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _clean(directory: Path, largest_total: int) -> None:
    """Deletes what killed processes left half written, and the entries that are too many."""
    now = time.time()
    for path in directory.glob(f"*{_UNFINISHED}"):
        if now - path.stat().st_mtime > _UNFINISHED_SECONDS:
            path.unlink(missing_ok=True)
    entries = [(path.stat(), path) for path in directory.glob(f"*{_SUFFIX}")]
    total = sum(status.st_size for status, _ in entries)
    for status, path in sorted(entries, key=lambda entry: (entry[0].st_mtime, entry[1].name)):
        if total <= largest_total:
            break
        path.unlink(missing_ok=True)
        total -= status.st_size


def _digest_of(*parts: bytes | str | Array | None) -> str:
    """A hash that tells apart types, shapes and where a part ends."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            kind, data = f"{part.dtype.str}{part.shape}", np.ascontiguousarray(part).tobytes()
        elif isinstance(part, str):
            kind, data = "text", part.encode()
        else:
            kind, data = ("none", b"") if part is None else ("bytes", part)
        digest.update(f"{kind}:{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


@functools.cache
def _code_version() -> str:
    """A hash of all Python code and cost data of the package, and of the libraries' versions."""
    roots = (Path(__file__).parents[1], Path(converters.__file__ or "").resolve().parent)
    paths = {path for root in roots for end in ("py", "json") for path in root.rglob(f"*.{end}")}
    parts: list[bytes | str] = []
    for path in sorted(paths):
        parts += [path.name, path.read_bytes()]
    for library in _LIBRARIES:
        try:
            parts.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"{library} absent")
    return _digest_of(*parts)
