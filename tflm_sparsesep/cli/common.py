"""The console, options and JSON output that all commands share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tflm_sparsesep.converters.targets import TARGETS

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


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    print(json.dumps(value, indent=2))
