"""The schema's objects from the bytes of a verified flatbuffer.

`ModelT.InitFromPackedBuf` of the generated classes does the same in five times the time: it takes
ten Python calls a field. Here the layout of each table, which `verifier` knows, says once what to
read.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types

from tflm_sparsesep.converters.tflite.verifier import Field, layout

# A vtable without fields, and a table without any: the generated classes fill in the defaults.
_EMPTY, _EMPTY_TABLE = struct.pack("<HHi", 4, 4, 4), 4
_OFFSET, _UNSIGNED = struct.Struct("<i"), struct.Struct("<I")
_VTABLE_SIZE = struct.Struct("<H")

_Read = Callable[["_Buffer", int], Any]
"""What a field at a position holds."""


@dataclass(frozen=True)
class _Plan:
    """How to make one class: its defaults, and (attribute, reader) by slot of the vtable."""

    made: Any
    defaults: dict[str, Any]
    fields: dict[int, tuple[str, _Read]]
    unions: dict[int, tuple[str, dict[int, Any]]]


def unpack(data: bytes) -> Any:
    """Return the `ModelT` in `data`, which `verifier.verify` has accepted.

    Vectors of numbers are views of `data`.
    """
    return _Buffer(data).table(schema.Model, _follow(data, 0))


class _Buffer:
    """The bytes, and the vtables in them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.vtables: dict[int, tuple[int, ...]] = {}

    def table(self, table: Any, position: int) -> Any:
        """Return the object of the table at `position`, an instance of a generated class."""
        plan = _plan(table)
        result = plan.made.__new__(plan.made)
        values = vars(result)
        values.update(plan.defaults)
        offsets = self.vtable(position - _OFFSET.unpack_from(self.data, position)[0])
        for slot, offset in enumerate(offsets):
            if offset == 0:
                continue
            if slot in plan.fields:
                name, read = plan.fields[slot]
                values[name] = read(self, position + offset)
            elif slot in plan.unions and offsets[slot - 1]:
                name, members = plan.unions[slot]
                kind = self.data[position + offsets[slot - 1]]
                if kind:
                    at = _follow(self.data, position + offset)
                    values[name] = self.table(members[kind], at)
        return result

    def vtable(self, start: int) -> tuple[int, ...]:
        """Return the field offsets in the vtable at `start`; 0 is absent."""
        if start not in self.vtables:
            size = _VTABLE_SIZE.unpack_from(self.data, start)[0]
            self.vtables[start] = struct.unpack_from(f"<{size // 2 - 2}H", self.data, start + 4)
        return self.vtables[start]


def _follow(data: bytes, position: int) -> int:
    at: int = position + _UNSIGNED.unpack_from(data, position)[0]
    return at


@functools.cache
def _plan(table: Any) -> _Plan:
    made = getattr(schema, f"{table.__name__}T")
    plan = _Plan(made, vars(made.InitFromBuf(_EMPTY, _EMPTY_TABLE)), {}, {})
    for slot, field in layout(table).items():
        name = field.name[0].lower() + field.name[1:]
        if field.members is not None:
            plan.unions[slot] = name, field.members
        else:
            plan.fields[slot] = name, _reader(field)
    return plan


def _reader(field: Field) -> _Read:
    if field.table is not None:
        return functools.partial(_tables if field.is_vector else _table, field.table)
    if field.is_string:
        return _string
    if field.is_vector:
        return functools.partial(_numbers, number_types.to_numpy_type(field.number))
    return functools.partial(_number, field.number.packer_type.unpack_from)


def _table(table: Any, buffer: _Buffer, at: int) -> Any:
    return buffer.table(table, _follow(buffer.data, at))


def _tables(table: Any, buffer: _Buffer, at: int) -> list[Any]:
    start = _follow(buffer.data, at)
    (count,) = _UNSIGNED.unpack_from(buffer.data, start)
    places = range(start + 4, start + 4 + 4 * count, 4)
    return [buffer.table(table, _follow(buffer.data, place)) for place in places]


def _string(buffer: _Buffer, at: int) -> bytes:
    start = _follow(buffer.data, at)
    (count,) = _UNSIGNED.unpack_from(buffer.data, start)
    return buffer.data[start + 4 : start + 4 + count]


def _numbers(dtype: Any, buffer: _Buffer, at: int) -> Any:
    start = _follow(buffer.data, at)
    (count,) = _UNSIGNED.unpack_from(buffer.data, start)
    return np.frombuffer(buffer.data, dtype, count, start + 4)


def _number(unpack_from: Any, buffer: _Buffer, at: int) -> Any:
    return unpack_from(buffer.data, at)[0]
