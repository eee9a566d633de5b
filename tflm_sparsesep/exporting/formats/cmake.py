"""Bare-metal CMake: a project to build alone, or to add to another with add_subdirectory."""

from __future__ import annotations

from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.library import OPERATORS, library_files
from tflm_sparsesep.exporting.templates import fill
from tflm_sparsesep.sources import source_dir

_CONFIG = "cmake/tflm_sparsesep-config.cmake"
_MAIN = "int main() { return RunSample(); }"


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    found = library_files(model, "src")
    include, operators = "", "tflite-micro"
    if model.uses_our_operators:
        config = f"src/{OPERATORS}/{_CONFIG}"
        found[config] = (source_dir() / _CONFIG).read_text()
        include = f"include({config})\n"
        operators = "tflm_sparsesep::ops"
    values = {
        "name": model.name,
        "option": f"{model.name.upper()}_EXAMPLE",
        "include": include,
        "operators": operators,
        "target": model.target.name,
        "flags": " ".join(model.target.gcc_flags),
    }
    return {
        "CMakeLists.txt": fill("cmake/CMakeLists.txt.in", **values),
        "README.md": fill("cmake/README.md.in", **values),
        "cmake/tflite_micro.cmake": fill("cmake/tflite_micro.cmake.in"),
        "example/main.cc": example_text(model, entry=_MAIN),
        **found,
    }
