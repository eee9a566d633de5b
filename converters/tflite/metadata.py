"""Metadata with indices of tensors, buffers or operators.

The schema treats metadata as opaque bytes, but the meaning of three well-known entries changes when
a tensor or operator moves:
- `OfflineMemoryAllocation` (TFLM): int32 [version, subgraph, count, offset of tensor 0, 1, ...],
  offset -1 for "plan at run time". TFLM refuses a model whose count differs from its number of
  tensors. `write` rewrites it: old tensors keep their offsets, new tensors get -1.
- `COMPRESSION_METADATA` (TFLM's look-up-table compression): tensor and buffer indices.
- `model_control_dependencies` (TFLite): operator indices.
The last two are kept if the objects that they refer to stay in place; otherwise `write` fails.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite.graph import Model
from tflm_sparsesep.converters.tflite.tensor import Buffer, Tensor

OFFLINE_PLAN = "OfflineMemoryAllocation"
COMPRESSION = "COMPRESSION_METADATA"
CONTROL_DEPENDENCIES = "model_control_dependencies"

_PLAN_ONLINE = -1
_PLAN_HEADER = 3


def pins_tensors(model: Model) -> bool:
    """Return True if metadata that cannot be rewritten refers to tensors or buffers."""
    return model.as_read is not None and any(x.name == COMPRESSION for x in model.metadata)


def offline_plan(model: Model, tensors: list[list[Tensor]]) -> Buffer | None:
    """Return the offline plan for `tensors` of each subgraph; None if it needs no change."""
    header, plan = _read_plan(model)
    if not header:
        return None
    flat = [tensor for of_subgraph in tensors for tensor in of_subgraph]
    offsets = [plan.get(tensor, _PLAN_ONLINE) for tensor in flat]
    return Buffer(np.array([*header, len(flat), *offsets], "<i4"))


def _read_plan(model: Model) -> tuple[list[int], dict[Tensor, int]]:
    """Return header and offsets of the offline plan; empty if there is none that fits."""
    if model.as_read is None:
        return [], {}
    data = model.metadata_bytes(OFFLINE_PLAN) or b""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<i4").tolist()
    tensors = [tensor for of_subgraph in model.as_read.tensors for tensor in of_subgraph]
    if words[2:_PLAN_HEADER] != [len(tensors)] or len(words) < _PLAN_HEADER + len(tensors):
        return [], {}
    return words[:2], dict(zip(tensors, words[_PLAN_HEADER:], strict=False))


def check(model: Model, tensors: list[list[Tensor]], buffers: list[Buffer]) -> None:
    """Raise ModelError if indices in metadata and options no longer refer to the same objects.

    `tensors` of each subgraph and `buffers`, without buffer 0, are in the order of the new file.
    """
    before = model.as_read
    if before is None:
        return
    if not _starts_with(model.subgraphs, before.subgraphs):
        raise ModelError(
            f"{model.name}: subgraphs were moved or removed; operators refer to them by "
            "index, so new ones can only be appended"
        )
    names = {entry.name for entry in model.metadata}
    in_place = _starts_with(buffers, before.buffers) and all(
        _starts_with(now, old) for now, old in zip(tensors, before.tensors, strict=False)
    )
    if COMPRESSION in names and not in_place:
        raise ModelError(f"{model.name}: {_MOVED.format('tensors or buffers', COMPRESSION)}")
    counts = [len(subgraph.operators) for subgraph in model.subgraphs]
    if CONTROL_DEPENDENCIES in names and not _starts_with(counts, before.operator_counts):
        raise ModelError(f"{model.name}: {_MOVED.format('operators', CONTROL_DEPENDENCIES)}")


_MOVED = "{} were moved or removed, but metadata {!r} refers to them by index"


def _starts_with(now: Sequence[object], before: Sequence[object]) -> bool:
    # Objects compare by identity: this is True if the same objects are at the same indices.
    return now[: len(before)] == before
