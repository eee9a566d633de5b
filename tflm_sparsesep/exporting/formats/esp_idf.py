"""An ESP-IDF component, with an example project."""

from __future__ import annotations

from tflm_sparsesep.exporting import about
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.library import library_files
from tflm_sparsesep.exporting.templates import fill

_ENTRY = 'extern "C" void app_main(void) { RunSample(); }'


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    values = {
        "name": model.name,
        "component": f"{model.name}_model",
        "sentence": about.sentence(model.name, model.target.name),
        "url": about.URL,
        "version": about.version(),
    }
    example = f"examples/{model.name}"
    return {
        "idf_component.yml": fill("esp_idf/idf_component.yml.in", **values),
        "CMakeLists.txt": fill("esp_idf/CMakeLists.txt.in", **values),
        "README.md": fill("esp_idf/README.md.in", **values),
        f"{example}/CMakeLists.txt": fill("esp_idf/example.cmake.in", **values),
        f"{example}/main/CMakeLists.txt": fill("esp_idf/main.cmake.in", **values),
        f"{example}/main/idf_component.yml": fill("esp_idf/main.yml.in", **values),
        f"{example}/main/main.cc": example_text(model, entry=_ENTRY),
        **library_files(model, "src"),
    }
