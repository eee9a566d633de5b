"""A Zephyr module, with a sample."""

from __future__ import annotations

from tflm_sparsesep.exporting import about
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.library import library_files
from tflm_sparsesep.exporting.templates import fill

_ENTRY = "int main(void) { return RunSample(); }"


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    values = {
        "name": model.name,
        "config": model.name.upper(),
        "sentence": about.sentence(model.name, model.target.name),
    }
    return {
        "zephyr/module.yml": fill("zephyr/module.yml.in", **values),
        "zephyr/CMakeLists.txt": fill("zephyr/module.cmake.in", **values),
        "zephyr/Kconfig": fill("zephyr/Kconfig.in", **values),
        "README.md": fill("zephyr/README.md.in", **values),
        "sample/CMakeLists.txt": fill("zephyr/sample.cmake.in", **values),
        "sample/prj.conf": fill("zephyr/prj.conf.in", **values),
        "sample/src/main.cc": example_text(model, entry=_ENTRY),
        **library_files(model, "src"),
    }
