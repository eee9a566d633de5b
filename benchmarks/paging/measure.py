"""What paging costs and saves: results.json beside this file, and the table of docs/paging.md.

    python benchmarks/paging/measure.py [--report-only]

One layer, 784 -> 300 with 90% zeros (LeNet-300-100's first), unstructured and in 4x4 blocks, in
pages of several sizes. A memcpy stands for the fetch: its instructions are counted, those of a
driver would come on top. With --report-only writes the table alone. Takes a minute or two.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from tflm_sparsesep.converters.blob.format import IndexEncoding, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import Table
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.emulation import ExternalFlash
from tflm_sparsesep.device.synthetic_layers import random_case

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs/paging.md"
ROWS, COLS, ZEROS = 300, 784, 0.9
JOBS = [
    (target, pattern, page_bytes)
    for target in ("cortex-m0", "cortex-m4", "cortex-m55")
    for pattern in ("1x1", "4x4")
    for page_bytes in (2048, 4096, 8192)
]


def measure(target: str, pattern: str, page_bytes: int) -> dict[str, Any]:
    """One row: memory, and the instructions of the second of two inferences."""
    index = IndexEncoding.WINDOW8 if target == "cortex-m55" else IndexEncoding.DELTA8
    layout = next(
        x
        for x in layouts_for(target)
        if (x.pattern, x.index_encoding, x.major) == (pattern, index, Major.ROW)
    )
    case = random_case(
        np.random.default_rng(0),
        ROWS,
        COLS,
        zeros=ZEROS,
        batch=2,
        block=(layout.block_rows, layout.block_cols),
    )
    blob = pack(case.layer, layout)
    table, image = page_weights(
        blob, page_bytes=page_bytes, input_zero_point=case.options.input_zero_point
    )
    options, inputs = case.options.to_bytes(), case.inputs[:, None]

    def run(weights: bytes, flash: ExternalFlash | None) -> emulation.LayerRun:
        return emulation.run_layer(
            target, SPARSE_FULLY_CONNECTED, options, weights, inputs, (1, ROWS), flash=flash
        )

    unpaged = run(blob, None)
    checked = run(table, ExternalFlash(image))
    trusted = run(table, ExternalFlash(image, is_trusted=True))
    overlapping = run(table, ExternalFlash(image, overlaps=True))
    for other in (checked, trusted, overlapping):
        np.testing.assert_array_equal(other.outputs, unpaged.outputs)
    return {
        "target": target,
        "layout": str(layout),
        "page_bytes": page_bytes,
        "pages": len(Table.from_bytes(table).pages),
        "blob_bytes": len(blob),
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
        "| core, layout | page | RAM: whole blob | page | two pages | instructions: in the model "
        "| pages, trusted | pages |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines.extend(
        f"| {row['target']} {row['layout']} | {row['page_bytes']:,} "
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
