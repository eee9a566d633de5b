"""The command line: `tflm-sparsesep COMMAND ...`."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

import tflm_sparsesep as ts
from tflm_sparsesep.converters.cost.choose_layout import check_preference
from tflm_sparsesep.converters.errors import ConfigError, SparseSepError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.runtime import files

app = typer.Typer(
    help="Sparse and separable neural networks for TensorFlow Lite Micro.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# A pipe has no width: rich would fold tables to 80 columns.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
console = Console(width=_WIDTH)

ModelPath = Annotated[Path, typer.Argument(metavar="X.tflite", help="The model file.")]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help=f"Core to count for: {', '.join(TARGETS)}.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(ts.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print it.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """What all commands have in common."""


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


@app.command()
def convert(
    model: Annotated[Path, typer.Argument(metavar="IN.tflite", help="A full-int8 model.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    target: TargetName = "cortex-m4",
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", help="flash: smallest layouts; speed: fastest; else the product."),
    ] = None,
    page_bytes: Annotated[
        int | None, typer.Option("--page-bytes", help="Most bytes of a page: see docs/paging.md.")
    ] = None,
    external: Annotated[
        Path | None, typer.Option("--external", help="Write the pages of large layers here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rewrite the layers that get smaller and faster on the target."""
    from tflm_sparsesep.report import decisions_table

    if (page_bytes is None) != (external is None):
        raise ConfigError("--page-bytes and --external go together: give both or neither")
    for path in filter(None, (output, external)):
        files.check_writable(path)
    result = ts.convert(
        files.read_model(model),
        target=target,
        prefer=check_preference(prefer),
        page_bytes=page_bytes,
        name=str(model),
    )
    files.write_atomically(output, result.tflite)
    if external is not None:
        files.write_atomically(external, result.external or b"")
    if as_json:
        _print_json(
            {
                "output": str(output),
                "dense_tflite_bytes": len(result.dense_tflite),
                "sparse_tflite_bytes": len(result.tflite),
                "external": None if external is None else str(external),
                "external_bytes": len(result.external or b""),
                "layers": [layer.to_json() for layer in result.layers],
            }
        )
        return
    console.print(decisions_table(result.layers, target))
    rewritten = sum(layer.rewritten for layer in result.layers)
    console.print(
        f"{output}: {rewritten} of {len(result.layers)} layers rewritten, "
        f"{len(result.dense_tflite):,} -> {len(result.tflite):,} bytes"
    )
    if external is not None:
        console.print(f"{external}: {len(result.external or b''):,} bytes of pages")


