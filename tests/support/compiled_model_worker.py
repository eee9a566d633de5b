"""Runs a .tflite model in LiteRT 2's CompiledModel, in a process of its own.

    python compiled_model_worker.py MODEL INPUTS OUTPUTS OPTION=VALUE...

INPUTS and OUTPUTS are .npy files, samples along the first axis, of int8 models with one input and
one output. Prints whether the plug-in runs all operators.
"""

from __future__ import annotations

import sys

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator

import tflm_sparsesep as ts


def main() -> None:
    path, inputs, outputs, *options = sys.argv[1:]
    environment = ts.litert_environment(**dict(option.split("=", 1) for option in options))
    both = HardwareAccelerator.GPU | HardwareAccelerator.CPU
    model = CompiledModel.from_file(path, both, environment=environment)
    entries, exits = model.create_input_buffers(0), model.create_output_buffers(0)
    (details,) = model.get_output_tensor_details(model.get_signature_by_index(0)["key"]).values()
    elements = int(np.prod(details["shape"]))
    found = []
    for sample in np.load(inputs):
        entries[0].write(np.ascontiguousarray(sample[None]))
        model.run_by_index(0, entries, exits)
        found.append(exits[0].read(elements, np.int8))
    np.save(outputs, np.stack(found))
    print("fully accelerated:", model.is_fully_accelerated())


if __name__ == "__main__":
    main()
