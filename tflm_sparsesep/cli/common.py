"""The console, options and JSON output that all commands share."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tflm_sparsesep.converters.errors import ConfigError, printable
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.runtime import files
from tflm_sparsesep.table_layout import print_table

for _name in ("stdout", "stderr"):
    _stream = getattr(sys, _name)
    if _stream is None:  # closed by the caller; the next file would get its number
        setattr(sys, _name, Path(os.devnull).open("w"))  # noqa: SIM115
    elif isinstance(_stream, io.TextIOWrapper):  # what its encoding lacks is escaped
        _stream.reconfigure(errors="backslashreplace")

if not os.environ.get("COLUMNS", "").strip("0"):  # a terminal without columns shows nothing
    os.environ.pop("COLUMNS", None)

# A pipe has no width: rich would fold tables to 80 columns.
WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
console = Console(width=WIDTH)

MODEL_ARGUMENT = typer.Argument(
    metavar="MODEL", help="A .tflite file, int8 or float32, or a .keras file."
)
ModelPath = Annotated[Path, MODEL_ARGUMENT]
DEFAULT_TARGET = "cortex-m4"
TargetName = Annotated[
    str, typer.Option("--target", "-t", help=f"Core to count for: {', '.join(TARGETS)}.")
]
OutputFile = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
Annotate = Annotated[
    bool,
    typer.Option("--annotate", help="Let viewers show packed layers, for 80 bytes a layer."),
]
Preference = Annotated[
    str | None,
    typer.Option(
        "--prefer",
        help="flash: smallest layouts; speed: fastest, up to 20% larger; else the product.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(*texts: str) -> None:
    """Print text as it is, one line each: what a file holds is neither markup nor obeyed."""
    console.print(*(Text(printable(text)) for text in texts), sep="\n", soft_wrap=True)


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print each warning as one line on stderr, without the place in the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: print(
            f"warning: {printable(str(message))}", file=sys.stderr
        )
        yield


def check_outputs(outputs: Sequence[Path], *inputs: Path | None) -> None:
    """Check early that files can be written, and that none is an input.

    Raises:
        ConfigError: one cannot, or is.
    """
    files.check_writable(*outputs)
    for output in outputs:
        if output.is_file() and any(
            path and path.exists() and output.samefile(path) for path in inputs
        ):
            raise ConfigError(f"{output}: is an input of this command, accepted: another file")


def show(table: Table) -> None:
    """Print a table as wide as the terminal."""
    print_table(console, table)


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))
