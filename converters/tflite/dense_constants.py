"""Constants that TensorFlow stores sparse or as float16, as dense ones that operators compute with.

    sparse tensor -> operator                                          (FULLY_CONNECTED)
    sparse tensor -> DENSIFY -> operator                               (all others)
    float16 tensor -> DEQUANTIZE -> operator                           (weights in float16)
    sparse float16 tensor -> DENSIFY -> DEQUANTIZE -> operator

TFLM has neither of these. LiteRT has all, and files for it stay small where stored constants return
to the operators that keep their weights.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.tflite.graph import BuiltinOperator, Model, Operator, Subgraph
from tflm_sparsesep.converters.tflite.tensor import Buffer, Tensor, TensorType
from tflm_sparsesep.converters.tflite.types import byte_size, numpy_dtype

_EXPANDERS = (BuiltinOperator.DENSIFY, BuiltinOperator.DEQUANTIZE)
_TYPES = (TensorType.INT8, TensorType.FLOAT16, TensorType.FLOAT32)
# A small file must not describe a huge model: elements of all sparse tensors together.
_MOST_ELEMENTS = 1 << 26
_Indices = npt.NDArray[np.int64]


class Dense:
    """The dense constants that operators of a model read in the place of stored ones.

    Tensors whose sparsity is of an unknown kind or inconsistent stay as they are.
    """

    def __init__(self, model: Model, *, stays_stored: bool) -> None:
        """Let the operators of `model` read dense constants.

        Args:
            model: is changed.
            stays_stored: constants that are still read by then return in `finish` to the form in
                which the file stores them; until then they count with its size.
        """
        self._model = model
        self._stays_stored = stays_stored
        self._stored: dict[Tensor, Tensor] = {}
        self._buffers: dict[tuple[Buffer, int, bool], Buffer] = {}
        self._elements_left = _MOST_ELEMENTS
        for subgraph in model.subgraphs:
            self._expand(subgraph)

    def __bool__(self) -> bool:
        """Return True if an operator reads another constant than it did."""
        return bool(self._stored)

    def finish(self) -> None:
        """Leave what the file needs: stored constants or dense ones, and the expanders of those."""
        if self._stays_stored:
            for op in self._model.operators:
                op.inputs = [None if t is None else self._stored.get(t, t) for t in op.inputs]
        self.drop_expanders()

    def drop_expanders(self) -> None:
        """Remove the DENSIFY and DEQUANTIZE of constants whose results nothing reads."""
        results = set(self._stored.values())
        named = {t for signature in self._model.signatures for _, t in signature.outputs}
        for subgraph in self._model.subgraphs:
            read: set[Tensor | None] = {*subgraph.outputs, *named}
            for op in reversed(list(subgraph.operators)):
                if _is_expander(op) and op.outputs[0] in results - read:
                    subgraph.replace(op)
                else:
                    read.update(op.inputs)

    def _expand(self, subgraph: Subgraph) -> None:
        """Replace inputs in execution order, so that one expander's result enters the next."""
        found: dict[Tensor, Tensor] = {}
        for op in subgraph.operators:
            inputs = [None if t is None else self._dense(t, found) for t in op.inputs]
            if not _is_expander(op):
                op.inputs = inputs
            elif inputs[0] is not None and inputs[0].is_constant:
                self._follow(op, inputs[0], found)

    def _dense(self, tensor: Tensor, found: dict[Tensor, Tensor]) -> Tensor:
        """Return what to read in the place of `tensor`."""
        if tensor not in found:
            found[tensor] = tensor
            if tensor.raw.sparsity is not None:
                values = self._expanded(tensor)
                if values is not None:
                    found[tensor] = self._constant(tensor, tensor, values)
        return found[tensor]

    def _follow(self, op: Operator, source: Tensor, found: dict[Tensor, Tensor]) -> None:
        """Note the constant that an expander makes of the constant `source`."""
        result = op.outputs[0]
        is_densify = op.builtin_code == BuiltinOperator.DENSIFY
        from_to = (result.type,) * 2 if is_densify else (TensorType.FLOAT16, TensorType.FLOAT32)
        fits = source.shape == result.shape and (source.type, result.type) == from_to
        if fits and source.raw.sparsity is None and _is_whole(source):
            assert source.array is not None
            values = source.array.astype(numpy_dtype(result.type), copy=False)
            found[result] = self._constant(result, source, values)

    def _constant(self, like: Tensor, source: Tensor, values: npt.NDArray[Any]) -> Tensor:
        """Return a constant with the name and quantization of `like`; equal ones share a buffer."""
        stored = source.buffer
        assert stored is not None
        key = stored, like.type, source.raw.sparsity is None
        dense = Tensor(buffer=None, quantization=like.quantization, raw=copy.copy(like.raw))
        dense.raw.sparsity = None
        dense.buffer = self._buffers.setdefault(key, Buffer(values))
        if self._stays_stored:
            extra = _sparsity_bytes(source.raw.sparsity)
            dense.buffer.compact_bytes = stored.stored_bytes + extra
        self._stored[dense] = like
        return dense

    def _expanded(self, tensor: Tensor) -> npt.NDArray[Any] | None:
        """Return a sparse tensor's values in its shape; None if they cannot be."""
        elements = math.prod(tensor.shape)
        values = tensor.array
        if values is None or tensor.type not in _TYPES or elements > self._elements_left:
            return None
        positions = _positions(tensor.raw.sparsity, tensor.shape)
        if positions is None or len(positions) != len(values):
            return None
        self._elements_left -= elements
        dense = np.zeros(elements, values.dtype)
        dense[positions] = values
        return dense.reshape(tensor.shape)


