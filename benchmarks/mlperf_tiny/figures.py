"""What is measured of a converted network: accuracy, bytes, and instructions on four cores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "compression"))

from measure import arena_bytes, constant_bytes, percent

import tflm_sparsesep as ts
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.tflite import editor

TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
MAIN_TARGET = "cortex-m4"
# Test images on which a sparse file has to equal its dense one.
COMPARED = 1000

Images = npt.NDArray[Any]


def judge(
    int8: bytes, x_test: Images, y_test: npt.NDArray[np.int32], *, judged: int
) -> dict[str, Any]:
    """Return the columns of results.json that come from an int8 file.

    Args:
        int8: the dense file.
        x_test: test images as the file takes them.
        y_test: their classes.
        judged: the test images that are classified, the first ones.

    Raises:
        RuntimeError: a converted file gives other outputs than the dense one.
    """
    files = {target: ts.convert(int8, target=target).tflite for target in TARGETS}
    chosen = files[MAIN_TARGET]
    scores = outputs(chosen, x_test[:judged])
    compared = min(COMPARED, judged)
    if not np.array_equal(scores[:compared], outputs(int8, x_test[:compared])):
        raise RuntimeError(f"outputs on {compared} samples differ from those of the dense file")
    counted = {target: instructions(file, target, x_test[:1]) for target, file in files.items()}
    return {
        "accuracy": percent(float(np.mean(scores.argmax(axis=1) == y_test[:judged]))),
        "judged": len(scores),
        "file_bytes": len(chosen),
        "dense_file_bytes": len(int8),
        "weight_bytes": constant_bytes(chosen),
        "arena_bytes": arena_bytes(chosen),
        "instructions": counted,
        "dense_instructions": {target: dense_instructions(int8, target) for target in TARGETS},
        "sparse_layers": {t: len(ts.benchmark(f, target=t)) for t, f in files.items()},
    }


def outputs(tflite: bytes, images: Images) -> Images:
    """Return the scores in TFLM, [images, classes]."""
    (scores,) = ts.run(tflite, images, runtime="tflm", progress=False)
    return np.reshape(scores, (len(images), -1))


def instructions(tflite: bytes, target: str, images: Images) -> int:
    """Return the sum over operators: ours counted in QEMU, others by the fits to TFLM's counts.

    Raises:
        RuntimeError: the emulated core gives other outputs than TFLM.
    """
    counted = ts.benchmark(tflite, target=target, inputs=images)
    if not all(layer.bit_exact for layer in counted):
        raise RuntimeError(f"outputs on {target} differ from TFLM's")
    return sum(layer.sparse_instructions for layer in counted) + dense_instructions(tflite, target)


def dense_instructions(tflite: bytes, target: str) -> int:
    """Return the sum over all operators but ours."""
    return model_cost.instructions(editor.read(tflite), (), target)
