"""Commands that read and make models: `convert`, `compress`, `plan`, `inspect`, `variants`."""

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
    MODEL_ARGUMENT,
    AsJson,
    ModelPath,
    OutputFile,
    TargetName,
    check_outputs,
    console,
    print_json,
    say,
    show,
    warnings_as_lines,
)
from tflm_sparsesep.cli.recipes import check_made, followed, write_made
from tflm_sparsesep.converters.boards import BOARDS
from tflm_sparsesep.converters.cost.choose_layout import check_preference
from tflm_sparsesep.converters.errors import ConfigError, printable
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.recipe import Recipe
from tflm_sparsesep.runtime import files

Preference = Annotated[
    str | None,
    typer.Option(
        "--prefer",
        help="flash: smallest layouts; speed: fastest, up to 20% larger; else the product.",
    ),
]
PageBytes = Annotated[
    int | None, typer.Option("--page-bytes", help="Most bytes of a page: see docs/paging.md.")
]
Annotate = Annotated[
    bool,
    typer.Option("--annotate", help="Let viewers show packed layers, for 80 bytes a layer."),
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
SamplesFile = Annotated[
    Path | None, typer.Option("--data", help=r"Unlabeled samples \[n, ...] as .npy or .npz.")
]
MinSqnr = Annotated[
    float | None, typer.Option("--min-sqnr", help="Least output SQNR in dB, about the mean.")
]
FlashBytes = Annotated[
    str | None, typer.Option("--flash", help="Most bytes of the file, such as 64k (of 1024).")
]
Instructions = Annotated[
    str | None, typer.Option("--instructions", help="Most instructions, such as 2M (of 10^6).")
]
ArenaBytes = Annotated[
    str | None,
    typer.Option("--arena", help="Most bytes of activations at a time, such as 16k."),
]
MaxDrop = Annotated[
    float | None, typer.Option("--max-drop", help="Most points of accuracy to lose.")
]
LabelsFile = Annotated[
    Path | None, typer.Option("--labels", help=r"Classes of the samples, int\[n], as .npy.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; by default one for each core.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep trials on disk.")]
Unchanged = Annotated[
    bool, typer.Option("--unchanged", help="Write the file even if no layer is compressed.")
]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", help="Make what NAME.recipe.json describes again, in place of MODEL."),
]
HeaderFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the C header sparsesep_variants.h.")
]

# MODEL, or what a recipe names.
MadeFrom = Annotated[Path | None, MODEL_ARGUMENT]

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
        f"{result.dense_instructions:,} -> {result.instructions:,} {get_target(target).cost_unit}"
    )
    if external is not None:
        say(f"{external}: {len(result.external or b''):,} bytes of pages")


def compress(
    *,
    model: MadeFrom = None,
    output: OutputFile,
    data: SamplesFile = None,
    target: TargetName = DEFAULT_TARGET,
    min_sqnr: MinSqnr = None,
    flash: FlashBytes = None,
    instructions: Instructions = None,
    arena: ArenaBytes = None,
    max_drop: MaxDrop = None,
    labels: LabelsFile = None,
    annotate: Annotate = False,
    recipe: RecipeFile = None,
    workers: Workers = None,
    no_cache: NoCache = False,
    unchanged: Unchanged = False,
    as_json: AsJson = False,
) -> None:
    """Compress without training, as far as a budget of quality, bytes or time asks.

    Trials are kept on disk: an interrupted search resumes where it was. OUTPUT.recipe.json, beside
    the output, tells how it was made. Where nothing that keeps the quality pays, nothing is
    written, and the exit code is 1.
    """
    from tflm_sparsesep.compress import USER_CACHE

    limits = {
        "min_output_sqnr_db": min_sqnr,
        "flash_bytes": _amount(flash, 1024),
        "instructions": _amount(instructions, 1000),
        "max_accuracy_drop": max_drop,
        "arena_bytes": _amount(arena, 1024),
    }
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    options = {"target": target, "budget": budget, "annotate": annotate or None}
    given = followed(recipe, Recipe.of("compress", options, model=model, data=data, labels=labels))
    check_made(given, output, None, recipe)
    with warnings_as_lines():
        result = ts.compress(
            given.inputs["model"],
            budget=_budget(given),
            representative_dataset=files.read_samples(_samples(given)),
            labels=files.read_array(given.inputs["labels"]) if "labels" in given.inputs else None,
            target=given.options["target"],
            progress=sys.stderr.isatty(),
            cache_dir=None if no_cache else USER_CACHE,
            workers=workers,
        )
    if "annotate" in given.options:
        result = replace(result, tflite=ts.annotate(result.tflite))
    is_written = unchanged or not result.is_unchanged
    if is_written:
        write_made(given, output, result.tflite)
    if as_json:
        print_json({"output": str(output) if is_written else None, **result.to_json()})
    elif is_written:
        _print_compression(result, given.options["target"], output)
    if not is_written:
        _print_offers(result, output)
        raise typer.Exit(1)


def _print_offers(result: ts.CompressResult, output: Path, most: int = 3) -> None:
    offers = "; ".join(map(str, result.offers[:most])) or "none"
    line = f"{output}: not written, as nothing pays within the budget; nearest offers: {offers}"
    print(printable(line), file=sys.stderr)


def _samples(given: Recipe) -> Path:
    if "data" not in given.inputs:
        raise ConfigError("--data is missing; accepted: a .npy or .npz file of unlabeled samples")
    return given.inputs["data"]


def _budget(given: Recipe) -> ts.Budget:
    if "budget" not in given.options:
        raise ConfigError(
            "no budget is given; accepted: at least one of --min-sqnr, --flash, --instructions, "
            "--arena and --max-drop"
        )
    try:
        return ts.Budget(**given.options["budget"])
    except TypeError as error:
        raise ConfigError(
            f"the recipe's budget is not one that `compress` wrote: {error}"
        ) from None


def _print_compression(result: ts.CompressResult, target: str, output: Path) -> None:
    from tflm_sparsesep.report import decisions_table

    show(decisions_table(result.layers, target))
    possible = [f"possible: {point}" for point in result.pareto]
    arena = result.tflm_arena_bytes
    in_tflm = "" if arena is None else f", {arena:,} bytes of arena in TFLM"
    say(*map(str, result.point.forms), *possible, f"{output}: {result.point}{in_tflm}")


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


def _amount(text: str | None, kilo: int) -> int | None:
    """Return a number with the suffix k or M for kilo or kilo^2, such as 1.5M."""
    if text is None:
        return None
    factor = {"k": kilo, "M": kilo**2}.get(text[-1:], 1)
    try:
        return int(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is not a number; accepted: a number such as 800, 64k or 2M"
        ) from None