def make_dense(model: Model) -> bool:
    """Store constants of `model` dense; return True if one was not."""
    dense = Dense(model, stays_stored=False)
    dense.finish()
    return bool(dense)


def _is_expander(op: Operator) -> bool:
    return op.builtin_code in _EXPANDERS and len(op.inputs) == 1 and len(op.outputs) == 1


def _is_whole(tensor: Tensor) -> bool:
    """Return False for a buffer that TFLM has compressed."""
    stored = 0 if tensor.buffer is None else tensor.buffer.data.size
    return stored == byte_size(tensor.type, tensor.shape)


def _positions(sparsity: Any, shape: tuple[int, ...]) -> _Indices | None:
    """Return the flat position of each stored value; None for inconsistent metadata.

    Levels are nested: those of the dimensions in traversal order, then those inside blocks. A
    level is dense, or lists the indices that each element of the level above has.
    """
    levels, strides = sparsity.dimMetadata or [], _strides(sparsity, shape)
    if strides is None or len(levels) != len(strides):
        return None
    parents, flat = np.zeros(1, np.int64), np.zeros(1, np.int64)
    limit = math.prod(shape)
    for level, (stride, size) in zip(levels, strides, strict=True):
        if level.format == schema.DimensionType.DENSE:
            if level.denseSize != size or len(parents) * size > limit:
                return None
            parents = (parents[:, None] * size + np.arange(size)).reshape(-1)
            flat = (flat[:, None] + np.arange(size) * stride).reshape(-1)
            continue
        listed = _listed(level, parents, size)
        if listed is None or len(listed[0]) > limit:
            return None
        owners, parents, indices = listed
        flat = flat[owners] + indices * stride
    return flat


def _listed(level: Any, parents: _Indices, size: int) -> tuple[_Indices, _Indices, _Indices] | None:
    """Return for each entry of a compressed level: the parent's place, its own, and its index."""
    segments, indices = _values(level.arraySegments), _values(level.arrayIndices)
    if len(segments) == 0 or segments[0] < 0 or np.any(np.diff(segments) < 0):
        return None
    if segments[-1] > len(indices) or np.any(parents + 1 >= len(segments)):
        return None
    counts = segments[parents + 1] - segments[parents]
    owners = np.repeat(np.arange(len(parents)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = segments[parents][owners] + within
    found = indices[places]
    if np.any((found < 0) | (found >= size)):
        return None
    return owners, places, found


def _strides(sparsity: Any, shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """Return stride and size of each level; None for inconsistent metadata."""
    order = [int(i) for i in _vector(sparsity.traversalOrder)]
    blocked = [int(i) for i in _vector(sparsity.blockMap)]
    rank, levels = len(shape), sparsity.dimMetadata or []
    fits = sorted(order) == list(range(rank + len(blocked))) and len(levels) == len(order)
    known = len(set(blocked)) == len(blocked) and all(0 <= dim < rank for dim in blocked)
    if not fits or not known or sorted(order[:rank]) != list(range(rank)):
        return None
    blocks = [1] * rank
    for place, block in enumerate(order[rank:], start=rank):
        blocks[blocked[block - rank]] = int(levels[place].denseSize)
    if any(block < 1 or size % block for block, size in zip(blocks, shape, strict=True)):
        return None
    strides = [math.prod(shape[dim + 1 :]) for dim in range(rank)]
    outer = [(strides[dim] * blocks[dim], shape[dim] // blocks[dim]) for dim in order[:rank]]
    inner = [(strides[blocked[b - rank]], blocks[blocked[b - rank]]) for b in order[rank:]]
    return outer + inner


def _values(vector: Any) -> _Indices:
    """Return the integers of one of the schema's index vectors."""
    return _vector(None if vector is None else vector.values)


def _vector(values: Any) -> _Indices:
    return np.asarray(() if values is None else values, np.int64)


def _sparsity_bytes(sparsity: Any) -> int:
    """Return what a file stores of a sparse tensor beside its values."""
    vectors = [
        None if vector is None else vector.values
        for level in (sparsity.dimMetadata or () if sparsity is not None else ())
        for vector in (level.arraySegments, level.arrayIndices)
    ]
    return sum(np.asarray(values).nbytes for values in vectors if values is not None)
