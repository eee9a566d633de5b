"""Commands on the way to a device: `validate`, `report`, `export`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli.common import AsJson, ModelPath, TargetName, check_outputs, print_json
from tflm_sparsesep.cli.compression import LabelsFile, MaxDrop, MinSqnr
from tflm_sparsesep.converters.errors import ConfigError, printable
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


def validate(
    dense: Annotated[Path, typer.Argument(metavar="DENSE", help="The model before.")],
    sparse: Annotated[Path, typer.Argument(metavar="SPARSE", help="The model after.")],
    data: Annotated[Path, typer.Option("--data", help="Samples as .npy, or by input as .npz.")],
    labels: LabelsFile = None,
    runtime: Annotated[str, typer.Option("--runtime", help="tflm, litert or opencl.")] = "tflm",
    min_sqnr: MinSqnr = None,
    max_drop: MaxDrop = None,
    as_json: AsJson = False,
) -> None:
    """Compare the outputs of two models; exit with 1 beyond a limit."""
    if max_drop is not None and labels is None:
        raise ConfigError("--max-drop is given without --labels; accepted: both")
    quality = ts.validate(
        dense,
        sparse,
        files.read_samples(data),
        labels=None if labels is None else files.read_array(labels),
        runtime=runtime,
    )
    violations = quality.violations(min_sqnr=min_sqnr, max_drop=max_drop)
    if as_json:
        print_json(quality.to_json() | {"violations": violations})
    else:
        _print_validation(quality, violations)
    if violations:
        raise typer.Exit(1)


def _print_validation(quality: ts.Validation, violations: list[str]) -> None:
    noun = "sample" if quality.samples == 1 else "samples"
    print(f"{quality.samples} {noun} in {quality.runtime}")
    for one in quality.outputs:
        print(
            f"output {one.output}: SQNR {_about_mean(one.sqnr_db)} ({one.plain_sqnr_db:.1f} dB "
            f"plain), largest error {one.largest_error:.4g}, {one.differing:.2%} of the elements "
            "differ"
        )
    if quality.dense_accuracy is not None and quality.sparse_accuracy is not None:
        print(f"accuracy: {quality.dense_accuracy:.2%} -> {quality.sparse_accuracy:.2%}")
    for violation in violations:
        print(f"FAIL: {violation}")


def _about_mean(sqnr_db: float) -> str:
    if math.isnan(sqnr_db):
        return "about the mean undefined for 1 sample"
    return f"{sqnr_db:.1f} dB about the mean"


def report(
    sparse: Annotated[Path, typer.Argument(metavar="SPARSE", help="A converted model.")],
    html: Annotated[Path, typer.Option("--html", help="The page to write.")],
    dense: Annotated[
        Path | None, typer.Option("--dense", help="The model that it was made from.")
    ] = None,
    target: TargetName = "cortex-m4",
) -> None:
    """Write one HTML page: flash, arena, instructions, and what decided each layer."""
    check_outputs([html], sparse, dense)
    files.write_atomically(html, ts.html_report(sparse, dense=dense, target=target).encode())
    print(printable(f"{html}: written; it refers to nothing outside of itself"))
