"""The LiteRT delegate: where it is."""

from __future__ import annotations

from pathlib import Path

from tflm_sparsesep.converters import native

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
