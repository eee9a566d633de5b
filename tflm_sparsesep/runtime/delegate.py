"""The LiteRT delegate: where it is, and how Python loads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError

_LIBRARY = "libsparsesep_delegate.so"


def delegate_path() -> Path:
    """Return the path of the external delegate that runs this project's operators in LiteRT.

        delegate = ai_edge_litert.interpreter.load_delegate(
            str(ts.delegate_path()), {"backend": "opencl"})
        Interpreter(model_path="model.tflite", experimental_delegates=[delegate])

    docs/mobile.md lists its options.

    Raises:
        ToolMissingError: the package was not built.
    """
    return native.library_path(_LIBRARY)


def load(module: Any, options: dict[str, str]) -> Any:
    """Load the delegate with options of docs/mobile.md; `module` is LiteRT's, with `load_delegate`.

    Raises:
        ConfigError: the delegate does not accept the options.
        ToolMissingError: the library is not built, or this LiteRT cannot load delegates.
    """
    loader = getattr(module, "load_delegate", None) or getattr(
        getattr(module, "experimental", None), "load_delegate", None
    )
    if loader is None:
        raise ToolMissingError(
            f"{module.__name__} cannot load delegates; pip install ai-edge-litert"
        )
    path = str(delegate_path())
    try:
        return loader(path, options)
    except OSError as error:
        raise ToolMissingError(f"the delegate cannot be loaded: {error}") from None
    except ValueError as error:
        # "Failed to load delegate from", its path, and on a line of its own the reason.
        raise ConfigError(f"delegate: {str(error).split(path)[-1].strip()}") from None


def refuse_opencl_beside_tensorflow() -> None:
    """Raise ConfigError beside TensorFlow: each brings its own LLVM, and some drivers crash."""
    if "tensorflow" in sys.modules:
        raise ConfigError(
            "runtime 'opencl' needs a process that has not imported tensorflow: "
            "OpenCL drivers such as pocl crash beside it"
        )
