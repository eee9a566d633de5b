"""Metadata with indices: rewritten, or a limit of edits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import small_chain
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Operator,
    Tensor,
)


def test_offline_memory_plan_follows_its_tensors() -> None:
    model = editor.read(small_chain())
    subgraph = model.subgraphs[0]
    offsets = [100 + i for i in range(len(subgraph.tensors))]
    by_name = dict(zip((t.name for t in subgraph.tensors), offsets, strict=True))
    plan = np.array([1, 0, len(offsets), *offsets], np.int32)
    model.set_metadata("OfflineMemoryAllocation", plan.tobytes())

    planned = editor.read(editor.write(model))
    graph = planned.subgraphs[0]
    old = graph.operators[0]
    blob = Tensor.constant("blob", np.zeros(4, np.uint8))
    graph.replace(old, Operator.custom("MY_OP", [old.inputs[0], blob], old.outputs))
    editor.prune_unused(planned)
    edited = editor.read(editor.write(planned))
    names = [t.name for t in edited.subgraphs[0].tensors]
    words = np.frombuffer(edited.metadata_bytes("OfflineMemoryAllocation") or b"", np.int32)
    assert words.tolist() == [1, 0, len(names), *(by_name.get(name, -1) for name in names)]
    assert by_name.get("blob") is None
    assert "blob" in names


def test_metadata_with_frozen_indices_limits_edits() -> None:
    model = editor.read(small_chain())
    model.set_metadata("COMPRESSION_METADATA", b"\0")
    pinned = editor.read(editor.write(model))
    pinned.subgraphs[0].tensors.append(Tensor.constant("unused", np.ones(1, np.int8)))
    editor.prune_unused(pinned)
    assert len(pinned.subgraphs[0].tensors) == 8
    editor.write(pinned)
    pinned.subgraphs[0].tensors.reverse()
    with pytest.raises(ModelError, match="COMPRESSION_METADATA"):
        editor.write(pinned)

    model = editor.read(small_chain())
    model.set_metadata("model_control_dependencies", b"\0")
    pinned = editor.read(editor.write(model))
    pinned.subgraphs[0].replace(pinned.subgraphs[0].operators[0])
    with pytest.raises(ModelError, match="operators were moved or removed"):
        editor.write(pinned)
