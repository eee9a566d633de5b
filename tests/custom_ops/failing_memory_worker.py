"""Let the delegate's allocations of one inference fail in turn.

    python failing_memory_worker.py FOLDER LIBRARY OPTIONS MOST BATCH

FOLDER holds model.tflite; OPTIONS are the delegate's, as JSON. count_allocations.c is preloaded,
and for OpenCL failing_opencl.c wraps the real library. The n-th allocation of a load, an
inference, a resize to BATCH and another inference fails, n = 1 .. MOST or as many as there are.
Prints a JSON object:

    calls     allocations that failed
    right     how many of these runs gave right outputs nevertheless
    errors    what LiteRT raised in the others
    leaks     numbers n after which memory of the delegate was left
    objects   OpenCL objects that were left at the end
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate
from counted_library import count_allocations_of, counter


def infer(model: bytes, library: str, options: dict[str, str], resized: int) -> list[np.ndarray]:
    delegate = load_delegate(library, options)
    interpreter = Interpreter(model_content=model, experimental_delegates=[delegate])
    (entry,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()
    rng, found = np.random.default_rng(0), []
    for batch in (1, resized):
        shape = (batch, *entry["shape"][1:])
        interpreter.resize_tensor_input(entry["index"], shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], rng.integers(-128, 128, shape).astype(np.int8))
        interpreter.invoke()
        found.append(interpreter.get_tensor(leaving["index"]))
    return found


def main() -> None:
    folder, library = Path(sys.argv[1]), sys.argv[2]
    options, most, resized = json.loads(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    model = (folder / "model.tflite").read_bytes()
    count_allocations_of(library)
    fail_at, calls, live = counter("fail_at"), counter("calls"), counter("live")
    expected = infer(model, library, options, resized)
    right, errors, leaks, number = 0, [], [], 0
    while number < most:
        calls.value, fail_at.value = 0, number + 1
        try:
            found = infer(model, library, options, resized)
            right += all(map(np.array_equal, found, expected))
        except (RuntimeError, ValueError) as error:
            errors.append(" ".join(str(error).split()))
        fail_at.value = 0
        if calls.value <= number:
            right -= 1
            break
        number += 1
        gc.collect()
        if live.value:
            leaks.append(number)
    objects = 0
    if options["backend"] == "opencl":
        shim = ctypes.CDLL("libOpenCL.so.1")
        objects = ctypes.c_int.in_dll(shim, "failing_opencl_live").value
    result = {"calls": number, "right": right, "errors": errors, "leaks": leaks}
    print(json.dumps({**result, "objects": objects}))


if __name__ == "__main__":
    main()
