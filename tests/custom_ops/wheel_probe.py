"""Runs models in whatever `tflite-micro` this Python has, and prints what came out as JSON.

    python wheel_probe.py libsparsesep_tflm_wheel.so FOLDER

FOLDER holds NAME.tflite with NAME.npy, its input. Printed is {NAME: [output, ...]} with one
output per pass, or {NAME: error}. Needs numpy and tflite-micro only, so that any wheel's own
virtual environment can run it; a crash stays in this process.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro import runtime

PASSES = 2


def main(library: str, folder: Path) -> None:
    ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    results: dict[str, Any] = {}
    interpreters = {}
    for path in sorted(folder.glob("*.tflite")):
        # The wheel's messages go to stderr without a name.
        print(f"== {path.stem}", file=sys.stderr, flush=True)
        try:
            interpreters[path.stem] = runtime.Interpreter.from_bytes(
                path.read_bytes(),
                custom_op_registerers=["SparseSepRegisterer"],
                arena_size=1 << 20,
            )
        except RuntimeError as error:
            results[path.stem] = str(error)
    # All interpreters live at once and take turns.
    for _ in range(PASSES):
        for name, interpreter in interpreters.items():
            interpreter.set_input(np.load(folder / f"{name}.npy"), 0)
            interpreter.invoke()
            results.setdefault(name, []).append(interpreter.get_output(0).tolist())
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
