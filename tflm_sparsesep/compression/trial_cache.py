"""Results of a search on disk: an interrupted search resumes, a repeated one is instant.

An entry is one file, named by a hash of all that its result depends on: the code that computes it,
its libraries, the model, the samples, the target, and the setting of the result (a fit, the options
of a layer, a trial, a search). So an entry is never stale; the least recently used ones are deleted
when the directory grows too large. Entries are written aside and renamed, so that they are complete
or absent, and carry a checksum: damaged ones count as absent. Nothing in a file is executed.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import converters
from tflm_sparsesep.compression.budget_search import Point
from tflm_sparsesep.compression.factorization import Factorization, Fitted
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.rewrite import RewriteResult
from tflm_sparsesep.device import build_cache
from tflm_sparsesep.runtime import files

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
        """Return magic, checksum of the rest, length of the JSON, the JSON, and all blobs."""
        sizes = {name: len(blob) for name, blob in self.blobs.items()}
        text = json.dumps({"values": self.values, "sizes": sizes}).encode()
        body = b"".join([_LENGTH.pack(len(text)), text, *self.blobs.values()])
        return _MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry | None:
        """Return the entry that `to_bytes` wrote; None for other bytes."""
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
        directory: of the files, created if absent; None keeps nothing. A directory that is not
            writable keeps nothing either: a cache is no reason to fail.
        *context: what all results of this search depend on, in a fixed order.
        largest_total: bytes in the directory above which the least recently used entries are
            deleted.
    """

    def __init__(
        self,
        directory: Path | None,
        *context: bytes | str | Array | None,
        largest_total: int = _LARGEST_TOTAL,
    ) -> None:
        self._directory = directory
        self._context = digest_of(_code_version(), *context)
        if directory is not None:
            with contextlib.suppress(OSError):
                directory.mkdir(parents=True, exist_ok=True)
                _clean(directory, largest_total)

    def recall(self, setting: Mapping[str, Any], compute: Callable[[], Entry]) -> Entry:
        """Return the entry of a setting (plain values); compute and keep it where there is none."""
        found = self.get(setting)
        if found is None:
            found = compute()
            self.put(setting, found)
        return found

    def get(self, setting: Mapping[str, Any]) -> Entry | None:
        """Return the entry of a setting; None where it is absent or damaged."""
        path = self._path(setting)
        if path is None:
            return None
        try:
            entry = Entry.from_bytes(files.read_regular(path))
            os.utime(path)  # used now
        except OSError:
            return None
        if entry is None:
            with contextlib.suppress(OSError):
                path.unlink()
        return entry

    def put(self, setting: Mapping[str, Any], entry: Entry) -> None:
        """Keep an entry. An interruption leaves the previous one, or none."""
        path = self._path(setting)
        if path is None:
            return
        with contextlib.suppress(OSError):
            _write(path, entry.to_bytes())

    def _path(self, setting: Mapping[str, Any]) -> Path | None:
        if self._directory is None:
            return None
        text = json.dumps(dict(setting), sort_keys=True)
        return self._directory / f"{digest_of(self._context, text)}{_SUFFIX}"


def cache_directory() -> Path:
    """Return the default directory: $TFLM_SPARSESEP_CACHE, or the user's cache directory."""
    return build_cache.cache_dir() / "trials"


def fit_entry(fitted: Fitted, bias: Vector) -> Entry:
    """Return the entry of the matrices and the bias of one layer."""
    blobs = {"bias": bias.astype("<f8").tobytes()}
    for number, matrix in enumerate(fitted.matrices):
        kept = matrix != 0
        blobs[f"kept{number}"] = np.packbits(kept).tobytes()
        blobs[f"values{number}"] = matrix[kept].astype("<f8").tobytes()
    shapes = [matrix.shape for matrix in fitted.matrices]
    return Entry({"form": vars(fitted.form), "shapes": shapes}, blobs)


def fit_of(entry: Entry) -> tuple[Fitted, Vector]:
    """Return what `fit_entry` was given, to the last bit."""
    matrices: list[Matrix] = []
    for number, (rows, cols) in enumerate(entry.values["shapes"]):
        packed = np.frombuffer(entry.blobs[f"kept{number}"], np.uint8)
        kept = np.unpackbits(packed, count=rows * cols).astype(np.bool_).reshape(rows, cols)
        matrix = np.zeros((rows, cols))
        matrix[kept] = np.frombuffer(entry.blobs[f"values{number}"], "<f8")
        matrices.append(matrix)
    bias = np.frombuffer(entry.blobs["bias"], "<f8").astype(np.float64)
    return Fitted(_form_of(entry.values["form"]), tuple(matrices)), bias


def options_entry(options: Sequence[Option]) -> Entry:
    """Return the entry of what one layer can become."""
    return Entry({"options": [{**vars(option), "form": vars(option.form)} for option in options]})


def options_of(entry: Entry) -> list[Option]:
    """Return what `options_entry` was given."""
    return [
        Option(**{**fields, "form": _form_of(fields["form"])}) for fields in entry.values["options"]
    ]


def model_entry(tflite: bytes, rewritten: RewriteResult, points: Sequence[Point]) -> Entry:
    """Return the entry of a compressed model before and after rewriting, and of search points."""
    values = {
        "layers": [layer.to_json() for layer in rewritten.layers],
        "points": [vars(point) for point in points],
    }
    return Entry(values, {"tflite": tflite, "rewritten": rewritten.tflite})


def model_of(entry: Entry) -> tuple[bytes, RewriteResult, list[Point]]:
    """Return what `model_entry` was given."""
    layers = [LayerDecision(**fields) for fields in entry.values["layers"]]
    return (
        entry.blobs["tflite"],
        RewriteResult(entry.blobs["rewritten"], layers),
        [Point(**{**fields, "forms": tuple(fields["forms"])}) for fields in entry.values["points"]],
    )


def _form_of(fields: dict[str, Any]) -> Factorization:
    return Factorization(**{**fields, "block": tuple(fields["block"])})


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
    """Delete unfinished files of killed processes, and the least recently used entries."""
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


def digest_of(*parts: bytes | str | Array | None) -> str:
    """Return a hash that distinguishes types, shapes and where a part ends."""
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
    """Return a hash of the package's Python code and cost data, and of the libraries' versions."""
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
    return digest_of(*parts)
