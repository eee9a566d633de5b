"""Commands that bring a model to a device: `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli.common import AsJson, ModelPath, TargetName, print_json
from tflm_sparsesep.converters.errors import printable
from tflm_sparsesep.exporting.formats import FORMATS
from tflm_sparsesep.runtime import files


def export(
    model: ModelPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    format: Annotated[str, typer.Option("--format", "-f", help=f"{', '.join(FORMATS)}.")],
    target: TargetName = "cortex-m4",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Samples as .npy or .npz: the example runs the first one."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the library; by default that of the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a model as a library for a firmware: kernels, operators, an example."""
    samples = None if data is None else files.read_samples(data)
    result = ts.export(model, output, format=format, target=target, data=samples, name=name)
    if as_json:
        print_json(result.to_json())
        return
    readme = result.folder / "README.md"
    print(
        printable(
            f"{result.folder}: {len(result.files)} files of library {result.name}, arena "
            f"{result.arena_bytes:,} bytes; start with {readme}"
        )
    )
