"""The command `compress`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli.common import (
    DEFAULT_TARGET,
    Annotate,
    AsJson,
    OutputFile,
    Preference,
    TargetName,
    print_json,
    say,
    show,
    warnings_as_lines,
)
from tflm_sparsesep.cli.recipes import MadeFrom, RecipeFile, check_made, followed, write_made
from tflm_sparsesep.converters.cost.choose_layout import check_preference
from tflm_sparsesep.converters.errors import ConfigError, printable
from tflm_sparsesep.recipe import Recipe
from tflm_sparsesep.runtime import files
from tflm_sparsesep.table_cells import not_counted

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
Finetune = Annotated[
    bool, typer.Option("--finetune", help="Train the result to the original's outputs afterwards.")
]
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the samples with --finetune.")]


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
    prefer: Preference = None,
    annotate: Annotate = False,
    recipe: RecipeFile = None,
    workers: Workers = None,
    no_cache: NoCache = False,
    unchanged: Unchanged = False,
    finetune: Finetune = False,
    epochs: Epochs = 40,
    as_json: AsJson = False,
) -> None:
    """Compress without training, as far as a budget of quality, bytes or time asks.

    Trials are kept on disk: an interrupted search resumes where it was. OUTPUT.recipe.json, beside
    the output, tells how it was made. Where nothing that keeps the quality pays, nothing is
    written, and the exit code is 1.
    """
    limits = {
        "min_output_sqnr_db": min_sqnr,
        "flash_bytes": _amount(flash, 1024),
        "instructions": _amount(instructions, 1000),
        "max_accuracy_drop": max_drop,
        "arena_bytes": _amount(arena, 1024),
    }
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    options = {
        "target": target,
        "budget": budget,
        "prefer": check_preference(prefer),
        "finetune": epochs if finetune else None,
        "annotate": annotate or None,
    }
    given = followed(recipe, Recipe.of("compress", options, model=model, data=data, labels=labels))
    check_made(given, output, None, recipe)
    result = _result(given, workers, is_cached=not no_cache)
    is_written = unchanged or not result.is_unchanged
    if is_written:
        write_made(given, output, result.tflite)
    if as_json:
        print_json({"output": str(output) if is_written else None, **result.to_json()})
    elif is_written:
        _print_compression(result, given.options["target"], output)
    if not is_written:
        _print_offers(result, output, _budget(given))
        raise typer.Exit(1)


def _result(given: Recipe, workers: int | None, *, is_cached: bool) -> ts.CompressResult:
    from tflm_sparsesep.compress import USER_CACHE

    budget = _budget(given)
    samples = files.read_samples(_samples(given))
    labels = files.read_array(given.inputs["labels"]) if "labels" in given.inputs else None
    progress = sys.stderr.isatty()
    with warnings_as_lines():
        result = ts.compress(
            given.inputs["model"],
            budget=budget,
            representative_dataset=samples,
            labels=labels,
            target=given.options["target"],
            prefer=given.options.get("prefer"),
            progress=progress,
            cache_dir=USER_CACHE if is_cached else None,
            workers=workers,
        )
    epochs = given.options.get("finetune")
    if epochs is not None and not result.is_unchanged:
        result = result.finetune(samples, labels=labels, epochs=epochs, progress=progress)
    if "annotate" in given.options:
        result = replace(result, tflite=ts.annotate(result.tflite))
    return result


def _print_offers(
    result: ts.CompressResult, output: Path, budget: ts.Budget, most: int = 3
) -> None:
    offers = "; ".join(map(str, result.offers[:most])) or "none"
    limits = (budget.flash_bytes, budget.instructions, budget.arena_bytes)
    reason = "nothing pays within the budget"
    if any(limit is not None for limit in limits):
        reason = f"`convert` alone meets the budget: {result.point}"
    print(
        printable(f"{output}: not written, as {reason}; nearest offers: {offers}"), file=sys.stderr
    )


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
    lines = [*map(str, result.point.forms), *possible, f"{output}: {result.point}{in_tflm}"]
    say(*lines, *not_counted(result.uncounted, target))


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
