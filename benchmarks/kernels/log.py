"""Code size and executed instructions of every kernel on every emulated core: log.json.

    make kernel-log

Run it after a change to kernels or the op core, and commit the result: the diff shows what each
kernel gained or lost. tests/benchmarks/test_kernel_log.py compares the log with the code.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))
from code_size import code_size

from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.kernel_bench import bench_kernels
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_images,
    random_separable,
)

LOG = Path(__file__).with_name("log.json")
DEVICES = tuple(name for name in TARGETS if TARGETS[name].qemu_machine)
BATCHES = (1, 8)
ROWS, COLS, ZEROS = 64, 128, 0.8
IMAGE, CHANNELS, KERNEL = (7, 6), (12, 6, 16), (3, 3)

Entry = dict[str, Any]


def measure(target: str) -> list[Entry]:
    """Return one entry per kernel of a core, and one for the parts that kernels share.

    Raises ToolMissingError without the Arm compiler and QEMU.
    """
    size = code_size(target)
    shared = {"operator_bytes": size.core, "shared_bytes": size.frames}
    return [
        {"target": target, "kernel": "SPARSE_FULLY_CONNECTED", **shared},
        *_fully_connected(target),
        *_separable(target),
    ]


def compiler() -> str:
    """Return name and version of the compiler, which the figures depend on."""
    return f"arm-none-eabi-gcc {toolchain.find_tools()['arm-none-eabi-gcc'].version}"


def _fully_connected(target: str) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for batch in BATCHES:
        for found in bench_kernels(target, rows=ROWS, cols=COLS, zeros=ZEROS, batch=batch):
            name = f"fully_connected_{found.variant}"
            entry = {"target": target, "kernel": name, "code_bytes": found.code_bytes}
            entries.setdefault(name, entry)[f"batch_{batch}"] = found.instructions
    return [entries[name] for name in sorted(entries)]


def _separable(target: str) -> list[Entry]:
    rng = np.random.default_rng(0)
    shapes = [SeparableShape(*IMAGE, CHANNELS, KERNEL, batch=batch) for batch in BATCHES]
    integer, real = random_separable(rng, shapes[0]), random_float_separable(rng, shapes[0])
    images = [random_images(rng, shape) for shape in shapes]
    floats = [image.astype(np.float32) for image in images]
    orders = sorted({Order.NATURAL, order_for(integer, target)})
    return [
        *(_separable_entry(target, integer, order, images) for order in orders),
        _separable_entry(target, real, Order.NATURAL, floats),
    ]


def _separable_entry(
    target: str, conv: SeparableConv, order: Order, inputs: list[npt.NDArray[Any]]
) -> Entry:
    entry: Entry = {"target": target}
    blob = pack(conv, order)
    jobs = [
        LayerJob(SEPARABLE_CONV_2D, b"", blob, images[None], conv.output_shape(images.shape))
        for images in inputs
    ]
    for batch, run in zip(BATCHES, emulation.run_layers(target, jobs), strict=True):
        entry["kernel"] = f"conv_separable_{run.kernel}"
        entry["code_bytes"] = run.kernel_code_bytes
        entry[f"batch_{batch}"] = run.instructions[0]
    return entry


def main() -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        entries = [entry for found in pool.map(measure, DEVICES) for entry in found]
    fully_connected = f"{COLS}->{ROWS}, {ZEROS:.0%} zeros"
    separable = f"{KERNEL[0]}x1 and 1x{KERNEL[1]} on {IMAGE[0]}x{IMAGE[1]}, channels {CHANNELS}"
    header = {
        "command": "make kernel-log",
        "compiler": compiler(),
        "flags": emulation.DEFAULT_OPTIMIZATION,
        "layers": {"fully_connected": fully_connected, "conv_separable": separable},
        "units": "bytes; executed instructions of one inference at batch 1 and batch 8",
    }
    # One kernel a line, so that a diff is readable.
    lines = ",\n".join(f"  {json.dumps(entry)}" for entry in entries)
    text = json.dumps(header, indent=1).removesuffix("\n}")
    LOG.write_text(f'{text},\n "entries": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
