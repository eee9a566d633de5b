"""Count what many interpreters leave behind, first in parallel, then one after the other.

    python interpreter_leak_worker.py FOLDER LIBRARY OPTIONS CYCLES

FOLDER holds model.tflite and in.npy; OPTIONS are the delegate's, as JSON. count_allocations.c is
preloaded; for OpenCL failing_opencl.c wraps the real library. Prints a JSON object:

    blocks    memory blocks that the delegate allocated and did not free
    objects   OpenCL objects that were not released
    threads, files    growth since the first interpreter
    grown_kb  growth of the whole process, drivers included, since a fifth of the cycles
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate
from counted_library import count_allocations_of, counter

TOGETHER = 24


class Lives:
    """Create interpreters of one model and compare their outputs with the first one's."""

    def __init__(self, folder: Path, library: str, options: dict[str, str]) -> None:
        self.model, self.inputs = (folder / "model.tflite").read_bytes(), np.load(folder / "in.npy")
        self.library, self.options = library, options
        self.expected = self.outputs(self.make())

    def make(self) -> Interpreter:
        delegate = load_delegate(self.library, self.options)
        interpreter = Interpreter(model_content=self.model, experimental_delegates=[delegate])
        interpreter.allocate_tensors()
        return interpreter

    def outputs(self, interpreter: Interpreter) -> np.ndarray:
        (entry,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()
        found = []
        for x in self.inputs:
            interpreter.set_tensor(entry["index"], x)
            interpreter.invoke()
            found.append(interpreter.get_tensor(leaving["index"]))
        return np.stack(found)

    def live(self) -> None:
        assert np.array_equal(self.outputs(self.make()), self.expected)

    def live_together(self) -> None:
        interpreters = [self.make() for _ in range(TOGETHER)]
        right = [False] * TOGETHER

        def work(i: int) -> None:
            right[i] = all(
                np.array_equal(self.outputs(interpreters[i]), self.expected) for _ in range(5)
            )

        threads = [threading.Thread(target=work, args=(i,)) for i in range(TOGETHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(right)


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def entries(name: str) -> int:
    """Number of entries in a folder of this process, such as its threads or its open files."""
    return sum(1 for _ in Path("/proc/self", name).iterdir())


def main() -> None:
    folder, library = Path(sys.argv[1]), sys.argv[2]
    options, cycles = json.loads(sys.argv[3]), int(sys.argv[4])
    count_allocations_of(library)
    blocks = counter("live")
    lives = Lives(folder, library, options)
    assert blocks.value >= 0
    held = lives.make()
    assert blocks.value > 0, "the delegate's allocations are not seen"
    del held
    lives.live_together()
    gc.collect()
    threads, files = entries("task"), entries("fd")
    for cycle in range(cycles):
        lives.live()
        if cycle == cycles // 5:
            resident = resident_kb()
    gc.collect()
    objects = 0
    if options["backend"] == "opencl":
        shim = ctypes.CDLL("libOpenCL.so.1")
        objects = ctypes.c_int.in_dll(shim, "failing_opencl_live").value
        assert ctypes.c_int.in_dll(shim, "failing_opencl_calls").value > cycles
    result = {
        "blocks": blocks.value,
        "objects": objects,
        "threads": entries("task") - threads,
        "files": entries("fd") - files,
        "grown_kb": resident_kb() - resident,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
