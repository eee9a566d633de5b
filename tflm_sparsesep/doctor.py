"""Tools and runtimes that some commands need, and whether this machine has them."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.errors import ToolMissingError
from tflm_sparsesep.datasets import DEBIAN_FASHION_MNIST
from tflm_sparsesep.device import toolchain

# Distribution, extra that installs it, what it is for.
_PACKAGES = (
    ("tensorflow", "keras", "training and quantizing Keras models"),
    ("tflite-micro", "tflm", "the TFLM interpreter"),
    ("ai-edge-litert", None, "the LiteRT interpreter"),
    ("ai-edge-quantizer", "quantize", "quantizing float32 .tflite models"),
)
_DATASET_PACKAGE = "dataset-fashion-mnist"

_TOOL_PURPOSES = {
    "qemu-system-arm": "counting instructions on emulated cores",
    "arm-none-eabi-gcc": "compiling for Cortex-M",
    "cc": "building the instruction counter",
}


@dataclass(frozen=True)
class Finding:
    """One tool or runtime; if it is missing, `version` is None and `install` a command."""

    name: str
    purpose: str
    version: str | None
    install: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


def examine() -> list[Finding]:
    """Look for everything that a command may need."""
    return [_native(), *map(_package, _PACKAGES), *_tools(), _dataset()]


def table(findings: list[Finding]) -> Table:
    """Format the findings as a table."""
    view = Table(title="tflm-sparsesep doctor")
    for heading in ("what", "for", "version", "install with"):
        view.add_column(heading, overflow="fold")
    for finding in findings:
        version = Text(finding.version) if finding.version else Text("missing", style="red")
        # Text, because rich takes the brackets of an extra for markup.
        view.add_row(finding.name, finding.purpose, version, Text(finding.install or ""))
    return view


def _native() -> Finding:
    try:
        native.library_path("libsparsesep_host.so")
        version: str | None = importlib.metadata.version("tflm-sparsesep")
    except ToolMissingError:
        version = None
    return Finding(
        "native kernels",
        "packed weights and TFLM's custom ops on this machine",
        version,
        None if version else "pip install .",
    )


def _package(row: tuple[str, str | None, str]) -> Finding:
    name, extra, purpose = row
    try:
        return Finding(name, purpose, importlib.metadata.version(name), None)
    except importlib.metadata.PackageNotFoundError:
        line = f'pip install "tflm-sparsesep[{extra}]"' if extra else f"pip install {name}"
        return Finding(name, purpose, None, line)


def _tools() -> list[Finding]:
    return [
        Finding(
            name,
            _TOOL_PURPOSES[name],
            (tool.version or "found") if tool.path else None,
            None if tool.path else tool.install,
        )
        for name, tool in toolchain.find_tools().items()
    ]


def _dataset() -> Finding:
    present = DEBIAN_FASHION_MNIST.is_dir()
    return Finding(
        _DATASET_PACKAGE,
        "the demo's data",
        "installed" if present else None,
        None if present else f"sudo apt-get install -y {_DATASET_PACKAGE}",
    )
