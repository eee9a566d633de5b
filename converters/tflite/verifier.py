"""Bounds check of an untrusted .tflite flatbuffer, before anything else reads it.

Python's flatbuffers package has no verifier: the generated classes may fail in any way on a damaged
file, or loop over a vector of four billion elements. `verify` visits every table, vector and string
that these classes read, and reports the first one that is not entirely inside the file. It skips
the contents of scalar vectors (the weights).

The layout of each table comes from the installed generated classes: every accessor is called once
on a substitute for `flatbuffers.Table` that records the vtable slot and the kind of field. The
check therefore covers exactly what the installed schema reads, whatever its version.
"""

from __future__ import annotations

import functools
import inspect
import struct
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.errors import ModelError

FILE_IDENTIFIER = b"TFL3"
"""Bytes 4 to 7 of a .tflite file."""

# Limits the time for a hostile file to about 10 s. Models with billions of weights have fewer
# tables. The limit of flatbuffers' C++ verifier is 1,000,000.
_MAX_TABLES = 250_000
# Several offsets may point at the same bytes (shared strings). A hostile file could describe far
# more data than it holds, so the visited bytes may be at most this multiple of the file.
_MAX_REUSE = 4
_REUSE_SLACK_BYTES = 64 * 1024

# Union field -> the generated class that numbers its members.
_UNIONS: dict[str, Any] = {
    "BuiltinOptions": schema.BuiltinOptions,
    "BuiltinOptions2": schema.BuiltinOptions2,
    "Details": schema.QuantizationDetails,
    "ArraySegments": schema.SparseIndexVector,
    "ArrayIndices": schema.SparseIndexVector,
}


@dataclass(frozen=True)
class Field:
    """One field of a table.

    Attributes:
        name: of its accessor.
        slot: in the vtable.
        size: bytes of a scalar, or of one vector element.
        number: flatbuffers' class of a scalar, or of one vector element; None for offsets.
        is_vector, is_string: its kind.
        table: the class of the table that the field, or each vector element, points at.
        members: the tables of a union by their number, which the scalar in slot - 1 holds.
    """

    name: str
    slot: int
    size: int = 4
    number: Any = None
    is_vector: bool = False
    is_string: bool = False
    table: Any = None
    members: dict[int, Any] | None = None


class _Probe:
    """A substitute for `flatbuffers.Table` that records the calls of one accessor."""

    Bytes = b""
    Pos = 0

    def __init__(self) -> None:
        self.noted: dict[str, Any] = {}

    def Offset(self, vtable_offset: int) -> int:
        self.noted["slot"] = (vtable_offset - 4) // 2
        return 1  # any position but 0, which would mean "field absent"

    def Vector(self, _offset: int) -> int:
        self.noted["is_vector"] = True
        return 0

    def Indirect(self, _offset: int) -> int:
        return 0

    def String(self, _offset: int) -> bytes:
        self.noted["is_string"] = True
        return b""

    def Union(self, _table: Any, _offset: int) -> None:
        self.noted["members"] = {}

    def Get(self, flags: Any, _offset: int) -> int:
        self.noted |= {"size": flags.bytewidth, "number": flags}
        return 0


def _is_accessor(table: Any, name: str) -> bool:
    """Return True for methods that return a field, not for helpers such as `ShapeLength`."""
    if name == "Init" or not inspect.isfunction(vars(table)[name]):
        return False
    stems = [name[: -len(s)] for s in ("AsNumpy", "Length", "IsNone") if name.endswith(s)]
    return not any(stem in vars(table) for stem in stems)


def _probe_field(table: Any, name: str) -> Field:
    """Call accessor `name` of the generated class `table` and return what it reads."""
    instance = table()
    instance._tab = probe = _Probe()
    accessor = getattr(instance, name)
    result = accessor(0) if inspect.signature(accessor).parameters else accessor()
    noted = probe.noted
    if "members" in noted:
        numbers = vars(_UNIONS[name]).items() if _UNIONS.get(name) else ()
        noted["members"] = {
            number: getattr(schema, member)
            for member, number in numbers
            if isinstance(number, int) and number > 0
        }
    elif hasattr(result, "_tab"):
        noted["table"] = type(result)
    return Field(name=name, **noted)


@functools.cache
def layout(table: Any) -> dict[int, Field]:
    """Return the fields of the generated class `table` by vtable slot."""
    names = [name for name in vars(table) if _is_accessor(table, name)]
    return {found.slot: found for found in (_probe_field(table, name) for name in names)}


class _SlotCounter:
    """A substitute for a flatbuffers builder that records the slots of a table."""

    def StartObject(self, count: int) -> None:
        self.count = count


@functools.cache
def slot_count(table: Any) -> int:
    """Return the number of vtable slots of the generated class `table`.

    Slots that `layout` lacks are deprecated fields of old files, which no runtime reads
    (`new_height` of RESIZE_BILINEAR, `deprecated_tag` of signatures).
    """
    counter = _SlotCounter()
    getattr(schema, f"{table.__name__}Start")(counter)
    return counter.count


