"""The example program of an export."""

from __future__ import annotations

from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.model_files import element_type
from tflm_sparsesep.exporting.templates import fill


def example_text(model: DeviceModel, *, entry: str, includes: str = "") -> str:
    """Return a program that runs one inference and prints its outputs.

    Args:
        model: what it runs.
        entry: the function that the platform calls, which calls `RunSample()`.
        includes: what `entry` needs.
    """
    checks = [
        f"  differing += Print<{element_type(array)}>({number}, *interpreter.output({number}));"
        for number, array in enumerate(model.outputs)
    ]
    return fill(
        "example.cc.in",
        name=model.name,
        includes=includes,
        entry=entry,
        checks="\n".join(checks),
    )
