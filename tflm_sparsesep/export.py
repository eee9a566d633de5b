"""`export`: a model as a library for the build system of a firmware."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_sparsesep.exporting import folder
from tflm_sparsesep.exporting.device_model import DeviceModel, library_name, prepare
from tflm_sparsesep.exporting.formats import get_format
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.runtime.representative_dataset import Samples


@dataclass(frozen=True)
class ExportResult:
    """A library that was written.

    Attributes:
        folder: where it is.
        files: their paths below it.
        name: of the library and of its C++ namespace.
        arena_bytes: the arena that it reserves, margin included.
        operators: the C++ calls that register the model's operators.
        variants: the fully-connected kernels that are linked.
    """

    folder: Path
    files: list[str]
    name: str
    arena_bytes: int
    operators: list[str]
    variants: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**vars(self), "folder": str(self.folder)}


def export(
    model: Any,
    output: Path | str,
    *,
    format: str,
    target: str = "cortex-m4",
    data: Samples | None = None,
    name: str | None = None,
) -> ExportResult:
    """Write a model as a library: its bytes, its operators, the kernels that it needs, an example.

        ts.export(result.tflite, "lib", format="cmake", target="cortex-m4", name="lenet")

    The example runs one inference on a sample and compares the outputs with TFLM's on this machine.

    Args:
        model: the bytes or the path of a .tflite file.
        output: the folder to write. A new one, an empty one, or an export that nobody edited,
            which is replaced.
        format: the build system, a name of `exporting.formats.FORMATS`.
        target: the core, a name of `targets.TARGETS`.
        data: samples as for `run`; the first one goes into the example. Random values by default.
        name: of the library and its C++ namespace; by default that of the file.

    Raises:
        ModelError: the model is not usable, or TFLM lacks one of its operators.
        ConfigError: an argument is not accepted, or the folder is not empty.
        ToolMissingError: TFLM's interpreter is not installed.
        DeviceError: TFLM refuses the model.
    """
    layout = get_format(format)
    path = Path(output)
    folder.check_replaceable(path)
    given = ModelInput.of(model)
    library = library_name(name, given.name)
    prepared = prepare(
        given.to_tflite(), target=target, library=library, sample=data, model_name=given.name
    )
    files = layout(prepared)
    folder.write_folder(path, files, _about(prepared, format))
    return ExportResult(
        folder=path,
        files=sorted(files),
        name=library,
        arena_bytes=prepared.arena.total,
        operators=prepared.calls,
        variants=prepared.variants,
    )


def _about(model: DeviceModel, format: str) -> dict[str, Any]:
    return {
        "tflm_sparsesep": importlib.metadata.version("tflm-sparsesep"),
        "format": format,
        "target": model.target.name,
        "name": model.name,
        "model_sha256": hashlib.sha256(model.tflite).hexdigest(),
        "arena_bytes": model.arena.total,
        "operators": model.calls,
        "variants": model.variants,
    }
