"""Instructions of dense float32 layers on emulated cores, which compressed ones are compared with.

The loops are in float_layers.c; where a core has no FPU, products are those of gcc's library.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.sources import source_dir

HERE = Path(__file__).parent
RUNNER = ("startup.c", "semihosting.c", "measured_call.c")
SECONDS = 600.0
# What g++ does by default, and TFLM is compiled by it: one instruction multiplies and adds.
CPP_FLAGS = ("-ffp-contract=fast",)

# Height, width and channels of the input, then of the kernels, and units.
Shape = tuple[int, int, int, int, int, int]


def shapes_of(tflite: bytes) -> list[Shape]:
    """Of all fully-connected layers and convolutions (VALID, stride 1) of a model."""
    operators = editor.read(tflite).subgraphs[0].operators
    codes = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)
    return [_shape(op) for op in operators if op.builtin_code in codes]


def _shape(op: Operator) -> Shape:
    weights = op.weights.shape
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        return (1, 1, weights[1], 1, 1, weights[0])
    _, height, width, channels = op.input(0).shape
    return (height, width, channels, weights[1], weights[2], weights[0])


def _row(shape: Shape) -> str:
    return f"{{{', '.join(map(str, shape))}}},\n"


def count(target: str, shapes: Sequence[Shape]) -> list[int]:
    """Executed instructions of each layer."""
    board = toolchain.board_of(get_target(target))
    root = source_dir()
    image = toolchain.build_image(
        toolchain.CoreSources(
            paths=[HERE / "float_layers.c"],
            include_dirs=(
                root / "kernels/include",
                root / "kernels",
                root / "custom_ops",
                toolchain.FIRMWARE_DIR,
            ),
            flags=(*toolchain.compile_flags(get_target(target), "-O2"), *CPP_FLAGS),
            generated={"float_layers.h": "".join(_row(shape) for shape in shapes)},
        ),
        runner_sources=[toolchain.FIRMWARE_DIR / name for name in RUNNER],
        board=board,
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        emulation._run_qemu(image, board, work, SECONDS, f"float layers on {target}")
        found = emulation._read_counts(work / "counts.txt", len(shapes), target)
    return [sum(region) for region in found]
