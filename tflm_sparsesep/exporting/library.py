"""What all formats share: the sources of a model's library, in one folder."""

from __future__ import annotations

from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.model_files import model_files
from tflm_sparsesep.exporting.sources import device_sources

OPERATORS = "sparsesep"
"""The folder of this project's sources."""


def library_files(model: DeviceModel, folder: str) -> dict[str, str]:
    """Return the text of each source by path: the model's in `folder/name`, ours beside it.

    Sources include each other by relative paths; `folder` is the one include directory that users
    of the library need.
    """
    files = {f"{folder}/{model.name}/{name}": text for name, text in model_files(model).items()}
    if model.uses_our_operators:
        ours = device_sources(model.target, model.variants)
        files |= {f"{folder}/{OPERATORS}/{path}": text for path, text in ours.items()}
    return files
