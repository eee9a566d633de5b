"""The data half of a .tflite model as Python objects: buffers, quantisation, tensors.

Each object wraps the schema's own object of its table in `raw`, so fields that have no property
here survive reading and writing untouched. References (a tensor's buffer, ...) are attributes
holding objects; the integer fields in `raw` that stand for them in the file are ignored until
`Model.build` fills in fresh ones on a copy.
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
    """A schema string as `str`. Bytes that are not UTF-8 survive the way back by `to_bytes`."""
    if value is None:
        return ""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def to_bytes(value: str) -> bytes:
    """Inverse of `to_text`."""
    return value.encode("utf-8", "surrogateescape")


def schema_object(kind: Any, **fields: Any) -> Any:
    """A new schema object such as `schema.FullyConnectedOptionsT` with some fields set.

    The generated constructors take arguments only from ai-edge-litert 2 on.

    Raises:
        ConfigError: for a field that the installed schema does not have.
    """
    created = kind()
    for field, value in fields.items():
        if not hasattr(created, field):
            raise ConfigError(f"{kind.__name__} of the installed schema has no field {field!r}")
        setattr(created, field, value)
    return created


class Buffer:
    """Constant data, shared by every tensor that holds this very object.

    Attributes:
        data: uint8 [bytes], read-only where it is a view of the file that was read. Assigning
            bytes or an array of any dtype stores that array's bytes.
    """

    def __init__(self, data: bytes | NDArray[Any] = b"") -> None:
        self.data = data

    @property
    def data(self) -> NDArray[np.uint8]:
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
    """How stored integers map to reals: `real = scale * (stored - zero_point)`.

    Attributes:
        scale_tensor, zero_point_tensor: tensors of the same subgraph that hold the parameters
            of blockwise or multi-axis quantisation (`raw.details`), else None.
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
        """Per-tensor parameters from two numbers, per-channel ones from two sequences.

        Args:
            scales: one float, or [channels].
            zero_points: one integer, used for every channel, or [channels].
            axis: the tensor dimension that counts channels.
            raw: wrap this schema object instead, the other arguments being ignored.
        """
        self.scale_tensor: Tensor | None = None
        self.zero_point_tensor: Tensor | None = None
        self.raw = schema.QuantizationParametersT() if raw is None else raw
        if raw is None:
            self.scales = np.atleast_1d(np.asarray(scales, np.float32))
            self.zero_points = np.zeros(self.scales.shape, np.int64) + np.asarray(zero_points)
            self.axis = axis

    @property
    def scales(self) -> NDArray[np.float32]:
        """float32 [1] per tensor, [channels] per channel, [0] where not quantised."""
        return _vector(self.raw.scale, np.float32)

    @scales.setter
    def scales(self, value: ArrayLike) -> None:
        self.raw.scale = np.ascontiguousarray(value, np.float32)

    @property
    def zero_points(self) -> NDArray[np.int64]:
        """int64, one per scale; a file may also give one for all scales, or none (0)."""
        return _vector(self.raw.zeroPoint, np.int64)

    @zero_points.setter
    def zero_points(self, value: ArrayLike) -> None:
        self.raw.zeroPoint = np.ascontiguousarray(value, np.int64)

    @property
    def axis(self) -> int:
        """The dimension that `scales` runs along; meaningless with one scale.

        Not checked on read: biases in old files have an axis they do not have dimensions for.
        """
        return int(self.raw.quantizedDimension)

    @axis.setter
    def axis(self, value: int) -> None:
        self.raw.quantizedDimension = int(value)

    def __repr__(self) -> str:
        return f"Quantization({self.scales}, {self.zero_points}, axis={self.axis})"


class Tensor:
    """A tensor of one subgraph: a constant if its buffer holds data, else an activation.

    Attributes:
        buffer: constant data, or None (the file's buffer 0). A buffer object without data also
            means "no data"; files of the TensorFlow converter give each activation one.
        quantization: or None.
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
        """A new tensor, or a wrapper of `raw` (name, shape and type being ignored then)."""
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
        """A constant tensor with a buffer of its own.

        Args:
            name: its name in the file.
            array: the values. For a packed type (INT4, ...) the packed bytes, uint8.
            type: tensor type, by default the one of the array's dtype.
            shape: by default the array's; required for packed types.
            quantization: or None.

        Raises:
            ConfigError: if no tensor type stores the dtype, or the bytes do not fit the shape.
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
        return to_text(self.raw.name)

    @name.setter
    def name(self, value: str) -> None:
        self.raw.name = to_bytes(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(_vector(self.raw.shape, np.int32).tolist())

    @shape.setter
    def shape(self, value: Sequence[int]) -> None:
        self.raw.shape = np.asarray(value, np.int32)
        self.raw.shapeSignature = None  # described the former shape

    @property
    def shape_signature(self) -> tuple[int, ...]:
        """The shape with -1 for dimensions not known before run time."""
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
        """E.g. "INT8"."""
        return tensor_types.NAMES.get(self.type, f"type {self.type}")

    @property
    def is_variable(self) -> bool:
        """True for state that outlives an inference."""
        return bool(self.raw.isVariable)

    @property
    def zero_point(self) -> int:
        """The first zero point; 0 where there is none."""
        if self.quantization is None or len(self.quantization.zero_points) == 0:
            return 0
        return int(self.quantization.zero_points[0])

    @property
    def is_constant(self) -> bool:
        """True if the file holds this tensor's data."""
        return self.buffer is not None and self.buffer.data.size > 0

    @property
    def array(self) -> NDArray[Any] | None:
        """The constant data as a numpy view of the buffer, None for an activation.

        It has the tensor's shape and dtype, except that it is one-dimensional where elements
        are not stored one by one: uint8 packed bytes of INT4, UINT4 and INT2; uint8 raw bytes
        of STRING, RESOURCE and VARIANT; the stored values only of a tensor with `raw.sparsity`.
        BFLOAT16 appears as uint16, FLOAT8 types as uint8. Read-only after `read`: assign a new
        array to change values. That gives the tensor a buffer of its own, so that tensors it
        shared the old one with keep theirs, and the array's shape (for packed and raw types
        only bytes that fit the present shape are accepted).

        Raises:
            ModelError: if the buffer does not fit the shape (a TFLM-compressed tensor).
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
    """A schema vector (None where absent) as an array."""
    return np.asarray(() if value is None else value, dtype)
