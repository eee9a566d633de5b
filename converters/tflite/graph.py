"""The parts of a .tflite model as Python objects: operators, subgraphs, signatures.

Like the tensors and buffers of `tensor`, each object wraps the schema's object in `raw` and refers
to other objects directly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite.tensor import (
    Buffer,
    Tensor,
    schema_object,
    to_bytes,
    to_text,
)

BuiltinOperator = schema.BuiltinOperator

_OP_NAMES: dict[int, str] = {
    value: name for name, value in vars(BuiltinOperator).items() if not name.startswith("_")
}


@dataclass(eq=False, repr=False)
class Operator:
    """One operation of a subgraph.

    Attributes:
        builtin_code: a `BuiltinOperator` number, CUSTOM for a custom operator.
        custom_code: the name of a custom operator, else None.
        version: of the operator.
        inputs: tensors; None for an absent optional input.
        outputs: tensors.
        intermediates: tensors; None for an absent one.
        options: the builtin options object, e.g. `schema.FullyConnectedOptionsT()`, or None.
        options_2: the options object of the schema's second union (StableHLO), or None.
        custom_options: the bytes that a custom operator gets, or None.
        raw: the schema's `OperatorT` (also mutating variable inputs, debug metadata index).
    """

    builtin_code: int
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    _: KW_ONLY
    custom_code: str | None = None
    version: int = 1
    options: Any = None
    options_2: Any = None
    custom_options: bytes | None = None
    intermediates: list[Tensor | None] = field(default_factory=list)
    raw: Any = field(default_factory=schema.OperatorT)

    def __post_init__(self) -> None:
        """Own the lists."""
        self.inputs, self.outputs = list(self.inputs), list(self.outputs)

    @classmethod
    def custom(
        cls,
        custom_code: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        *,
        custom_options: bytes | None = None,
    ) -> Operator:
        """Return the custom operator called `custom_code`."""
        code, options = BuiltinOperator.CUSTOM, custom_options
        return cls(
            code, list(inputs), list(outputs), custom_code=custom_code, custom_options=options
        )

    @property
    def op_name(self) -> str:
        """The name, such as "FULLY_CONNECTED" or that of a custom operator."""
        if self.builtin_code == BuiltinOperator.CUSTOM:
            return self.custom_code or ""
        return _OP_NAMES.get(self.builtin_code, f"operator {self.builtin_code}")

    @property
    def tensors(self) -> list[Tensor]:
        """Every tensor that the operator refers to, in order, without absent ones."""
        return [t for t in (*self.inputs, *self.outputs, *self.intermediates) if t is not None]

    def input(self, index: int) -> Tensor:
        """Return the input `index`. Raises ModelError if it is absent."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise ModelError(f"{self.op_name} has no input {index}")
        return tensor

    @property
    def weights(self) -> Tensor:
        """Input 1. Raises ModelError if it is absent."""
        return self.input(1)

    @property
    def bias(self) -> Tensor | None:
        """Input 2; None if it is absent."""
        return self.inputs[2] if len(self.inputs) > 2 else None

    @property
    def strides(self) -> tuple[int, int]:
        """The strides of a convolution or pool: down, right."""
        return int(self.options.strideH), int(self.options.strideW)

    @property
    def dilation(self) -> tuple[int, int]:
        """The dilation of a convolution: down, right."""
        return int(self.options.dilationHFactor), int(self.options.dilationWFactor)

    @property
    def is_same(self) -> bool:
        """True for SAME padding, False for VALID."""
        return bool(self.options.padding == schema.Padding.SAME)

    def __repr__(self) -> str:
        return f"Operator({self.op_name}, {self.inputs} -> {self.outputs})"


