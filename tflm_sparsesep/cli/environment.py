"""Commands about this machine: `doctor`, and `demo`, which uses all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tflm_sparsesep.cli.common import WIDTH, AsJson, print_json, show


def doctor(as_json: AsJson = False) -> None:
    """List tools and runtimes, with the line that installs each missing one."""
    from tflm_sparsesep.doctor import examine, table

    findings = examine()
    if as_json:
        print_json([finding.to_json() for finding in findings])
    else:
        show(table(findings))


def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with Fashion-MNIST's four .gz files.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the models and summary.json.")
    ] = Path("build/demo"),
    as_json: AsJson = False,
) -> None:
    """Train, compress, convert, run in TFLM, and count instructions on a Cortex-M4."""
    from tflm_sparsesep.demo import run_demo

    summary = run_demo(
        data_dir=data, output_dir=output, console=Console(stderr=as_json, width=WIDTH)
    )
    if as_json:
        print_json(summary)
