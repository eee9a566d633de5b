"""What paging costs and saves: results.json beside this file, and the table of docs/paging.md.

    python benchmarks/paging/measure.py [--report-only]

A layer 784 -> 300 (LeNet-300-100's first) and a 3x3 convolution 64->64 on 8x8, both with 90% zeros,
unstructured and in 4x4 blocks, in pages of several sizes. A memcpy stands for the fetch: its
instructions are counted, those of a driver would come on top. With --report-only writes the table
alone. Takes a minute or two.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import Table
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.layer_job import ExternalFlash
from tflm_sparsesep.device.synthetic_layers import random_case

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs/paging.md"
ZEROS = 0.9
FULLY_CONNECTED, CONVOLUTION = "784 -> 300", "3x3 64->64"
JOBS = [
    (layer, target, pattern, page_bytes)
    for layer, sizes in ((FULLY_CONNECTED, (2048, 4096, 8192)), (CONVOLUTION, (1024, 2048)))
    for target in ("cortex-m0", "cortex-m4", "cortex-m55")
    for pattern in ("1x1", "4x4")
    for page_bytes in sizes
]


@dataclass(frozen=True)
class Layer:
    """A layer: what stands before its weights, these, and two inputs."""

    op_name: str
    options: bytes
    head: bytes
    weights: bytes
    input_zero_point: int
    inputs: npt.NDArray[np.int8]
    output_shape: tuple[int, ...]


def layer_of(name: str, layout: Layout) -> Layer:
    """A random layer of JOBS."""
    rng, block = np.random.default_rng(0), (layout.block_rows, layout.block_cols)
    shape: tuple[int, ...]
    if name == FULLY_CONNECTED:
        case = random_case(rng, 300, 784, zeros=ZEROS, batch=2, block=block)
        head, inputs, shape = b"", case.inputs[:, None], (1, 300)
        op_name, options = SPARSE_FULLY_CONNECTED, case.options.to_bytes()
    else:
        window = ConvWindow((3, 3), 64)
        case = random_case(rng, 64, window.cols, zeros=ZEROS, block=block)
        inputs = rng.integers(-128, 128, (2, 1, 8, 8, 64)).astype(np.int8)
        blob = pack_conv(window, case.options, case.layer, layout)
        head, shape = blob[: HEADER.itemsize], (1, 8, 8, 64)
        op_name, options = SPARSE_CONV_2D, b""
    zero_point = case.options.input_zero_point
    return Layer(op_name, options, head, pack(case.layer, layout), zero_point, inputs, shape)


def measure(name: str, target: str, pattern: str, page_bytes: int) -> dict[str, Any]:
    """One row: memory, and the instructions of the second of two inferences."""
    index = IndexEncoding.WINDOW8 if target == "cortex-m55" else IndexEncoding.DELTA8
    layout = next(
        x
        for x in layouts_for(target)
        if (x.pattern, x.index_encoding, x.major) == (pattern, index, Major.ROW)
    )
    layer = layer_of(name, layout)
    table, image = page_weights(
        layer.weights, page_bytes=page_bytes, input_zero_point=layer.input_zero_point
    )

    def run(weights: bytes, flash: ExternalFlash | None) -> emulation.LayerRun:
        blob = layer.head + weights
        arguments = (layer.op_name, layer.options, blob, layer.inputs, layer.output_shape)
        return emulation.run_layer(target, *arguments, flash=flash)

    unpaged = run(layer.weights, None)
    checked = run(table, ExternalFlash(image))
    trusted = run(table, ExternalFlash(image, is_trusted=True))
    overlapping = run(table, ExternalFlash(image, overlaps=True))
    for other in (checked, trusted, overlapping):
        np.testing.assert_array_equal(other.outputs, unpaged.outputs)
    return {
        "layer": name,
        "target": target,
        "layout": str(layout),
        "page_bytes": page_bytes,
        "pages": len(Table.from_bytes(table).pages),
        "blob_bytes": len(layer.weights),
        "external_bytes": len(image),
        "table_bytes": len(table),
        "unpaged_scratch_bytes": unpaged.scratch_bytes,
        "scratch_bytes": checked.scratch_bytes,
        "overlapping_scratch_bytes": overlapping.scratch_bytes,
        "unpaged_instructions": unpaged.instructions[1],
        "trusted_instructions": trusted.instructions[1],
        "checked_instructions": checked.instructions[1],
        "paging_code_bytes": checked.code_bytes - unpaged.code_bytes,
        "flags": checked.flags,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The page's table."""
    lines = [
        "| layer | core, layout | page | RAM: whole blob | page | two pages "
        "| instructions: in the model | pages, trusted | pages |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines.extend(
        f"| {row['layer']} | {row['target']} {row['layout']} | {row['page_bytes']:,} "
        f"| {row['blob_bytes'] + row['unpaged_scratch_bytes']:,} | {row['scratch_bytes']:,} "
        f"| {row['overlapping_scratch_bytes']:,} | {row['unpaged_instructions']:,} "
        f"| {row['trusted_instructions']:,} | {row['checked_instructions']:,} |"
        for row in rows
    )
    return "\n".join(lines)


def write_table() -> None:
    """Puts the table of results.json into the page."""
    rows = json.loads(RESULTS.read_text())["rows"]
    PAGE.write_text(
        re.sub(
            r"(?<=<!-- rows -->\n).*?(?=\n<!-- end -->)",
            table(rows),
            PAGE.read_text(),
            flags=re.DOTALL,
        )
    )


def write_results() -> None:
    """Measures every row."""
    tools = toolchain.find_tools()
    document = {
        "command": "python benchmarks/paging/measure.py",
        "compiler": f"arm-none-eabi-gcc {tools['arm-none-eabi-gcc'].version}",
        "emulator": f"qemu-system-arm {tools['qemu-system-arm'].version}",
        "rows": [measure(*job) for job in track(JOBS)],
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    if "--report-only" not in sys.argv[1:]:
        write_results()
    write_table()