@app.command()
def compress(
    model: Annotated[
        Path, typer.Argument(metavar="IN", help="A .tflite file, int8 or float32, or a .keras one.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    data: Annotated[Path, typer.Option("--data", help="Unlabelled samples [n, ...] as .npy.")],
    target: TargetName = "cortex-m4",
    min_sqnr: Annotated[
        float | None, typer.Option("--min-sqnr", help="Least output SQNR in dB.")
    ] = None,
    flash: Annotated[
        str | None, typer.Option("--flash", help="Most bytes of the file, such as 64k (of 1024).")
    ] = None,
    instructions: Annotated[
        str | None, typer.Option("--instructions", help="Most instructions, such as 2M (of 10^6).")
    ] = None,
    arena: Annotated[
        str | None, typer.Option("--arena", help="Most bytes of activations, such as 16k.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option("--max-drop", help="Most points of accuracy to lose.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Classes of the samples, int[n], as .npy.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; by default one for each core.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither read nor keep trials on disk.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compress without training, as far as a budget of quality, bytes or time asks.

    An interrupted search goes on where it was: trials are kept on disk.
    """
    from tflm_sparsesep.compress import USER_CACHE
    from tflm_sparsesep.report import decisions_table

    files.check_writable(output)
    budget = ts.Budget(
        min_output_sqnr_db=min_sqnr,
        flash_bytes=_amount(flash, 1024),
        instructions=_amount(instructions, 1000),
        max_accuracy_drop=max_drop,
        arena_bytes=_amount(arena, 1024),
    )
    result = ts.compress(
        model,
        budget=budget,
        representative_dataset=files.read_array(data),
        labels=None if labels is None else files.read_array(labels),
        target=target,
        progress=sys.stderr.isatty(),
        cache_dir=None if no_cache else USER_CACHE,
        workers=workers,
    )
    files.write_atomically(output, result.tflite)
    if as_json:
        _print_json({"output": str(output), **result.to_json()})
        return
    console.print(decisions_table(result.layers, target))
    for form in result.point.forms:
        console.print(form)
    for point in result.pareto:
        console.print(f"possible: {point}")
    console.print(f"{output}: {result.point}")


@app.command()
def plan(
    model: Annotated[
        Path, typer.Argument(metavar="IN", help="A .tflite file, int8 or float32, or a .keras one.")
    ],
    target: TargetName = "cortex-m4",
    as_json: AsJson = False,
) -> None:
    """Show what compressing can gain on each layer, before any work."""
    from tflm_sparsesep.planning.table import notes, plan_table

    result = ts.plan(model, target=target)
    if as_json:
        _print_json({"model": str(model), **result.to_json()})
        return
    console.print(plan_table(result), *notes(result), sep="\n")


@app.command()
def inspect(model: ModelPath, target: TargetName = "cortex-m4", as_json: AsJson = False) -> None:
    """Show each layer: how it is stored, what it costs, and why it is dense."""
    from tflm_sparsesep.report import decisions_table

    layers = inspect_model(files.read_model(model), target=target, name=str(model))
    if as_json:
        _print_json({"model": str(model), "layers": [layer.to_json() for layer in layers]})
    else:
        console.print(decisions_table(layers, target))


@app.command()
def run(
    model: ModelPath,
    inputs: Annotated[Path, typer.Option("--inputs", help="Samples [n, ...] as .npy.")],
    runtime: Annotated[str, typer.Option("--runtime", help="tflm, litert or opencl.")] = "tflm",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the outputs as .npy.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a model on samples and print its outputs."""
    if output is not None:
        files.check_writable(output)
    outputs = ts.run(files.read_model(model), files.read_array(inputs), runtime=runtime)
    if output is not None:
        if len(outputs) != 1:
            raise ConfigError(
                f"{output}: the model has {len(outputs)} outputs, a .npy file holds one; use --json"
            )
        files.write_atomically(output, _npy(outputs[0]))
    elif as_json:
        _print_json([array.tolist() for array in outputs])
    else:
        for number, array in enumerate(outputs):
            print(f"output {number}: {array.dtype}{list(array.shape)}")
            print(array)


@app.command()
def bench(
    model: ModelPath,
    target: TargetName = "cortex-m4",
    inputs: Annotated[
        Path | None, typer.Option("--inputs", help="Samples [n, ...] as .npy; else random.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count the instructions of each sparse or separable layer on an emulated core."""
    from tflm_sparsesep.report import figures_table

    samples = None if inputs is None else files.read_array(inputs)
    figures = ts.benchmark(files.read_model(model), target=target, inputs=samples, name=str(model))
    if as_json:
        _print_json([layer.to_json() for layer in figures])
    elif not figures:
        console.print(f"{model}: no sparse layers or fused pairs to measure; `convert` makes them")
    else:
        console.print(figures_table(figures, target))
        console.print(f"{figures[0].compiler}, {figures[0].flags}; {figures[0].emulator}")
    if not all(layer.bit_exact for layer in figures):
        raise ts.DeviceError(f"{model}: outputs on {target} differ from TFLM's")


@app.command("bench-kernels")
def bench_kernels(
    target: TargetName = "cortex-m4",
    shape: Annotated[
        str,
        typer.Option(
            "--shape", help="COLSxROWS of the layer; with --op conv2d TAPSxTAPSxINPUTSxOUTPUTS."
        ),
    ] = "784x300",
    op: Annotated[
        str, typer.Option("--op", help="fully_connected, or conv2d for SPARSE_CONV_2D.")
    ] = "fully_connected",
    image: Annotated[
        str, typer.Option("--input", help="HEIGHTxWIDTH of a convolution's input.")
    ] = "8x8",
    stride: Annotated[int, typer.Option("--stride", help="Of a convolution, both ways.")] = 1,
    padding: Annotated[str, typer.Option("--padding", help="same or valid.")] = "same",
    zeros: Annotated[float, typer.Option("--zeros", help="Share of zero weights.")] = 0.9,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Only kernels of this one, such as 1x4.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", help="Vectors per inference.")] = 1,
    input_zeros: Annotated[
        float, typer.Option("--input-zeros", help="Share of inputs at the zero point.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Count the instructions of every kernel on a random layer."""
    from tflm_sparsesep.device import kernel_options
    from tflm_sparsesep.report import kernels_table

    figures = kernel_options.measure(
        target,
        op=op,
        shape=shape,
        image=image,
        stride=stride,
        padding=padding,
        zeros=zeros,
        pattern=pattern,
        batch=batch,
        input_zeros=input_zeros,
    )
    if as_json:
        _print_json([row.to_json() for row in figures])
    else:
        console.print(kernels_table(figures))


@app.command()
def variants(
    models: Annotated[
        list[Path], typer.Argument(metavar="X.tflite...", help="Models of one firmware.")
    ],
    target: TargetName = "cortex-m4",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the C header sparsesep_variants.h.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the kernels that models need, and write the header that links those alone."""
    from tflm_sparsesep.converters.selected_variants import variants_header, variants_of

    names = sorted(
        {
            name
            for model in models
            for name in variants_of(files.read_model(model), target=target, name=str(model))
        }
    )
    if output is not None:
        files.check_writable(output)
        files.write_atomically(output, variants_header(names, target=target).encode())
    if as_json:
        _print_json({"target": target, "variants": names})
    elif output is None:
        print("\n".join(names))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show which tools and runtimes are here, and the line that installs what is missing."""
    from tflm_sparsesep.doctor import examine, table

    findings = examine()
    if as_json:
        _print_json([finding.to_json() for finding in findings])
    else:
        console.print(table(findings))


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with Fashion-MNIST's four .gz files.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the models and summary.json.")
    ] = Path("build/demo"),
    as_json: AsJson = False,
) -> None:
    """Train, compress, convert, run in TFLM and count on a Cortex-M4: the whole path."""
    from tflm_sparsesep.demo import run_demo

    summary = run_demo(
        data_dir=data, output_dir=output, console=Console(stderr=as_json, width=_WIDTH)
    )
    if as_json:
        _print_json(summary)


def _amount(text: str | None, kilo: int) -> int | None:
    """A number with k or M behind it for kilo or kilo^2, such as 1.5M."""
    if text is None:
        return None
    factor = {"k": kilo, "M": kilo**2}.get(text[-1:], 1)
    try:
        return int(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text!r} is no amount; write a number such as 800, 64k or 2M") from None


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def main() -> None:
    """Entry point. Errors of ours end in one line on stderr and exit code 2."""
    try:
        app()
    except SparseSepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
