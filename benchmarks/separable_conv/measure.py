"""SEPARABLE_CONV_2D on every emulated core against CMSIS-NN: results.json beside this file.

    python benchmarks/separable_conv/measure.py [--report-only]

Writes the table of README.md, too; with --report-only nothing else.

Two convolutions of real models, whole and separated: 5x5 20->50 on 12x12 without padding, with 10
channels between the stages (LeNet-5), and 3x3 64->64 on 8x8 with 32. Dense figures are those
measured for `converters/cost/data/dense_conv_cmsis_nn.json`: the whole convolution, and the pair of
CONV_2D that the separated one would be. Takes half a minute.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from tflm_sparsesep.converters.blob.pack_separable import order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_images,
    random_separable,
)

RESULTS = Path(__file__).with_name("results.json")
PAGE = RESULTS.with_name("README.md")
VALID = (Padding.VALID, Padding.VALID)
LAYERS = {
    "5x5 20->50 on 12x12, 10 between": SeparableShape(12, 12, (20, 10, 50), (5, 5), padding=VALID),
    "3x3 64->64 on 8x8, 32 between": SeparableShape(8, 8, (64, 32, 64), (3, 3)),
}


def measure(target: str, name: str, shape: SeparableShape) -> dict[str, Any]:
    """One row: instructions, scratch and flash."""
    rng = np.random.default_rng(0)
    conv, images = random_separable(rng, shape), random_images(rng, shape)
    output_shape = conv.output_shape(images.shape)
    blob = pack(conv, order_for(conv, target))
    run = emulation.run_layer(target, SEPARABLE_CONV_2D, b"", blob, images[None], output_shape)
    weights_shape = (shape.channels[2], *shape.kernel, shape.channels[0])
    whole = _dense_instructions(target, shape.input_shape, weights_shape)
    between = (1, output_shape[1], shape.width, shape.channels[1])
    down = (shape.channels[1], shape.kernel[0], 1, shape.channels[0])
    right = (shape.channels[2], 1, shape.kernel[1], shape.channels[1])
    pair = _dense_instructions(target, shape.input_shape, down)
    pair += _dense_instructions(target, between, right)
    return {
        "layer": name,
        "target": target,
        "kernel": run.kernel,
        "instructions": run.instructions[0],
        "dense_whole": whole,
        "dense_pair": pair,
        "speedup_over_whole": round(whole / run.instructions[0], 2),
        "speedup_over_pair": round(pair / run.instructions[0], 2),
        "scratch_bytes": run.scratch_bytes,
        "persistent_bytes": run.persistent_bytes,
        "blob_bytes": len(blob),
        "kernel_code_bytes": run.kernel_code_bytes,
        "flags": run.flags,
    }


def _dense_instructions(
    target: str, input_shape: tuple[int, ...], weights_shape: tuple[int, ...]
) -> int:
    """Return the measured instructions of a CONV_2D of stride 1, whatever its padding.

    weights_shape: [units, height, width, channels].
    """
    data = load("dense_conv_cmsis_nn.json")
    units, *kernel, channels = weights_shape
    wanted = [*input_shape[1:3], channels, units, *kernel, 1, 1]
    shapes = [fields[:-1] for fields in data["shapes"]]
    return int(data["targets"][target][shapes.index(wanted)])


def table(rows: list[dict[str, Any]]) -> str:
    """README.md's table."""
    lines = [
        "| layer | core | kernel | instructions | whole | pair | scratch |",
        "|---|---|---|---|---|---|---|",
    ]
    lines.extend(
        f"| {row['layer']} | {row['target']} | {row['kernel']} | {row['instructions']:,} "
        f"| {row['speedup_over_whole']:.2f}x | {row['speedup_over_pair']:.2f}x "
        f"| {row['scratch_bytes']:,} |"
        for row in rows
    )
    return "\n".join(lines)


def write_table() -> None:
    """Puts the table of results.json into README.md."""
    rows = json.loads(RESULTS.read_text())["rows"]
    text = PAGE.read_text()
    PAGE.write_text(
        re.sub(r"(?<=<!-- rows -->\n).*?(?=\n<!-- end -->)", table(rows), text, flags=re.DOTALL)
    )


def main() -> None:
    if "--report-only" not in sys.argv[1:]:
        write_results()
    write_table()


def write_results() -> None:
    """Measures every layer on every core."""
    devices = [name for name in TARGETS if TARGETS[name].qemu_machine]
    jobs = [(target, name) for name in LAYERS for target in devices]
    rows = [measure(target, name, LAYERS[name]) for target, name in track(jobs)]
    tools = toolchain.find_tools()
    document = {
        "command": "python benchmarks/separable_conv/measure.py",
        "compiler": f"arm-none-eabi-gcc {tools['arm-none-eabi-gcc'].version}",
        "emulator": f"qemu-system-arm {tools['qemu-system-arm'].version}",
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    for row in rows:
        print(
            f"{row['layer']} {row['target']:11} {row['instructions']:>9,} instructions: "
            f"{row['speedup_over_whole']:5.2f}x whole, {row['speedup_over_pair']:.2f}x pair, "
            f"scratch {row['scratch_bytes']:,}"
        )


if __name__ == "__main__":
    main()
