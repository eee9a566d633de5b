"""Lets every OpenCL call of one inference fail in turn: argv[1] holds model.tflite and in.npy.

Prints a JSON object: `calls`, how many there are; `right`, how many of the runs gave right outputs
all the same, on the CPU or without a cached program; `errors`, what LiteRT raised in the others;
`live`, the OpenCL objects that were left at the end.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate


def infer(model: bytes, inputs: np.ndarray, library: str, cache: Path) -> np.ndarray:
    delegate = load_delegate(library, {"backend": "opencl", "cache_dir": str(cache)})
    interpreter = Interpreter(model_content=model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def main() -> None:
    folder, library = Path(sys.argv[1]), sys.argv[2]
    model, inputs = (folder / "model.tflite").read_bytes(), np.load(folder / "in.npy")
    opencl = ctypes.CDLL("libOpenCL.so.1")
    fail_at, calls, live = (
        ctypes.c_int.in_dll(opencl, f"failing_opencl_{name}") for name in ("at", "calls", "live")
    )
    expected = infer(model, inputs, library, folder)
    total, errors, right = calls.value, [], 0
    for number in range(1, total + 1):
        calls.value, fail_at.value = 0, number
        try:
            right += int(np.array_equal(infer(model, inputs, library, folder), expected))
        except RuntimeError as error:
            errors.append(" ".join(str(error).split()))
    fail_at.value = 0
    assert np.array_equal(infer(model, inputs, library, folder), expected)
    gc.collect()
    result = {"calls": total, "right": right, "errors": errors, "live": live.value}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
