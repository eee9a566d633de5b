"""The command line: `tflm-sparsesep COMMAND ...`."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli import compression, deploy, environment, measure, models
from tflm_sparsesep.converters.errors import SparseSepError

app = typer.Typer(
    help="Sparse and separable neural networks for TensorFlow Lite Micro.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(ts.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Accept the options that all commands have in common."""


# In the order of the help page.
app.command()(models.convert)
app.command()(compression.compress)
app.command()(models.plan)
app.command()(models.inspect)
app.command()(measure.run)
app.command()(measure.bench)
app.command("bench-kernels")(measure.bench_kernels)
app.command()(deploy.validate)
app.command()(deploy.report)
app.command()(deploy.export)
app.command()(models.variants)
app.command()(environment.doctor)
app.command()(environment.demo)


def main() -> None:
    """Run a command; errors of this package end in one line on stderr and exit code 2."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SparseSepError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is not None:
            raise
        _refuse(f"standard output: {error.strerror}")


def _refuse(reason: str) -> NoReturn:
    with contextlib.suppress(OSError):
        print(f"error: {reason}", file=sys.stderr)
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())  # Python writes the rest again at its end
    sys.exit(2)