class Subgraph:
    """A graph of operators in execution order.

    Attributes:
        tensors: of the file, in order. `editor.write` appends other tensors that operators refer
            to.
        operators: in execution order.
        inputs, outputs: the tensors that the caller sets and reads.
        raw: the schema's `SubGraphT`.
    """

    def __init__(
        self,
        name: str = "",
        *,
        inputs: Sequence[Tensor] = (),
        outputs: Sequence[Tensor] = (),
        operators: Sequence[Operator] = (),
        tensors: Sequence[Tensor] = (),
        raw: Any = None,
    ) -> None:
        """Create a subgraph, or wrap `raw` and ignore `name`."""
        self.tensors = list(tensors)
        self.operators = list(operators)
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.raw = schema.SubGraphT() if raw is None else raw
        if raw is None:
            self.raw.name = to_bytes(name)

    @property
    def name(self) -> str:
        """The name of the subgraph."""
        return to_text(self.raw.name)

    def consumers(self, tensor: Tensor) -> list[Operator]:
        """Return the operators that read `tensor`, in execution order."""
        return [op for op in self.operators if any(t is tensor for t in op.inputs)]

    def producer(self, tensor: Tensor) -> Operator | None:
        """Return the operator that writes `tensor`; None for constants and subgraph inputs."""
        return next((op for op in self.operators if any(t is tensor for t in op.outputs)), None)

    def uses(self) -> dict[Tensor, list[Operator]]:
        """Return the operators that refer to each tensor, once for each reference."""
        found: dict[Tensor, list[Operator]] = {}
        for op in self.operators:
            for tensor in op.tensors:
                found.setdefault(tensor, []).append(op)
        return found

    def only_reader(
        self, tensor: Tensor, uses: Mapping[Tensor, Sequence[Operator]] | None = None
    ) -> Operator | None:
        """Return the operator that alone reads `tensor`, once, after one operator has written it.

        None otherwise, and for tensors that outlive the pair: inputs and outputs of the subgraph,
        and variables. Who asks for many tensors gives `uses()`.
        """
        users = (self.uses() if uses is None else uses).get(tensor, ())
        outlives = tensor.is_variable or any(t is tensor for t in (*self.inputs, *self.outputs))
        if outlives or len(users) != 2:
            return None
        writer, reader = users
        is_written = any(t is tensor for t in writer.outputs)
        is_read = writer is not reader and any(t is tensor for t in reader.inputs)
        return reader if is_written and is_read else None

    def replace(self, old: Operator, *new: Operator) -> None:
        """Replace the operator `old` by `new`; without `new`, remove it.

        Raises:
            ConfigError: `old` is not an operator of this subgraph.
        """
        try:
            at = self.operators.index(old)
        except ValueError:
            raise ConfigError(
                f"subgraph {self.name!r} has no operator {old!r} to replace"
            ) from None
        self.operators[at : at + 1] = new

    def __repr__(self) -> str:
        return f"Subgraph({self.name!r}, {len(self.operators)} operators)"


@dataclass(eq=False)
class Metadata:
    """A named byte string of the model.

    Attributes:
        name: its key.
        buffer: its bytes; None for the file's buffer 0, which is empty.
    """

    name: str
    buffer: Buffer | None = None


@dataclass(eq=False)
class Signature:
    """A named entry point of the model (SignatureDef).

    Attributes:
        key: its name.
        subgraph: the subgraph that it runs.
        inputs, outputs: (alias, tensor of that subgraph) pairs.
    """

    key: str
    subgraph: Subgraph
    inputs: Sequence[tuple[str, Tensor]] = ()
    outputs: Sequence[tuple[str, Tensor]] = ()


class OperatorCode(NamedTuple):
    """An entry of the file's operator code table, kept to preserve its order."""

    builtin_code: int
    custom_code: str | None
    version: int


class Model:
    """A .tflite model.

    Attributes:
        subgraphs: the first is the main one. Append only (see `editor.py`).
        buffers: of the file, in order, without the empty buffer 0. `editor.write` appends other
            buffers that tensors or metadata refer to.
        metadata: named byte strings.
        metadata_buffers: buffers of the deprecated `metadata_buffer` field, or None.
        signatures: named entry points.
        operator_codes: of the file, in order; `editor.write` appends those that operators need.
        name: the name of the model in errors.
        is_mended: True if `read` corrected metadata, without which LiteRT refuses the file.
        raw: the schema's `ModelT` (also version, external buffers).
        as_read: the meaning of the file's indices when it was read; None for new models.
    """

    def __init__(
        self,
        subgraphs: list[Subgraph] | None = None,
        *,
        description: str = "",
        name: str = "model",
        raw: Any = None,
    ) -> None:
        """Create a model, or wrap `raw` and ignore `description`."""
        self.subgraphs = subgraphs or []
        self.buffers: list[Buffer] = []
        self.metadata: list[Metadata] = []
        self.metadata_buffers: list[Buffer | None] | None = None
        self.signatures: list[Signature] = []
        self.operator_codes: list[OperatorCode] = []
        self.name = name
        self.is_mended = False
        self.raw = raw
        if raw is None:
            self.raw = schema_object(schema.ModelT, version=3, description=description)
        self.as_read: ModelIndices | None = None

    @property
    def operators(self) -> Iterator[Operator]:
        """Every operator of every subgraph, in order."""
        return (op for subgraph in self.subgraphs for op in subgraph.operators)

    def metadata_bytes(self, name: str) -> bytes | None:
        """Return the contents of the metadata entry `name`; None if there is none."""
        for entry in self.metadata:
            if entry.name == name:
                return b"" if entry.buffer is None else entry.buffer.data.tobytes()
        return None

    def set_metadata(self, name: str, value: bytes) -> None:
        """Set the metadata entry `name` to `value`."""
        self.metadata = [entry for entry in self.metadata if entry.name != name]
        self.metadata.append(Metadata(name, Buffer(value)))


class ModelIndices:
    """The objects that the indices in a file referred to when it was read.

    Attributes:
        subgraphs, buffers: of the model, in order, without the empty buffer 0.
        tensors, operator_counts: of each subgraph.
    """

    def __init__(self, model: Model) -> None:
        self.subgraphs = list(model.subgraphs)
        self.tensors = [list(subgraph.tensors) for subgraph in model.subgraphs]
        self.operator_counts = [len(subgraph.operators) for subgraph in model.subgraphs]
        self.buffers = list(model.buffers)
