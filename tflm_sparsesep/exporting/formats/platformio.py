"""A PlatformIO library, with an example project for the Arduino framework."""

from __future__ import annotations

import json

from tflm_sparsesep.exporting import about
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.formats.arduino import ENTRY, INCLUDES, header
from tflm_sparsesep.exporting.library import library_files
from tflm_sparsesep.exporting.templates import fill


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    sentence = about.sentence(model.name, model.target.name)
    manifest = {
        "name": model.name,
        "version": about.version(),
        "description": sentence,
        "keywords": ["tensorflow", "machine learning", "sparse"],
        "homepage": about.URL,
        "authors": [{"name": about.AUTHOR}],
        "license": "Apache-2.0",
        "headers": f"{model.name}.h",
        "frameworks": "*",
        "platforms": "*",
        "build": {"flags": "-O2", "srcDir": "src", "includeDir": "src"},
    }
    values = {"name": model.name, "sentence": sentence}
    return {
        "library.json": json.dumps(manifest, indent=2) + "\n",
        "README.md": fill("platformio/README.md.in", **values),
        "examples/example/platformio.ini": fill("platformio/platformio.ini.in", **values),
        "examples/example/src/main.cpp": example_text(
            model, entry=ENTRY, includes=INCLUDES.format(name=model.name)
        ),
        **header(model),
        **library_files(model, "src"),
    }
