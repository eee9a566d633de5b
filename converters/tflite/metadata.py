"""Metadata whose contents name tensors, buffers or operators by index.

To the schema a metadata entry is opaque, but three well-known ones silently mean something else
once a tensor or operator has moved:
- `OfflineMemoryAllocation` (TFLM): int32 [version, subgraph, count, offset of tensor 0, 1, ...],
  offset -1 for "plan at run time". TFLM refuses a model whose count differs from its number of
  tensors. It is rewritten: tensors that stay keep their offsets, new ones get -1.
- `COMPRESSION_METADATA` (TFLM's look-up-table compression): tensor and buffer indices.
- `model_control_dependencies` (TFLite): operator indices.
The last two are kept while what they point at stays in place, and refused else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite.graph import Subgraph
from tflm_sparsesep.converters.tflite.tensor import Buffer, Tensor

if TYPE_CHECKING:
    from tflm_sparsesep.converters.tflite.editor import Model

OFFLINE_PLAN = "OfflineMemoryAllocation"
COMPRESSION = "COMPRESSION_METADATA"
CONTROL_DEPENDENCIES = "model_control_dependencies"

_PLAN_ONLINE = -1
_PLAN_HEADER = 3


class IndexedMetadata:
    """What the indices in a model's metadata meant when it was read."""

    def __init__(self, model: Model) -> None:
        self._subgraphs = list(model.subgraphs)
        self._tensors = [list(subgraph.tensors) for subgraph in model.subgraphs]
        self._operator_counts = [len(subgraph.operators) for subgraph in model.subgraphs]
        self._buffers = list(model.buffers)
        self._plan_header, self._plan = self._read_plan(model)

    def _read_plan(self, model: Model) -> tuple[list[int], dict[Tensor, int]]:
        """The offline plan as header and offsets; empty where there is none that fits."""
        data = model.metadata_bytes(OFFLINE_PLAN) or b""
        words = np.frombuffer(data[: len(data) // 4 * 4], "<i4").tolist()
        tensors = [tensor for of_subgraph in self._tensors for tensor in of_subgraph]
        if words[2:_PLAN_HEADER] != [len(tensors)] or len(words) < _PLAN_HEADER + len(tensors):
            return [], {}
        return words[:2], dict(zip(tensors, words[_PLAN_HEADER:], strict=False))

    def pins_tensors(self, model: Model) -> bool:
        """True if metadata that cannot be rewritten refers to tensors or buffers."""
        return any(entry.name == COMPRESSION for entry in model.metadata)

    def offline_plan(self, tensors: list[list[Tensor]]) -> Buffer | None:
        """The offline plan for `tensors` (per subgraph, in file order); None: leave as is."""
        if not self._plan_header:
            return None
        flat = [tensor for of_subgraph in tensors for tensor in of_subgraph]
        offsets = [self._plan.get(tensor, _PLAN_ONLINE) for tensor in flat]
        return Buffer(np.array([*self._plan_header, len(flat), *offsets], "<i4"))

    def check(self, model: Model, tensors: list[list[Tensor]], buffers: list[Buffer]) -> None:
        """Refuse an edit that changed what indices kept in the file stand for.

        Args:
            model: the edited model.
            tensors: of each subgraph, in the order they will be written.
            buffers: in the order they will be written, buffer 0 left out.

        Raises:
            ModelError: naming what was moved.
        """
        if not _starts_with(model.subgraphs, self._subgraphs):
            raise ModelError(
                f"{model.name}: subgraphs were moved or removed; operators refer to them by "
                "index, so new ones can only be appended"
            )
        names = {entry.name for entry in model.metadata}
        in_place = _starts_with(buffers, self._buffers) and all(
            _starts_with(now, before) for now, before in zip(tensors, self._tensors, strict=False)
        )
        if COMPRESSION in names and not in_place:
            raise ModelError(f"{model.name}: {_MOVED.format('tensors or buffers', COMPRESSION)}")
        counts = [len(subgraph.operators) for subgraph in model.subgraphs]
        if CONTROL_DEPENDENCIES in names and not _starts_with(counts, self._operator_counts):
            raise ModelError(f"{model.name}: {_MOVED.format('operators', CONTROL_DEPENDENCIES)}")


_MOVED = "{} were moved or removed, but metadata {!r} refers to them by index"


def _starts_with(
    now: list[Subgraph] | list[Tensor] | list[Buffer] | list[int],
    before: list[Subgraph] | list[Tensor] | list[Buffer] | list[int],
) -> bool:
    # The objects compare by identity, so this is "the same ones at the same places".
    return now[: len(before)] == before
