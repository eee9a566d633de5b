"""An Arduino library: Arduino IDE, arduino-cli."""

from __future__ import annotations

from tflm_sparsesep.exporting import about
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.library import library_files
from tflm_sparsesep.exporting.templates import fill

# As its library.properties spells it.
TFLM_LIBRARY = "Chirale_TensorFLowLite"

INCLUDES = "#include <Arduino.h>\n#include <Chirale_TensorFlowLite.h>\n#include <{name}.h>\n\n"
ENTRY = """void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  RunSample();
}

void loop() {}"""


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    sketch = f"{model.name}_example"
    values = {
        "name": model.name,
        "sentence": about.sentence(model.name, model.target.name),
        "target": model.target.name,
        "tflm": TFLM_LIBRARY,
        "author": about.AUTHOR,
        "url": about.URL,
        "version": about.version(),
        "sketch": sketch,
    }
    return {
        "library.properties": fill("arduino/library.properties.in", **values),
        "README.md": fill("arduino/README.md.in", **values),
        f"examples/{sketch}/{sketch}.ino": example_text(
            model, entry=ENTRY, includes=INCLUDES.format(name=model.name)
        ),
        **header(model),
        **library_files(model, "src"),
    }


def header(model: DeviceModel) -> dict[str, str]:
    """Return the header whose inclusion makes the Arduino build use the library."""
    return {
        f"src/{model.name}.h": f"#pragma once\n\n"
        f'#include "{model.name}/model.h"\n'
        f'#include "{model.name}/operators.h"\n'
    }
