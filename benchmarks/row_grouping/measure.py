"""What an order of rows buys: blocks, bytes and executed instructions before and after.

    tflm-sparsesep demo
    python benchmarks/row_grouping/measure.py [--model build/demo/model_sparse.tflite]

writes results.json and the table of README.md. Takes some minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import can_pack, pack, read_header
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.inspect_model import packed_weights
from tflm_sparsesep.converters.passes.row_grouping import Order, group_rows
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
TABLE_START, TABLE_END = "<!-- table -->\n", "<!-- end of table -->\n"
TARGET = "cortex-m4"
ROWS, COLS = 300, 784
CLUSTER = 4

Weights = npt.NDArray[np.int8]
Row = dict[str, Any]


def random_weights(zeros: float) -> Weights:
    """Zeros anywhere."""
    return random_case(np.random.default_rng(0), ROWS, COLS, zeros=zeros).layer.weights


def clustered_weights() -> Weights:
    """90% zeros. Each four rows share 80% of the weights that they keep; then all are shuffled."""
    rng = np.random.default_rng(0)
    weights = random_case(rng, ROWS, COLS, zeros=0.0).layer.weights
    common = (rng.random((ROWS // CLUSTER, COLS)) < 0.08).repeat(CLUSTER, axis=0)
    own = rng.random((ROWS, COLS)) < 0.02 / 0.92
    return rng.permutation(weights * (common | own))


def trained_weights(model: Path) -> Iterator[tuple[str, Weights]]:
    """Sparse layers of the demo. Hidden units are shuffled, so that it does not matter if the
    converter has ordered them already."""
    rng = np.random.default_rng(0)
    operators = editor.read_file(model).subgraphs[0].operators
    packed = [op for op in operators if op.op_name == op_names.SPARSE_FULLY_CONNECTED]
    for i, op in enumerate(packed):
        weights = rng.permutation(packed_weights(op).weights)
        if i > 0:
            weights = rng.permutation(weights, axis=1)
        yield f"trained, layer {i + 1}", weights


def measure(name: str, weights: Weights) -> list[Row]:
    """One row for each layout of the target: as it is and, with blocks of rows, ordered."""
    rows, cols = weights.shape
    case = random_case(np.random.default_rng(1), rows, cols, zeros=0.9)
    case = dataclasses.replace(case, layer=dataclasses.replace(case.layer, weights=weights))
    found = []
    for layout in layouts_for(TARGET):
        if not can_pack(case.layer, layout):
            continue
        order = group_rows(weights, (layout.block_rows, layout.block_cols))
        before, outputs = _run(case, layout, np.arange(rows))
        after, ordered = _run(case, layout, order) if layout.block_rows > 1 else (None, None)
        if ordered is not None and not np.array_equal(ordered, outputs[order]):
            raise AssertionError(f"{name}, {layout}: outputs differ")
        about = {"weights": name, "rows": rows, "cols": cols, "layout": str(layout)}
        about |= {"pattern": layout.pattern, "zeros": round(float(np.mean(weights == 0)), 4)}
        found.append(about | {"before": before, "after": after})
    return found


def _run(
    case: LayerCase, layout: Layout, order: Order
) -> tuple[dict[str, int], npt.NDArray[np.int8]]:
    """Figures and outputs int8[rows] of the layer with its rows in `order`."""
    names = ("weights", "bias", "multiplier", "shift")
    permuted = {name: getattr(case.layer, name)[order] for name in names}
    blob = pack(dataclasses.replace(case.layer, **permuted), layout)
    run = emulation.run_layer(
        TARGET,
        op_names.SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs[None],
        (1, len(order)),
    )
    figures = {"blocks": int(read_header(blob)["blocks"]), "bytes": len(blob)}
    return figures | {"instructions": run.instructions[0]}, run.outputs[0, 0]


def table(rows: list[Row]) -> list[str]:
    """Patterns of several rows before and after, and the fastest layout of all."""
    lines = [
        "| weights | layout | blocks | bytes | instructions |",
        "|---|---|---|---|---|",
    ]
    titles = [f"{r['weights']}, {r['cols']}->{r['rows']}, {r['zeros']:.0%} zeros" for r in rows]
    for title in dict.fromkeys(titles):
        layer = [row for row, its in zip(rows, titles, strict=True) if its == title]
        for row in [row for row in layer if row["after"] is not None]:
            cells = [_change(row["before"], row["after"], key) for key in row["after"]]
            lines.append(f"| {title} | `{row['layout']}` | {' | '.join(cells)} |")
        before = min(layer, key=lambda row: int(row["before"]["instructions"]))
        after = min(layer, key=lambda row: int((row["after"] or row["before"])["instructions"]))
        old, new = before["before"], after["after"] or after["before"]
        cells = [_change(old, new, key) for key in ("bytes", "instructions")]
        names = dict.fromkeys(f"`{row['layout']}`" for row in (before, after))
        lines.append(f"| {title} | **fastest**: {', then '.join(names)} | | {' | '.join(cells)} |")
    return lines


def _change(before: dict[str, int], after: dict[str, int], key: str) -> str:
    change = after[key] / before[key] - 1
    return f"{before[key]:,} -> {after[key]:,} ({change:+.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("build/demo/model_sparse.tflite"))
    model = parser.parse_args().model
    layers = [("random", random_weights(zeros)) for zeros in (0.9, 0.95)]
    layers += [("clustered", clustered_weights()), *trained_weights(model)]
    rows = [row for layer in track(layers, "Measuring") for row in measure(*layer)]
    tools = emulation.find_tools()
    document = {
        "command": "python benchmarks/row_grouping/measure.py",
        "target": TARGET,
        "flags": emulation.DEFAULT_OPTIMIZATION,
        "compiler": f"arm-none-eabi-gcc {tools['arm-none-eabi-gcc'].version}",
        "emulator": f"qemu-system-arm {tools['qemu-system-arm'].version}",
        "dense_instructions": {
            f"{cols}->{units}": fully_connected.dense_fully_connected(TARGET, units, cols)
            for units, cols in dict.fromkeys((row["rows"], row["cols"]) for row in rows)
        },
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    head, rest = README.read_text().split(TABLE_START)
    tail = rest.split(TABLE_END)[1]
    lines = "".join(f"{line}\n" for line in table(rows))
    README.write_text(f"{head}{TABLE_START}{lines}{TABLE_END}{tail}")


if __name__ == "__main__":
    main()