@dataclass
class _Walk:
    """The state of one verification: the bytes, the path, and the remaining limits."""

    data: bytes
    name: str
    bytes_left: int
    path: list[str] = field(default_factory=list)
    tables_left: int = _MAX_TABLES
    vtables: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def fail(self, reason: str) -> NoReturn:
        where = ".".join(self.path).replace(".[", "[") or "root table"
        raise ModelError(f"{self.name}: damaged .tflite file: {where}: {reason}")

    def need(self, position: int, size: int, what: str) -> None:
        """Check that `size` bytes from `position` are inside the file."""
        if position < 0 or position + size > len(self.data):
            self.fail(
                f"{what} of {size} bytes at offset {position} is outside the file "
                f"({len(self.data)} bytes)"
            )

    def reach(self, size: int) -> None:
        """Count `size` visited bytes; fail if the file describes too many."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            self.fail("the file describes many times more data than it holds")

    def follow(self, position: int, what: str) -> int:
        """Return the absolute position that the offset at `position` points at."""
        self.need(position, 4, f"offset of {what}")
        return position + int(struct.unpack_from("<I", self.data, position)[0])

    def vtable(self, position: int) -> tuple[int, ...]:
        """Check and return the field offsets of the table at `position` (0 = absent)."""
        self.need(position, 4, "table")
        start = position - int(struct.unpack_from("<i", self.data, position)[0])
        if start not in self.vtables:
            self.need(start, 4, "vtable")
            size = int(struct.unpack_from("<H", self.data, start)[0])
            if size < 4 or size % 2:
                self.fail(f"vtable at offset {start} has the impossible size {size}")
            self.need(start, size, "vtable")
            self.vtables[start] = struct.unpack_from(f"<{size // 2 - 1}H", self.data, start + 2)
        return self.vtables[start]

    def table(self, table: Any, position: int) -> None:
        """Check the table at `position`, an instance of the generated class, and all below it."""
        self.tables_left -= 1
        if self.tables_left < 0:
            self.fail(f"more than {_MAX_TABLES} tables")
        table_size, *offsets = self.vtable(position)
        self.need(position, table_size, "table")
        self.reach(table_size + 4)
        known = layout(table)
        for slot, offset in enumerate(offsets):
            if offset == 0:
                continue
            if slot in known:
                self.path.append(known[slot].name)
                self.field(known[slot], position, offsets)
                self.path.pop()
            elif slot >= slot_count(table):
                self.fail(
                    f"field {slot} of {table.__name__} is not known to the installed schema; "
                    "newer models need a newer package: pip install -U ai-edge-litert"
                )

    def field(self, found: Field, position: int, offsets: list[int]) -> None:
        """Check one present field of the table at `position`."""
        start = position + offsets[found.slot]
        self.need(start, found.size, "field")
        if found.members is not None:
            self.union(found, position, start, offsets)
        elif found.is_vector:
            self.vector(found, self.follow(start, "vector"))
        elif found.is_string:
            self.vector(Field(found.name, found.slot, size=1), self.follow(start, "string"))
        elif found.table is not None:
            self.table(found.table, self.follow(start, "table"))

    def union(self, found: Field, position: int, start: int, offsets: list[int]) -> None:
        """Check a union. The schema must know its kind, the byte in the slot before."""
        kind = 0
        if offsets[found.slot - 1]:
            self.need(position + offsets[found.slot - 1], 1, "union kind")
            kind = self.data[position + offsets[found.slot - 1]]
        if kind == 0:
            return  # the generated classes do not read the value either
        if found.members is None or kind not in found.members:
            self.fail(f"kind {kind} is not known to the installed schema of ai-edge-litert")
        self.table(found.members[kind], self.follow(start, "table"))

    def vector(self, found: Field, start: int) -> None:
        """Check the length of the vector at `start`, and its elements if they are offsets."""
        self.need(start, 4, "vector length")
        count = int(struct.unpack_from("<I", self.data, start)[0])
        self.need(start + 4, count * found.size, f"vector of {count} elements")
        self.reach(4 + count * found.size)
        if found.table is None:
            return
        for i in range(count):
            self.path.append(f"[{i}]")
            self.table(found.table, self.follow(start + 4 + 4 * i, "table"))
            self.path.pop()


def verify(data: bytes, name: str) -> None:
    """Check that every part of the flatbuffer `data` that the schema knows is inside it.

    Raises:
        ModelError: a part is damaged; one line with the model's `name`, the part and the damage.
    """
    if len(data) < 8:
        raise ModelError(f"{name}: not a .tflite file: {len(data)} bytes, at least 8 are needed")
    if data[4:8] != FILE_IDENTIFIER:
        raise ModelError(
            f"{name}: not a .tflite file: file identifier is {bytes(data[4:8])!r}, "
            f"not {FILE_IDENTIFIER!r}"
        )
    walk = _Walk(data, name, _MAX_REUSE * len(data) + _REUSE_SLACK_BYTES)
    walk.table(schema.Model, walk.follow(0, "root table"))
