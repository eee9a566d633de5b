"""The page of a report: totals, layers, arena, versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.reporting.figures import bar, columns
from tflm_sparsesep.table_cells import NOTHING, number, ratio, short_name

_STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class ModelFacts:
    """One model as a report shows it.

    Attributes:
        name: of the file.
        bytes: of the file.
        layers: those with weights, in execution order.
        weight_bytes: of weights, bias and requantization, by layer.
        instructions: for one inference, by layer.
        other_instructions: of all other operators.
        uncounted: operators of unknown cost.
        operators: names of all operators, in execution order.
        arena: bytes of activations and scratch during each of them.
    """

    name: str
    bytes: int
    layers: list[LayerDecision]
    weight_bytes: dict[str, int]
    instructions: dict[str, int]
    other_instructions: int
    uncounted: list[str]
    operators: list[str]
    arena: list[int]


def page(
    sparse: ModelFacts,
    dense: ModelFacts | None,
    *,
    target: str,
    unit: str,
    versions: Sequence[tuple[str, str]],
    commands: Sequence[str],
) -> str:
    """Return the text of a page that refers to nothing outside of itself."""
    title = f"{escape(sparse.name)} on {escape(target)}"
    sections = [
        f"<h1>{title}</h1>",
        _totals(sparse, dense, unit),
        _layers(sparse, dense, unit),
        _arena(sparse, dense),
        _reasons(sparse, dense),
        _footer(versions, commands),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE.read_text()}</style></head>\n"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _totals(sparse: ModelFacts, dense: ModelFacts | None, unit: str) -> str:
    before, after = map(sum, _instructions(sparse, dense))
    before += (dense or sparse).other_instructions
    after += sparse.other_instructions
    how = ", ".join(["estimated", *(f"{name} not counted" for name in sparse.uncounted)])
    was = None if dense is None else sum(dense.weight_bytes.values())
    cards = [
        _card("weights and bias", was, sum(sparse.weight_bytes.values()), "bytes"),
        _card(unit, before, after, how),
        _card("arena", max(dense.arena) if dense else None, max(sparse.arena, default=0), "bytes"),
        _card("file", dense.bytes if dense else None, sparse.bytes, "bytes"),
    ]
    return f'<section class="cards">{"".join(cards)}</section>'


def _card(what: str, before: int | None, after: int, unit: str) -> str:
    factor = f'<b class="gain">{ratio(before, after)}</b>' if before and before != after else ""
    was = f"{number(before)} &rarr; " if before is not None else ""
    return f"<div><h2>{escape(what)}</h2><p>{was}{number(after)} {escape(unit)}</p>{factor}</div>"


def _instructions(sparse: ModelFacts, dense: ModelFacts | None) -> tuple[list[int], list[int]]:
    """Return the instructions of each layer, dense and as it is.

    Dense ones are those of the dense model, or of the same shape where that is not known: rewriting
    may have removed channels.
    """
    after = [sparse.instructions.get(layer.name, 0) for layer in sparse.layers]
    before = [
        (layer.dense_instructions or 0) if layer.rewritten else now
        for layer, now in zip(sparse.layers, after, strict=True)
    ]
    if dense is not None:
        known = dense.instructions
        names = [layer.name for layer in sparse.layers]
        before = [known.get(name, same) for name, same in zip(names, before, strict=True)]
    return before, after


def _layers(sparse: ModelFacts, dense: ModelFacts | None, unit: str) -> str:
    before, after = _instructions(sparse, dense)
    largest = max([*before, *after], default=0)
    rows = [
        f"<tr><th>{escape(short_name(layer.name))}<small>{escape(_storage(layer))}</small></th>"
        f'<td class="wide">{bar(was, largest, "dense")}{bar(now, largest, "sparse")}</td>'
        f"<td>{number(was)}<br>{number(now)}</td><td>{ratio(was, now)}</td></tr>"
        for layer, was, now in zip(sparse.layers, before, after, strict=True)
    ]
    return (
        f"<section><h2>{escape(unit.capitalize())} of each layer, "
        '<span class="key dense">dense</span> and <span class="key sparse">sparse</span></h2>'
        f'<table class="layers">{"".join(rows)}</table></section>'
    )


def _storage(layer: LayerDecision) -> str:
    """Say how a layer is stored."""
    if not layer.rewritten:
        return f"dense, {layer.op.lower()}"
    zeros = "" if layer.zeros is None else f", {layer.zeros:.0%} zeros"
    return f"{layer.pattern} {layer.index}{zeros}" if layer.pattern else layer.op.lower()


def _arena(sparse: ModelFacts, dense: ModelFacts | None) -> str:
    largest = max([*sparse.arena, *(dense.arena if dense else [])], default=0)
    parts = [
        _timeline(model, largest, kind)
        for model, kind in ((dense, "dense"), (sparse, "sparse"))
        if model is not None
    ]
    return f"<section><h2>Arena over time, one column per operator</h2>{''.join(parts)}</section>"


def _timeline(model: ModelFacts, largest: int, kind: str) -> str:
    titles = [
        f"{op}: {size:,} bytes" for op, size in zip(model.operators, model.arena, strict=True)
    ]
    peak = max(model.arena, default=0)
    where = model.operators[model.arena.index(peak)] if model.arena else NOTHING
    return (
        f"<figure>{columns(model.arena, largest, titles, kind)}"
        f"<figcaption>{kind}: peak of {peak:,} bytes during {escape(where)}, "
        f"{len(model.arena)} operators</figcaption></figure>"
    )


def _reasons(sparse: ModelFacts, dense: ModelFacts | None) -> str:
    before = {layer.name: layer for layer in dense.layers} if dense else {}
    rows = []
    for layer in sparse.layers:
        decided = before.get(layer.name, layer)
        kernel = f"{layer.variant}, scratch {number(layer.scratch_bytes)}" if layer.variant else ""
        rows.append(
            f"<tr><th>{escape(short_name(layer.name))}</th><td>{number(sparse.weight_bytes.get(layer.name))}</td>"
            f"<td>{escape(decided.reason)}<small>{escape(kernel)}</small></td></tr>"
        )
    return (
        "<section><h2>What decided each layer</h2>"
        "<table><tr><th>layer</th><th>bytes</th><th>reason, kernel</th></tr>"
        f"{''.join(rows)}</table></section>"
    )


def _footer(versions: Sequence[tuple[str, str]], commands: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(name)} {escape(value)}</li>" for name, value in versions)
    lines = escape("\n".join(commands))
    return (
        "<section><h2>How to make it again</h2>"
        f"<pre>{lines}</pre><ul>{items}</ul>"
        "<p>Instructions are estimates of the cost model, fitted to exact counts; "
        "<code>tflm-sparsesep bench</code> counts them. Cycles, wait states and caches are not "
        "modeled.</p></section>"
    )
