"""Tables of the converter's decisions and of measured figures."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tflm_sparsesep.benchmark import LayerFigures
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device.kernel_figures import KernelFigures
from tflm_sparsesep.table_cells import add_row, number, ratio, short_name


def _shape(cols: int | None, rows: int | None) -> str:
    return "-" if rows is None else f"{cols}->{rows}"


def _scratch(layer: LayerDecision) -> str:
    if layer.scratch_bytes is None:
        return ""
    return f"; {layer.variant}, scratch {layer.scratch_bytes:,}"


def decisions_table(layers: Sequence[LayerDecision], target: str) -> Table:
    """Return a table with one row for each layer that the converter examined."""
    table = Table(title=f"Layers (estimates for {target})")
    table.add_column("layer", overflow="fold")
    for heading in ("op", "shape", "bytes", get_target(target).cost_unit):
        table.add_column(heading, justify="right" if heading != "op" else "left", no_wrap=True)
    table.add_column("decision", overflow="fold")
    for layer in layers:
        packed, count, decision = None, layer.dense_instructions, f"dense: {layer.reason}"
        if layer.rewritten:
            packed, count = layer.packed_bytes, layer.sparse_instructions
            decision = f"{layer.reason}{_scratch(layer)}"
            if layer.pattern is not None:
                decision = f"sparse ({layer.pattern} {layer.index}), {decision}"
        add_row(
            table,
            short_name(layer.name),
            layer.op,
            _shape(layer.cols, layer.rows),
            number(packed or layer.dense_bytes),
            number(count),
            decision,
        )
    return table


def figures_table(figures: Sequence[LayerFigures], target: str) -> Table:
    """Return a table of dense and rewritten layers, with totals."""
    table = Table(
        title=f"Rewritten layers on {target}: executed instructions in QEMU, dense by CMSIS-NN; "
        "cycles estimated",
        show_footer=True,
    )
    dense_bytes = sum(f.dense_bytes for f in figures)
    packed_bytes = sum(f.packed_bytes for f in figures)
    dense = sum(f.dense_instructions for f in figures)
    sparse = sum(f.sparse_instructions for f in figures)
    weights = sum(f.weights for f in figures)
    zeros = sum(f.weights * f.zeros for f in figures) / weights if weights else 0.0
    columns = [
        ("layer", "total"),
        ("shape", ""),
        ("zeros", f"{zeros:.1%}"),
        ("layout", ""),
        ("bytes", f"{dense_bytes:,}"),
        ("packed", f"{packed_bytes:,}"),
        ("ratio", ratio(dense_bytes, packed_bytes)),
        ("instr.", f"{dense:,}"),
        ("ours", f"{sparse:,}"),
        ("ratio", ratio(dense, sparse)),
        ("est. cycles", f"{sum(f.estimated_cycles for f in figures):,}"),
    ]
    for heading, footer in columns:
        left = heading in ("layer", "layout")
        table.add_column(heading, footer, justify="left" if left else "right", no_wrap=True)
    for f in figures:
        add_row(
            table,
            short_name(f.name),
            _shape(f.cols, f.rows),
            f"{f.zeros:.1%}",
            f"{f.pattern} {f.index}",
            f"{f.dense_bytes:,}",
            f"{f.packed_bytes:,}",
            ratio(f.dense_bytes, f.packed_bytes),
            f"{f.dense_instructions:,}",
            f"{f.sparse_instructions:,}",
            ratio(f.dense_instructions, f.sparse_instructions),
            f"{f.estimated_cycles:,}",
        )
    return table


def kernels_table(figures: Sequence[KernelFigures]) -> Table:
    """Return a table with one row for each kernel, fastest first."""
    first = figures[0]
    dense = {f.value == "float32": f.dense_instructions for f in figures}
    counts = f"{dense[min(dense)]:,} instructions dense"
    if len(dense) > 1:
        counts = f"{dense[False]:,} instructions dense in int8, {dense[True]:,} in float32"
    table = Table(title=f"{first}, {first.target}: {counts}")
    headings = ("kernel", "instructions", "per nonzero", "speedup", "est. cycles", "bytes")
    for heading in (*headings, "per nonzero", "scratch", "code"):
        name = heading == "kernel"
        table.add_column(heading, justify="left" if name else "right", no_wrap=True)
    for f in figures:
        add_row(
            table,
            f.variant,
            f"{f.instructions:,}",
            f"{f.instructions_per_nonzero:.2f}",
            f"{f.speedup:.2f}x",
            f"{f.estimated_cycles:,}",
            f"{f.blob_bytes:,}",
            f"{f.bytes_per_nonzero:.2f}",
            f"{f.scratch_bytes:,}",
            f"{f.code_bytes:,}",
        )
    return table
