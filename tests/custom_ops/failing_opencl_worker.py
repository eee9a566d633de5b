"""Make the OpenCL calls of one inference fail in turn.

    python failing_opencl_worker.py FOLDER LIBRARY SAMPLES

FOLDER holds model.tflite and in.npy. With SAMPLES 0 every call fails once, with a cache of
programs; otherwise this number of calls of a load that tunes, evenly spaced.

Prints a JSON object: `calls`, the number of failed calls; `right`, the number of runs that gave
right outputs nevertheless, on the CPU or without a cached program; `errors`, what LiteRT raised in
the others; `live`, the OpenCL objects left at the end.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate


def infer(
    model: bytes, inputs: np.ndarray, library: str, cache: Path, tune: str = "0"
) -> np.ndarray:
    options = {"backend": "opencl", "cache_dir": str(cache), "tune": tune}
    delegate = load_delegate(library, options)
    interpreter = Interpreter(model_content=model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found


def main() -> None:
    folder, library, samples = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    model, inputs = (folder / "model.tflite").read_bytes(), np.load(folder / "in.npy")
    opencl = ctypes.CDLL("libOpenCL.so.1")
    fail_at, calls, live = (
        ctypes.c_int.in_dll(opencl, f"failing_opencl_{name}") for name in ("at", "calls", "live")
    )

    def again(tune: str) -> np.ndarray:
        # Where it tunes, nothing is in the cache yet.
        if samples == 0:
            return infer(model, inputs, library, folder)
        with tempfile.TemporaryDirectory() as cache:
            return infer(model, inputs, library, Path(cache), tune)

    expected = again("1")
    total, errors, right = calls.value, [], 0
    numbers = range(1, total + 1, max(1, total // samples) if samples else 1)
    for number in numbers:
        calls.value, fail_at.value = 0, number
        try:
            right += int(np.array_equal(again("1"), expected))
        except RuntimeError as error:
            errors.append(" ".join(str(error).split()))
    fail_at.value = 0
    assert np.array_equal(again("0"), expected)
    gc.collect()
    result = {"calls": len(numbers), "right": right, "errors": errors, "live": live.value}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
