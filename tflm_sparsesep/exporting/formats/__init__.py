"""The layouts that `export` writes: one module each, and one row of `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.formats import (
    arduino,
    cmake,
    cmsis_pack,
    esp_idf,
    platformio,
    zephyr,
)

Layout = Callable[[DeviceModel], dict[str, str]]
"""Returns the text of every file by its path."""

FORMATS: dict[str, Layout] = {
    "cmake": cmake.files,
    "arduino": arduino.files,
    "esp-idf": esp_idf.files,
    "zephyr": zephyr.files,
    "platformio": platformio.files,
    "cmsis-pack": cmsis_pack.files,
}


def get_format(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        ConfigError: no layout has that name; the message lists all names.
    """
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is unknown; accepted: {', '.join(FORMATS)}")
    return FORMATS[name]
