"""What commands that make a model do with recipes: follow one, and write one beside each result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tflm_sparsesep.cli.common import DEFAULT_TARGET, MODEL_ARGUMENT, check_outputs
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.recipe import Recipe, read_recipe, recipe_path
from tflm_sparsesep.runtime import files

# MODEL, or what a recipe names.
MadeFrom = Annotated[Path | None, MODEL_ARGUMENT]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", help="Make what NAME.recipe.json describes again, in place of MODEL."),
]


def followed(path: Path | None, given: Recipe) -> Recipe:
    """Return what to make: the recipe in a file, or what the command line gives.

    Raises:
        ConfigError: both, or neither; or the file is no recipe for this command.
    """
    if path is None:
        if "model" not in given.inputs:
            raise ConfigError("MODEL is missing; accepted: a model, or --recipe")
        return given
    default = {"target": DEFAULT_TARGET}
    others = [*given.inputs, *(n for n, v in given.options.items() if default.get(n) != v)]
    if others:
        raise ConfigError(
            f"--recipe is given with {', '.join(others)}; accepted: --recipe, which sets them"
        )
    return read_recipe(path, given.command)


def check_made(given: Recipe, output: Path, external: Path | None, recipe: Path | None) -> None:
    """Check early that `write_made` will succeed.

    Raises:
        ConfigError: a file cannot be written, or is an input.
    """
    beside = [recipe_path(output)] if _lasts(given, output) else []
    outputs = [output, *beside, *([external] if external else [])]
    check_outputs(outputs, *given.inputs.values(), recipe)


def write_made(
    given: Recipe,
    output: Path,
    tflite: bytes,
    external: Path | None = None,
    pages: bytes | None = None,
) -> None:
    """Write a model, its pages, and beside it how it was made.

    What comes from or goes into a pipe or device gets no recipe: it could not be followed.

    Raises:
        ConfigError: a recipe was followed and the result is another one, which is not written.
    """
    results = {"tflite": tflite} | ({"external": pages} if pages is not None else {})
    given.check(results)
    contents = [(output, tflite)]
    if external is not None:
        contents.append((external, pages or b""))
    if _lasts(given, output):
        contents.append((recipe_path(output), given.to_bytes(output.parent, results)))
    files.write_all(contents)


def _lasts(given: Recipe, output: Path) -> bool:
    return not any(map(files.is_special, (output, *given.inputs.values())))
