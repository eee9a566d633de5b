"""The real TFLM interpreter (the `tflite-micro` wheel) with this project's operators."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.paged_format import is_table
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, TensorType

INSTALL = 'pip install "tflm-sparsesep[tflm]"'
_LIBRARY = "libsparsesep_tflm_wheel.so"
_REGISTERER = "SparseSepRegisterer"
_MAX_ARENA_BYTES = (1 << 31) - 1
# Structs, quantization parameters and the copies that kernels keep of them.
_BYTES_PER_TENSOR, _BYTES_PER_CHANNEL, _BYTES_PER_OPERATOR = 256, 64, 4096
# At this scale of its int8 input and below, TFLM's SOFTMAX ends the process.
_SOFTMAX_SCALE_LIMIT = 2.0**-26
_ARENA_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_STDERR_LOCK = threading.Lock()


class TflmInterpreter:
    """One model in TFLM.

    interpreter = TflmInterpreter(data, editor.read(data))
    (output,) = interpreter.invoke([np.zeros((1, 640), np.int8)])

    Args:
        data: the bytes of a .tflite file. TFLM trusts them: check them with `editor.read`.
        model: the same, read.
        preserve_all_tensors: keep every activation readable (`tensor`); costs arena.
        external: the image of the external memory that holds the weights of a paged model.

    Raises:
        ConfigError: a paged model without `external`.
        ToolMissingError: the wheel is not installed or cannot be loaded.
        DeviceError: TFLM refuses the model, and the message holds what TFLM printed; or the model
            would end the process.
    """

    def __init__(
        self,
        data: bytes,
        model: Model,
        *,
        preserve_all_tensors: bool = False,
        external: bytes | None = None,
    ) -> None:
        """Load a model; arguments and errors are those of the class."""
        self._runtime = _import_runtime()
        _refuse_what_ends_the_process(model)
        if external is None and is_paged(model):
            raise ConfigError(
                f"{model.name}: its weights are pages in an external memory; accepted: its image, "
                "external=result.external"
            )
        self._name = model.name
        self._outputs = len(model.subgraphs[0].outputs)
        self._preserved = preserve_all_tensors
        image, registerers = None, []
        if any(op.custom_code in op_names.ALL for op in model.operators):
            registerers = [_REGISTERER]
            operators = _load_operators()
            if external is not None:
                self._external = external  # the image is read in place
                image = operators.SparseSepOpenImage(external, len(external))
                weakref.finalize(self, operators.SparseSepCloseImage, image)
        arena_bytes = ample_arena_bytes(model) + len(external or b"")
        try:
            self._interpreter = self._create(data, registerers, arena_bytes, image)
        except DeviceError as error:
            if "op code CUSTOM" not in str(error):  # TFLM does not say which
                raise
            custom = sorted({op.op_name for op in model.operators if op.custom_code is not None})
            raise DeviceError(f"{error} (the model's are {', '.join(custom)})") from None

    @property
    def arena_bytes(self) -> int | None:
        """Arena that the model uses in this 64-bit process; None with preserved tensors.

        A Cortex-M needs less: its pointers and sizes are 4 bytes.
        """
        if self._preserved:
            return None
        with capture_stderr() as lines:
            self._interpreter.print_allocations()
        found = _ARENA_TOTAL.search("\n".join(lines))
        return int(found.group(1)) if found else None

    def invoke(self, inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run one inference.

        Variables of the model keep their values from one call to the next.

        Args:
            inputs: one array per model input, shape and dtype as in the file.

        Returns:
            One array per model output, shape and dtype as in the file.

        Raises:
            DeviceError: TFLM fails.
        """
        with self._errors():
            for index, array in enumerate(inputs):
                self._interpreter.set_input(array, index)
            status = self._interpreter.invoke()
            if status != 0:
                raise RuntimeError(f"invoke gave status {status}")
            return [np.asarray(self._interpreter.get_output(i)) for i in range(self._outputs)]

    def tensor(self, index: int) -> npt.NDArray[Any]:
        """Return tensor `index` of the first subgraph after `invoke`; needs preserved tensors."""
        with self._errors():
            return np.asarray(self._interpreter.GetTensor(index, 0)["tensor_data"])

    def _create(
        self, data: bytes, registerers: list[str], arena_bytes: int, image: int | None
    ) -> Any:
        configs = self._runtime.InterpreterConfig
        config = configs.kPreserveAllTensors if self._preserved else configs.kAllocationRecording
        with self._errors(), _selected(image):
            return self._runtime.Interpreter.from_bytes(
                data,
                custom_op_registerers=registerers,
                arena_size=arena_bytes,
                intrepreter_config=config,
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the wheel's exceptions into DeviceError, with what TFLM printed."""
        lines: list[str] = []
        try:
            with capture_stderr() as lines:
                yield
            sys.stderr.writelines(f"{line}\n" for line in lines)
        except (RuntimeError, ValueError, IndexError) as error:
            reasons = [line.strip() for line in lines if line.strip()][-3:] or [str(error)]
            raise DeviceError(f"{self._name}: TFLM: {'; '.join(reasons)}") from None


def ample_arena_bytes(model: Model) -> int:
    """Return an arena size that always suffices: TFLM can crash on one that is slightly short.

    No tensors share memory, and kernels get scratch for a 64-bit accumulator per activation and
    for a copy of each constant. TFLM never touches what it does not use, so it costs no memory.

    Raises:
        DeviceError: the model needs more than TFLM's 32-bit sizes count.
    """
    total = 1 << 20
    for subgraph in model.subgraphs:
        total += _BYTES_PER_OPERATOR * len(subgraph.operators)
        for tensor in subgraph.tensors:
            channels = 0 if tensor.quantization is None else len(tensor.quantization.scales)
            total += _BYTES_PER_TENSOR + _BYTES_PER_CHANNEL * channels
            data = tensor_types.byte_size(tensor.type, tensor.shape) or 0
            total += data * (1 if tensor.is_constant else 1 + 8)
    if total > _MAX_ARENA_BYTES:
        raise DeviceError(
            f"{model.name}: an arena of up to {total} bytes, TFLM is given at most "
            f"{_MAX_ARENA_BYTES}"
        )
    return total


def _refuse_what_ends_the_process(model: Model) -> None:
    for op in model.operators:
        logits = op.inputs[0] if op.builtin_code == BuiltinOperator.SOFTMAX else None
        if logits is None or logits.type != TensorType.INT8 or logits.quantization is None:
            continue
        scale = float(logits.quantization.scales[0])
        if scale <= _SOFTMAX_SCALE_LIMIT:
            raise DeviceError(
                f"{model.name}: {logits.name!r}, the input of SOFTMAX, has the scale {scale:.2g}; "
                f"TFLM accepts more than {_SOFTMAX_SCALE_LIMIT:.2g} (were all samples 0 there?)"
            )


def is_paged(model: Model) -> bool:
    """Return whether a model reads weights from an external memory."""
    weights = [
        op.inputs[1].array
        for op in model.operators
        if op.op_name == op_names.SPARSE_FULLY_CONNECTED
        and len(op.inputs) > 1
        and op.inputs[1] is not None
    ]
    return any(array is not None and is_table(array.tobytes()) for array in weights)


def _import_runtime() -> Any:
    try:
        from tflite_micro import runtime
    except ModuleNotFoundError as error:
        if error.name != "tflite_micro":
            raise ToolMissingError(f"tflite-micro lacks {error.name}; {INSTALL}") from None
        raise ToolMissingError(f"the TFLM runtime is not installed; {INSTALL}") from None
    except ImportError as error:
        raise ToolMissingError(f"tflite-micro cannot be loaded: {error}; {INSTALL}") from None
    return runtime


@functools.cache
def _load_operators() -> ctypes.CDLL:
    """Make our registerer visible to the wheel, which looks it up by name."""
    path = native.library_path(_LIBRARY)
    try:
        library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ToolMissingError(f"{path} cannot be loaded: {error}; pip install .") from None
    library.SparseSepOpenImage.argtypes = [ctypes.c_char_p, ctypes.c_uint32]
    library.SparseSepOpenImage.restype = ctypes.c_void_p
    library.SparseSepSelectImage.argtypes = [ctypes.c_void_p]
    library.SparseSepCloseImage.argtypes = [ctypes.c_void_p]
    return library


@contextlib.contextmanager
def _selected(image: int | None) -> Iterator[None]:
    """Let interpreters that are made inside read their paged weights from `image`."""
    if image is None:
        yield
        return
    _load_operators().SparseSepSelectImage(image)
    try:
        yield
    finally:
        _load_operators().SparseSepSelectImage(None)


@contextlib.contextmanager
def capture_stderr() -> Iterator[list[str]]:
    """Capture the lines that the process, C code included, writes to file descriptor 2.

    The list is filled when the block ends. Only one thread at a time: the descriptor belongs to
    the process.
    """
    lines: list[str] = []
    with _STDERR_LOCK:
        try:
            saved = os.dup(2)
        except OSError:  # a process without stderr
            yield lines
            return
        spool = _spool(os.getpid())
        try:
            os.dup2(spool, 2)
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            lines.extend(_drain(spool).decode(errors="replace").splitlines())


@functools.cache
def _spool(pid: int) -> int:
    """Open an unnamed file, one per process: a new one per call would be slow."""
    del pid  # only the cache's key: forked processes must not share a file position
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _drain(spool: int) -> bytes:
    size = os.fstat(spool).st_size
    if size == 0:
        return b""
    data = os.pread(spool, size, 0)
    os.ftruncate(spool, 0)
    os.lseek(spool, 0, os.SEEK_SET)
    return data
