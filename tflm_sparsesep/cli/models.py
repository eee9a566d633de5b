"""Commands that read and make models: `convert`, `plan`, `inspect`, `variants`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli.common import (
    DEFAULT_TARGET,
    Annotate,
    AsJson,
    ModelPath,
    OutputFile,
    Preference,
    TargetName,
    check_outputs,
    console,
    print_json,
    say,
    show,
)
from tflm_sparsesep.cli.recipes import MadeFrom, RecipeFile, check_made, followed, write_made
from tflm_sparsesep.converters.boards import BOARDS
from tflm_sparsesep.converters.cost.choose_layout import check_preference
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.recipe import Recipe
from tflm_sparsesep.runtime import files
from tflm_sparsesep.table_cells import not_counted

PageBytes = Annotated[
    int | None, typer.Option("--page-bytes", help="Most bytes of a page: see docs/paging.md.")
]
NodeDataName = Annotated[
    Path | None,
    typer.Option(
        "--node-data",
        help="Write NAME.bytes.json and NAME.instructions.json for Model Explorer.",
        metavar="NAME",
    ),
]
PagesFile = Annotated[
    Path | None, typer.Option("--external", help="Write the pages of large layers here.")
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option("--data", help=r"Samples \[n, ...] as .npy or .npz; required for a .keras file."),
]
HeaderFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the C header sparsesep_variants.h.")
]

PlanTarget = Annotated[
    str | None,
    typer.Option("--target", "-t", help="Core to count for; the board's, or else cortex-m4."),
]
BoardName = Annotated[
    str | None, typer.Option("--board", help=f"Say whether it fits: {', '.join(BOARDS)}.")
]


def convert(
    *,
    model: MadeFrom = None,
    output: OutputFile,
    target: TargetName = DEFAULT_TARGET,
    prefer: Preference = None,
    page_bytes: PageBytes = None,
    external: PagesFile = None,
    data: CalibrationFile = None,
    annotate: Annotate = False,
    recipe: RecipeFile = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite the layers that get smaller and faster on the target.

    OUTPUT.recipe.json, beside the output, tells how it was made.
    """
    options = {
        "target": target,
        "prefer": check_preference(prefer),
        "page_bytes": page_bytes,
        "annotate": annotate or None,
    }
    given = followed(recipe, Recipe.of("convert", options, model=model, data=data))
    if ("page_bytes" in given.options) != (external is not None):
        raise ConfigError("--page-bytes and --external go together: give both or neither")
    source, data = given.inputs["model"], given.inputs.get("data")
    if source.suffix == ".keras" and data is None:
        raise ConfigError(f"--data is missing: {source} is quantized to int8 with sample inputs")
    check_made(given, output, external, recipe)
    result = ts.convert(
        source,
        representative_dataset=None if data is None else files.read_samples(data),
        **{name: value for name, value in given.options.items() if name != "annotate"},
    )
    if "annotate" in given.options:
        result = replace(result, tflite=ts.annotate(result.tflite))
    write_made(given, output, result.tflite, external, result.external)
    if as_json:
        print_json(_conversion(result, output, external))
    else:
        _print_conversion(result, given.options["target"], output, external)


def _conversion(result: ts.ConvertResult, output: Path, external: Path | None) -> dict[str, Any]:
    return {
        "output": str(output),
        "dense_tflite_bytes": len(result.dense_tflite),
        "sparse_tflite_bytes": len(result.tflite),
        "dense_instructions": result.dense_instructions,
        "sparse_instructions": result.instructions,
        "uncounted": list(result.uncounted),
        "external": None if external is None else str(external),
        "external_bytes": len(result.external or b""),
        "layers": [layer.to_json() for layer in result.layers],
    }


def _print_conversion(
    result: ts.ConvertResult, target: str, output: Path, external: Path | None
) -> None:
    from tflm_sparsesep.report import decisions_table

    show(decisions_table(result.layers, target))
    rewritten = sum(layer.rewritten for layer in result.layers)
    say(
        f"{output}: {rewritten} of {len(result.layers)} layers rewritten, "
        f"{len(result.dense_tflite):,} -> {len(result.tflite):,} bytes, "
        f"{result.dense_instructions:,} -> {result.instructions:,} {get_target(target).cost_unit}",
        *not_counted(result.uncounted, target),
    )
    if external is not None:
        say(f"{external}: {len(result.external or b''):,} bytes of pages")


def plan(
    model: ModelPath,
    target: PlanTarget = None,
    board: BoardName = None,
    as_json: AsJson = False,
) -> None:
    """Show what compression can gain on each layer, before any work."""
    from tflm_sparsesep.planning.table import notes, plan_table

    result = ts.plan(model, target=target, board=board)
    if as_json:
        print_json({"model": str(model), **result.to_json()})
        return
    show(plan_table(result))
    console.print(*notes(result), sep="\n")


def inspect(
    model: ModelPath,
    target: TargetName = DEFAULT_TARGET,
    nodes: NodeDataName = None,
    as_json: AsJson = False,
) -> None:
    """Show each layer: how it is stored, what it costs, and why it is dense."""
    from tflm_sparsesep.report import decisions_table

    layers = ts.inspect(model, target=target)
    if nodes is not None:
        _write_node_data(model, target, nodes)
    if as_json:
        print_json({"model": str(model), "layers": [layer.to_json() for layer in layers]})
    else:
        show(decisions_table(layers, target))


def _write_node_data(model: Path, target: str, name: Path) -> None:
    found = ts.node_data(model, target=target)
    texts = {name.with_name(f"{name.name}.{metric}.json"): data for metric, data in found.items()}
    check_outputs(list(texts), model)
    files.write_all([(path, (json.dumps(data) + "\n").encode()) for path, data in texts.items()])


def variants(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Converted models of one firmware.")
    ],
    target: TargetName = "cortex-m4",
    output: HeaderFile = None,
    as_json: AsJson = False,
) -> None:
    """List the kernels that models need, and write the header that links only those."""
    from tflm_sparsesep.converters.selected_variants import variants_header

    names = ts.variants(*models, target=target)
    if output is not None:
        check_outputs([output], *models)
        files.write_atomically(output, variants_header(names, target=target).encode())
    if as_json:
        print_json({"target": target, "variants": names})
    elif output is None and names:
        print("\n".join(names))
    elif output is None:
        print("no sparse layers, so no kernels to link; `convert` makes them", file=sys.stderr)
