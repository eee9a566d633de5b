"""The data of a .tflite model as Python objects: buffers, quantization, tensors.

Each object wraps the schema's object of its table in `raw`, so fields without a property survive
reading and writing. References (a tensor's buffer, ...) are attributes that hold objects. The
integer fields in `raw` that represent them in the file are ignored; `writer.write` sets new ones on
a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, NDArray

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import types as tensor_types

TensorType = schema.TensorType


def to_text(value: bytes | str | None) -> str:
    """Return a schema string as `str`. `to_bytes` restores bytes that are not UTF-8."""
    if value is None:
        return ""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def to_bytes(value: str) -> bytes:
    """Return the bytes of a string, the inverse of `to_text`."""
    return value.encode("utf-8", "surrogateescape")


def schema_object(kind: Any, **fields: Any) -> Any:
    """Return a new schema object, such as `schema.FullyConnectedOptionsT`, with `fields` set.

    The generated constructors take arguments only since ai-edge-litert 2.

    Raises:
        ConfigError: the installed schema does not have a field.
    """
    created = kind()
    for field, value in fields.items():
        if not hasattr(created, field):
            raise ConfigError(f"{kind.__name__} of the installed schema has no field {field!r}")
        setattr(created, field, value)
    return created


class Buffer:
    """Constant data, shared by every tensor that refers to this object.

    Attributes:
        data: uint8 [bytes], read-only if it is a view of the file. The setter takes bytes or an
            array of any dtype.
        compact_bytes: of the form in which the file keeps expanded data (`dense_constants`), or
            None.
    """

    def __init__(self, data: bytes | NDArray[Any] = b"") -> None:
        self.data = data
        self.compact_bytes: int | None = None

    @property
    def stored_bytes(self) -> int:
        """What a file stores of the data."""
        return self.data.size if self.compact_bytes is None else self.compact_bytes

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes, uint8 [bytes]."""
        return self._data

    @data.setter
    def data(self, value: bytes | NDArray[Any]) -> None:
        if isinstance(value, np.ndarray):
            self._data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        else:
            self._data = np.frombuffer(value, np.uint8)

    def __repr__(self) -> str:
        return f"Buffer({self.data.size} bytes)"


class Quantization:
    """The map of stored integers to reals: `real = scale * (stored - zero_point)`.

    Attributes:
        scale_tensor, zero_point_tensor: tensors of the same subgraph with the parameters of
            blockwise or multi-axis quantization (`raw.details`), else None.
        raw: the schema's `QuantizationParametersT` (also min, max, details).
    """

    def __init__(
        self,
        scales: ArrayLike = (),
        zero_points: ArrayLike = 0,
        *,
        axis: int = 0,
        raw: Any = None,
    ) -> None:
        """Create per-tensor parameters from two numbers, or per-channel ones from two sequences.

        Args:
            scales: one float, or [channels].
            zero_points: one integer for all channels, or [channels]; none is 0, as in files.
            axis: the dimension of channels.
            raw: a schema object to wrap; the other arguments are ignored then.
        """
        self.scale_tensor: Tensor | None = None
        self.zero_point_tensor: Tensor | None = None
        self.raw = schema.QuantizationParametersT() if raw is None else raw
        if raw is None:
            self.raw.scale = np.ascontiguousarray(scales, np.float32)  # at least one dimension
            points = np.asarray(zero_points, np.int64)
            self.raw.zeroPoint = np.zeros(self.raw.scale.shape, np.int64)
            if points.size:
                self.raw.zeroPoint += points
            self.raw.quantizedDimension = axis

    @property
    def scales(self) -> NDArray[np.float32]:
        """float32 [1] per tensor, [channels] per channel, [0] without quantization."""
        return _vector(self.raw.scale, np.float32)

    @property
    def zero_points(self) -> NDArray[np.int64]:
        """int64, one per scale; a file may also hold one for all scales, or none (0)."""
        return _vector(self.raw.zeroPoint, np.int64)

    @property
    def axis(self) -> int:
        """The dimension of `scales`, if there are several."""
        return int(self.raw.quantizedDimension)

    def __repr__(self) -> str:
        return f"Quantization({self.scales}, {self.zero_points}, axis={self.axis})"


