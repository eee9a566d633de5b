"""A runtime in a process of its own: whatever a model does there, the caller's process goes on.

    python worker.py {tflm | litert}

Requests come on stdin, replies go to stdout, both pickled; what the runtime prints goes to stderr.
Imports nothing of this package, so that it starts in a fifth of a second.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import signal
import sys
from typing import Any, BinaryIO

import numpy as np

# LiteRT under its present name, its former one, and as a part of TensorFlow.
_LITERT_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


class _Tflm:
    """TFLM interpreters by number; each method answers one kind of request."""

    def __init__(self) -> None:
        self.living: dict[int, tuple[Any, Any]] = {}
        self.operators: ctypes.CDLL | None = None

    def create(
        self,
        key: int,
        data: bytes,
        library: str | None,
        registerers: list[str],
        arena_bytes: int,
        preserve: bool,
        external: bytes | None,
    ) -> None:
        """Load a model as interpreter `key`."""
        from tflite_micro import runtime

        configs = runtime.InterpreterConfig
        image = None
        if library is not None:
            image = self._open(library, external)
        with self._selected(image):
            interpreter = runtime.Interpreter.from_bytes(
                data,
                custom_op_registerers=registerers,
                arena_size=arena_bytes,
                intrepreter_config=(
                    configs.kPreserveAllTensors if preserve else configs.kAllocationRecording
                ),
            )
        self.living[key] = interpreter, (image, external)  # the image is read in place

    def invoke(self, key: int, inputs: list[Any], outputs: int) -> list[Any]:
        """Run one inference."""
        interpreter, _ = self.living[key]
        for index, array in enumerate(inputs):
            interpreter.set_input(array, index)
        status = interpreter.invoke()
        if status != 0:
            raise RuntimeError(f"invoke gave status {status}")
        return [np.asarray(interpreter.get_output(i)) for i in range(outputs)]

    def tensor(self, key: int, index: int) -> Any:
        """Return a tensor of the first subgraph."""
        return np.asarray(self.living[key][0].GetTensor(index, 0)["tensor_data"])

    def print_allocations(self, key: int) -> None:
        """Let TFLM print what the arena holds."""
        self.living[key][0].print_allocations()

    def close(self, keys: list[int]) -> None:
        """Free interpreters that nobody refers to any longer."""
        for key in keys:
            _, (image, _) = self.living.pop(key, (None, (None, None)))
            if image is not None and self.operators is not None:
                self.operators.SparseSepCloseImage(image)

    def _open(self, library: str, external: bytes | None) -> int | None:
        """Make the registerer visible to the wheel, which looks it up by name; open the image."""
        if self.operators is None:
            self.operators = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
            self.operators.SparseSepOpenImage.argtypes = [ctypes.c_char_p, ctypes.c_uint32]
            self.operators.SparseSepOpenImage.restype = ctypes.c_void_p
            self.operators.SparseSepSelectImage.argtypes = [ctypes.c_void_p]
            self.operators.SparseSepCloseImage.argtypes = [ctypes.c_void_p]
        if external is None:
            return None
        image: int | None = self.operators.SparseSepOpenImage(external, len(external))
        return image

    @contextlib.contextmanager
    def _selected(self, image: int | None) -> Any:
        """Let interpreters that are made inside read their paged weights from `image`."""
        if image is None or self.operators is None:
            yield
            return
        self.operators.SparseSepSelectImage(image)
        try:
            yield
        finally:
            self.operators.SparseSepSelectImage(None)


class _LiteRt:
    """LiteRT interpreters by number; each method answers one kind of request."""

    def __init__(self) -> None:
        self.living: dict[int, Any] = {}

    def create(
        self,
        key: int,
        data: bytes,
        resolver: str,
        preserve: bool,
        delegate: tuple[str, dict[str, str]] | None,
    ) -> None:
        """Load a model as interpreter `key`; `resolver` is a name of `OpResolverType`."""
        module = self._module()
        experimental = getattr(module, "experimental", module)
        resolvers = getattr(module, "OpResolverType", None) or experimental.OpResolverType
        delegates = []
        if delegate is not None:
            load = getattr(module, "load_delegate", None) or experimental.load_delegate
            delegates = [load(*delegate)]
        interpreter = module.Interpreter(
            model_content=data,
            experimental_op_resolver_type=getattr(resolvers, resolver),
            experimental_preserve_all_tensors=preserve,
            experimental_delegates=delegates,
        )
        interpreter.allocate_tensors()
        self.living[key] = interpreter

    def invoke(self, key: int, inputs: list[Any]) -> list[Any]:
        """Run one inference and return its outputs."""
        indices = [detail["index"] for detail in self.living[key].get_output_details()]
        return [values[0] for values in self.run(key, [[value] for value in inputs], indices)]

    def run(self, key: int, inputs: list[Any], tensors: list[int]) -> list[Any]:
        """Run inferences; return [inferences, *shape] for the tensors of these indices."""
        interpreter = self.living[key]
        entries = [detail["index"] for detail in interpreter.get_input_details()]
        rows = []
        for values in zip(*inputs, strict=True):
            for index, value in zip(entries, values, strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            rows.append([interpreter.get_tensor(index) for index in tensors])
        return [np.stack(column) for column in zip(*rows, strict=True)]

    def close(self, keys: list[int]) -> None:
        """Free interpreters that nobody refers to any longer."""
        for key in keys:
            self.living.pop(key, None)

    def _module(self) -> Any:
        """Return the module that has the class `Interpreter`."""
        for name in _LITERT_MODULES:
            try:
                return importlib.import_module(name)
            except ImportError:
                continue
        raise ImportError("the LiteRT runtime is not installed; pip install ai-edge-litert")


_RUNTIMES = {"tflm": _Tflm, "litert": _LiteRt}


def _serve(interpreters: Any, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests (method, arguments) with (True, result) or (False, (kind, reason))."""
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:  # the caller has ended
            return
        try:
            reply = True, getattr(interpreters, method)(*arguments)
        except Exception as error:  # the wheel raises whatever its parts raise
            kind = ImportError if isinstance(error, ImportError) else Exception
            reply = False, (kind, str(error) or type(error).__name__)
        pickle.dump(reply, replies, pickle.HIGHEST_PROTOCOL)
        replies.flush()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a runtime prints gets between the replies
    sys.path[:] = pickle.load(sys.stdin.buffer)
    _serve(_RUNTIMES[sys.argv[1]](), sys.stdin.buffer, replies)


if __name__ == "__main__":
    _main()
