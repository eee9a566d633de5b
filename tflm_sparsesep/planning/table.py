"""The table of a plan."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tflm_sparsesep.converters.cost.break_even import PlannedForm
from tflm_sparsesep.converters.errors import printable
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.planning.gains import BEST_CASE_ZEROS, LayerPlan, Plan
from tflm_sparsesep.table_cells import NOTHING, add_row, not_counted, number, ratio, short_name


def plan_table(plan: Plan) -> Table:
    """Return a table with one row for each layer with weights, and totals."""
    unit = get_target(plan.target).cost_unit
    dense = "XNNPACK" if plan.target == "host" else "CMSIS-NN"
    table = Table(
        title=f"What can be gained on {plan.target}: fewest zeros and largest factors that make a "
        f"layer smaller and faster;\nbest case at {BEST_CASE_ZEROS:.0%} zeros, or separated "
        f"to few channels K (estimates; int8, dense by {dense})",
        box=SIMPLE_HEAD,
        show_footer=True,
    )
    smaller = ratio(plan.dense_bytes, plan.best_case_bytes)
    faster = ratio(plan.dense_instructions, plan.best_case_instructions)
    columns = [
        ("layer", "total"),
        ("shape", ""),
        ("bytes", f"{plan.dense_bytes:,}"),
        ("instr." if unit == "instructions" else unit, f"{plan.dense_instructions:,}"),
        ("zeros", ""),
        ("in blocks", ""),
        ("factors", ""),
        ("best case", ""),
        ("smaller", smaller),
        ("faster", faster),
    ]
    for heading, footer in columns:
        table.add_column(
            heading,
            footer,
            justify="left" if heading in ("layer", "shape") else "right",
            overflow="fold",
            no_wrap=heading != "layer",
            style="green" if heading in ("smaller", "faster") else None,
        )
    for layer in plan.layers:
        add_row(table, *_cells(layer))
    return table


def notes(plan: Plan) -> list[Text]:
    """Return the best case's totals, a line per reason why layers have no form, and the fit."""
    by_reason: dict[str, list[str]] = {}
    for layer in plan.layers:
        if layer.note:
            by_reason.setdefault(layer.note, []).append(short_name(layer.name))
    totals = (
        f"best case: {plan.dense_bytes:,} -> {plan.best_case_bytes:,} bytes, "
        f"{plan.dense_instructions:,} -> {plan.best_case_instructions:,} "
        f"{get_target(plan.target).cost_unit}; "
        "`compress` finds what accuracy allows"
    )
    reasons = [
        Text.assemble((printable(", ".join(names)), "yellow"), f": {printable(reason)}")
        for reason, names in by_reason.items()
    ]
    unknown = [Text(printable(line)) for line in not_counted(plan.uncounted, plan.target)]
    fit = [] if plan.fit is None else [Text(str(plan.fit))]
    return [Text(totals), *reasons, *unknown, *fit]


def _cells(layer: LayerPlan) -> list[str]:
    form, dense = layer.best_case, layer.dense_instructions
    return [
        short_name(layer.name),
        layer.size,
        f"{layer.dense_bytes:,}",
        number(dense),
        NOTHING if layer.unstructured is None else f"{layer.unstructured.zeros:.1%}",
        NOTHING if layer.block is None else f"{layer.block.pattern} {layer.block.zeros:.1%}",
        _factors(layer.factors),
        NOTHING if form is None else form.pattern or f"K {form.channels}",
        NOTHING if form is None else ratio(layer.dense_bytes, form.bytes),
        NOTHING if form is None else ratio(dense, form.instructions),
    ]


def _factors(form: PlannedForm | None) -> str:
    if form is None:
        return NOTHING
    return f"K {form.channels}" if form.rank is None else f"rank {form.rank}"
