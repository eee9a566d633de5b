"""The C++ files of one model: its bytes, its resolver, its sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.exporting.c_text import C_TYPES, bytes_text, values_text
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.templates import fill

OPERATORS_HEADER = "sparsesep/custom_ops/tflm/sparsesep_ops.h"


def model_files(model: DeviceModel) -> dict[str, str]:
    """Return the text of the files in the model's folder, by name.

    Raises:
        ModelError: a tensor of the sample has elements that C++ has no type for.
    """
    names = {"name": model.name, "guard": f"{model.name.upper()}"}
    return {
        "model.h": fill(
            "model.h.in",
            **names,
            bytes=len(model.tflite),
            measured=f"{model.arena.measured:,}",
            margin=f"{model.arena.margin:,}",
            arena=model.arena.total,
        ),
        "model.cc": fill("model.cc.in", **names, values=bytes_text(model.tflite)),
        "operators.h": fill(
            "operators.h.in",
            **names,
            include=f'#include "../{OPERATORS_HEADER}"\n' if model.uses_our_operators else "",
            count=len(model.calls),
            calls="\n".join(
                f"  if ({call} != kTfLiteOk) return kTfLiteError;" for call in model.calls
            ),
        ),
        "sample.h": fill("sample.h.in", **names, inputs=len(model.inputs)),
        "sample.cc": fill(
            "sample.cc.in",
            **names,
            arrays=_arrays("kInput", model.inputs) + _arrays("kOutput", model.outputs),
            inputs=_table("kInput", len(model.inputs)),
            outputs=_table("kOutput", len(model.outputs)),
        ),
    }


def element_type(array: npt.NDArray[Any]) -> str:
    """Return the C++ type of an array's elements. Raises ModelError if there is none."""
    if array.dtype.name not in C_TYPES:
        raise ModelError(f"a tensor is {array.dtype.name}; accepted: {', '.join(C_TYPES)}")
    return C_TYPES[array.dtype.name]


def _arrays(prefix: str, arrays: Sequence[npt.NDArray[Any]]) -> str:
    return "".join(
        f"alignas(16) const {element_type(array)} {prefix}{number}[] = {{\n"
        f"{values_text(array)},\n}};\n\n"
        for number, array in enumerate(map(np.atleast_1d, arrays))
    )


def _table(prefix: str, count: int) -> str:
    return "\n".join(f"    {{{prefix}{n}, sizeof({prefix}{n})}}," for n in range(count))
