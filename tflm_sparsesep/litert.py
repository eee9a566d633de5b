"""LiteRT 2: the delegate as a plug-in of `CompiledModel`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError
from tflm_sparsesep.device.build_cache import cache_dir
from tflm_sparsesep.runtime import files
from tflm_sparsesep.runtime.delegate import delegate_path

# The name under which LiteRT looks for an accelerator for GPUs.
_PLUGIN = "libLiteRtGpuAccelerator.so"


def litert_runtime_path(**options: str) -> Path:
    """Return a folder from which LiteRT 2 loads the delegate as its accelerator for GPUs.

    For `litert-benchmark --use_gpu --runtime_path=FOLDER`, and for programs in C++. It is in the
    user's cache directory; equal options give the same folder.

    Args:
        options: those of the delegate (docs/mobile.md), such as backend="opencl".

    Raises:
        ConfigError: an option is not accepted, or the folder cannot be written.
        ToolMissingError: the package was not built, or LiteRT is not installed.
    """
    _check_options(options)
    library = delegate_path().read_bytes()
    text = "".join(f"{name}={value}\n" for name, value in sorted(options.items())).encode()
    digest = hashlib.sha256(library + text).hexdigest()[:32]
    folder = cache_dir() / f"litert-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / _PLUGIN
    if not plugin.is_file() or plugin.read_bytes() != library:
        files.write_all([(plugin.with_name(f"{_PLUGIN}.options"), text), (plugin, library)])
        plugin.chmod(0o755)
    return folder


def _check_options(options: dict[str, str]) -> None:
    """Let the delegate say which options it does not accept, before LiteRT hides the reason."""
    try:
        from ai_edge_litert.interpreter import load_delegate
    except ImportError as error:
        raise ToolMissingError(f"LiteRT is missing ({error}): pip install ai-edge-litert") from None
    if options.get("backend") == "opencl":
        if "tensorflow" in sys.modules:
            raise ConfigError(
                "backend 'opencl' needs a process that has not imported tensorflow: OpenCL "
                "drivers such as pocl crash beside it"
            )
        options = options | {"backend": "cpu"}  # its options are read, no device is opened
    path = str(delegate_path())
    try:
        load_delegate(path, options)
    except OSError as error:
        raise ToolMissingError(f"the delegate cannot be loaded: {error}") from None
    except ValueError as error:
        # "Failed to load delegate from", its path, and on a line of its own the reason.
        raise ConfigError(f"delegate: {str(error).split(path)[-1].strip()}") from None


def litert_environment(**options: str) -> Any:
    """Return an environment of LiteRT 2 in which this delegate is the accelerator for GPUs.

        environment = ts.litert_environment(backend="opencl")
        model = CompiledModel.from_file(path, HardwareAccelerator.GPU, environment=environment)

    It takes the place of LiteRT's own GPU accelerator in that environment, not beside it.

    Args:
        options: those of the delegate (docs/mobile.md); the backend is "cpu" by default.

    Returns:
        An `ai_edge_litert.environment.Environment`.

    Raises:
        ConfigError: an option is not accepted, or the cache folder cannot be written.
        ToolMissingError: the package was not built, or there is no LiteRT 2 with environments.
    """
    try:
        from ai_edge_litert.environment import Environment
    except ImportError as error:
        raise ToolMissingError(
            f"LiteRT with environments is missing ({error}): pip install 'ai-edge-litert>=2.3'"
        ) from None
    return Environment.create(runtime_path=str(litert_runtime_path(**options)))