class Tensor:
    """A tensor of one subgraph: a constant if its buffer holds data, else an activation.

    Attributes:
        buffer: constant data, or None (the file's buffer 0). The TensorFlow converter gives each
            activation an empty buffer.
        quantization: its parameters, or None.
        raw: the schema's `TensorT` (also sparsity, variant tensors, external buffer id, ...).
    """

    def __init__(
        self,
        name: str = "",
        shape: Sequence[int] = (),
        type: int = TensorType.FLOAT32,
        *,
        buffer: Buffer | None = None,
        quantization: Quantization | None = None,
        raw: Any = None,
    ) -> None:
        """Create a tensor, or wrap `raw` and ignore name, shape and type."""
        self.buffer = buffer
        self.quantization = quantization
        self.raw = schema_object(schema.TensorT, hasRank=True) if raw is None else raw
        if raw is None:
            self.name = name
            self.shape = shape
            self.type = type

    @classmethod
    def constant(
        cls,
        name: str,
        array: NDArray[Any],
        *,
        type: int | None = None,
        shape: Sequence[int] | None = None,
        quantization: Quantization | None = None,
    ) -> Tensor:
        """Return a constant tensor with a new buffer.

        Args:
            name: its name in the file.
            array: the values; for a packed type (INT4, ...) the packed bytes, uint8.
            type: the tensor type, by default that of the array's dtype.
            shape: by default the array's; required for packed types.
            quantization: its parameters, or None.

        Raises:
            ConfigError: no tensor type stores the dtype, or the bytes do not fit the shape.
        """
        if type is None:
            try:
                type = tensor_types.from_dtype(array.dtype)
            except ValueError as error:
                raise ConfigError(f"tensor {name!r}: {error}") from None
        tensor = cls(name, array.shape if shape is None else shape, type, quantization=quantization)
        expected = tensor_types.byte_size(type, tensor.shape)
        if expected is not None and expected != array.nbytes:
            raise ConfigError(
                f"tensor {name!r}: {array.nbytes} bytes given, type {tensor.type_name} of shape "
                f"{list(tensor.shape)} takes {expected}"
            )
        tensor.buffer = Buffer(array)
        return tensor

    @property
    def name(self) -> str:
        """The name in the file."""
        return to_text(self.raw.name)

    @name.setter
    def name(self, value: str) -> None:
        self.raw.name = to_bytes(value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return tuple(_vector(self.raw.shape, np.int32).tolist())

    @shape.setter
    def shape(self, value: Sequence[int]) -> None:
        self.raw.shape = np.asarray(value, np.int32)
        self.raw.shapeSignature = None  # it described the previous shape

    @property
    def shape_signature(self) -> tuple[int, ...]:
        """The shape, with -1 for dimensions that are unknown before run time."""
        if self.raw.shapeSignature is None:
            return self.shape
        return tuple(_vector(self.raw.shapeSignature, np.int32).tolist())

    @property
    def type(self) -> int:
        """A `TensorType` number."""
        return int(self.raw.type)

    @type.setter
    def type(self, value: int) -> None:
        self.raw.type = value

    @property
    def type_name(self) -> str:
        """The name of the type, such as "INT8"."""
        return tensor_types.NAMES.get(self.type, f"type {self.type}")

    @property
    def is_variable(self) -> bool:
        """True for state that persists between inferences."""
        return bool(self.raw.isVariable)

    @property
    def zero_point(self) -> int:
        """The first zero_point; 0 if there is none."""
        if self.quantization is None or len(self.quantization.zero_points) == 0:
            return 0
        return int(self.quantization.zero_points[0])

    @property
    def is_constant(self) -> bool:
        """True if the file holds this tensor's data."""
        return self.buffer is not None and self.buffer.data.size > 0

    @property
    def array(self) -> NDArray[Any] | None:
        """The constant data as a numpy view of the buffer; None for an activation.

        It has the tensor's shape and dtype, with exceptions that are one-dimensional: the packed
        bytes (uint8) of INT4, UINT4 and INT2; the raw bytes (uint8) of STRING, RESOURCE and
        VARIANT; the stored values of a tensor with `raw.sparsity`. BFLOAT16 is uint16, FLOAT8 types
        are uint8.

        The view is read-only after `read`: assign a new array to change values. The tensor then
        gets a new buffer, so that other tensors keep the old one, and the shape of the array.
        Packed and raw types accept only bytes that fit the present shape.

        Raises:
            ModelError: the buffer does not fit the shape (a TFLM-compressed tensor).
        """
        if self.buffer is None or self.buffer.data.size == 0:
            return None
        values = self.buffer.data.view(tensor_types.numpy_dtype(self.type))
        if not self._stored_by_element:
            return values
        if values.size != math.prod(self.shape):
            raise ModelError(
                f"tensor {self.name!r}: its buffer holds {values.size} values, "
                f"its shape {list(self.shape)} takes {math.prod(self.shape)}"
            )
        return values.reshape(self.shape)

    @array.setter
    def array(self, value: NDArray[Any]) -> None:
        if value.dtype != tensor_types.numpy_dtype(self.type):
            raise ConfigError(f"tensor {self.name!r}: {value.dtype} given, not {self.type_name}")
        shape = value.shape if self._stored_by_element else self.shape
        new = Tensor.constant(self.name, value, type=self.type, shape=shape)
        self.buffer = new.buffer
        if self.shape != shape:
            self.shape = shape

    @property
    def _stored_by_element(self) -> bool:
        return tensor_types.element_bits(self.type) >= 8 and self.raw.sparsity is None

    def __repr__(self) -> str:
        kind = "constant" if self.is_constant else "activation"
        return f"Tensor({self.name!r}, {self.type_name}{list(self.shape)}, {kind})"


def _vector(value: Any, dtype: Any) -> NDArray[Any]:
    """Return a schema vector (None if absent) as an array."""
    return np.asarray(() if value is None else value, dtype)
