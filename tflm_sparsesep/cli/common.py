"""The console, options and JSON output that all commands share."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from tflm_sparsesep.converters.errors import printable
from tflm_sparsesep.converters.targets import TARGETS

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

ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A .tflite file, int8 or float32, or a .keras file.")
]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help=f"Core to count for: {', '.join(TARGETS)}.")
]
OutputFile = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(*texts: str) -> None:
    """Print text as it is: what a file holds is neither markup nor obeyed."""
    console.print(*(Text(printable(text)) for text in texts), sep="\n")


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))
