"""Damage to .tflite files: to their bytes, and to the fields of an intact file."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DWORDS = (0, 1, 2, 4, 8, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


def flip_bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, len(data), rng.integers(1, 5)):
        data[position] ^= 1 << int(rng.integers(8))
    return data


def set_bytes(data: bytearray, rng: np.random.Generator) -> bytearray:
    for position in rng.integers(0, len(data), rng.integers(1, 5)):
        data[position] = int(rng.integers(256))
    return data


def truncate(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(len(data)))]


def overwrite_dwords(data: bytearray, rng: np.random.Generator) -> bytearray:
    for word in rng.integers(0, len(data) // 4, rng.integers(1, 4)):
        data[4 * word : 4 * word + 4] = int(rng.choice(DWORDS)).to_bytes(4, "little")
    return data


def move_dwords(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Copy words within the file: offsets then point at parts that are something else."""
    for target, source in rng.integers(0, len(data) // 4, (int(rng.integers(1, 4)), 2)):
        data[4 * target : 4 * target + 4] = data[4 * source : 4 * source + 4]
    return data


def splice(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Insert, remove or repeat a section, so that all later bytes move."""
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
    piece = data[start : start + length] if rng.integers(2) else bytes(rng.bytes(length))
    removed = int(rng.integers(0, 64))
    return data[:start] + piece + data[start + removed :]


def garbage(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Return noise after a valid file identifier."""
    return data[:8] + bytearray(rng.bytes(int(rng.integers(0, 256))))


BYTE_MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    set_bytes,
    truncate,
    overwrite_dwords,
    move_dwords,
    splice,
    garbage,
)


# What a field of any kind may become.
NUMBERS = (-(2**31), -129, -1, 0, 1, 2, 3, 7, 255, 65_536, 2**31 - 1)
REALS = (float("nan"), float("inf"), -1.0, 0.0, 1e-45, 1e-12, 1e12, 3e38)
NAMES = (
    b"",
    b"\x1b[2J\x1b]0;title\x07",
    b"a[conv]3",
    b"Evil[/x]",
    b"\xff\xfe",
    "a\u202eb".encode(),
)


def change_fields(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Change up to three fields of an intact file; indices and sizes may be wrong then."""
    raw = schema.ModelT.InitFromPackedBuf(bytes(data), 0)
    fields: dict[tuple[type, str], list[Any]] = {}
    for owner, name in _fields(raw):
        fields.setdefault((type(owner), name), []).append(owner)
    kinds = list(fields)
    for at in rng.integers(0, len(kinds), int(rng.integers(1, 4))):
        name, owners = kinds[at][1], fields[kinds[at]]
        owner = owners[rng.integers(len(owners))]
        value = getattr(owner, name)
        # The generated classes refuse to write some values: those stay.
        with contextlib.suppress(TypeError, ValueError, OverflowError, AttributeError):
            setattr(owner, name, _changed(value, raw, rng))
    builder = flatbuffers.Builder(len(data))
    try:
        builder.Finish(raw.Pack(builder), b"TFL3")
    except (TypeError, ValueError, OverflowError, AttributeError, struct.error):
        return data
    return bytearray(builder.Output())


def _fields(owner: Any) -> Iterator[tuple[Any, str]]:
    """Yield every field of a tree of schema objects."""
    for name, value in vars(owner).items():
        yield owner, name
        for part in value if isinstance(value, list) else [value]:
            if hasattr(part, "__dict__"):
                yield from _fields(part)


def _changed(value: Any, raw: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, bytes | str):
        return NAMES[rng.integers(len(NAMES))]
    if isinstance(value, np.ndarray):
        return _changed_vector(value, rng)
    if isinstance(value, list):
        return value[:-1] if rng.integers(2) or not value else [*value, value[0]]
    if isinstance(value, float):
        return float(rng.choice(REALS))
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | np.integer):
        return (
            int(rng.choice(NUMBERS)) if rng.integers(2) else int(value) + int(rng.integers(-2, 3))
        )
    if value is not None and type(value).__name__.endswith("OptionsT"):
        operators = [op for graph in raw.subgraphs for op in graph.operators or ()]
        return operators[rng.integers(len(operators))].builtinOptions
    return None


def _changed_vector(value: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    kind = rng.integers(5)
    if kind == 0 or value.size == 0:
        return None
    if kind == 1:
        return value[:-1]
    if kind == 2:
        return np.append(value, value[-1]).astype(value.dtype)
    changed = value.copy()
    at, choices = int(rng.integers(value.size)), REALS if value.dtype.kind == "f" else NUMBERS
    with np.errstate(all="ignore"):
        changed[at] = np.array(float(rng.choice(choices))).astype(value.dtype)
    return changed


MUTATIONS: tuple[Mutation, ...] = (*BYTE_MUTATIONS, *[change_fields] * len(BYTE_MUTATIONS))
"""Half of the damage is to fields: a verifier finds most other damage."""
