"""Commands that execute: `run`, `bench`, `bench-kernels`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import tflm_sparsesep as ts
from tflm_sparsesep.cli.common import (
    AsJson,
    ModelPath,
    TargetName,
    check_outputs,
    print_json,
    say,
    show,
)
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.runtime import files


def run(
    model: ModelPath,
    inputs: Annotated[
        Path, typer.Option("--inputs", help=r"Samples \[n, ...] as .npy, or by input name as .npz.")
    ],
    runtime: Annotated[str, typer.Option("--runtime", help="tflm, litert or opencl.")] = "tflm",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the outputs as .npy.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a model on samples and print its outputs."""
    if output is not None:
        check_outputs([output], model, inputs)
    outputs = ts.run(model, files.read_samples(inputs), runtime=runtime)
    if output is not None:
        if len(outputs) != 1:
            raise ConfigError(
                f"{output}: the model has {len(outputs)} outputs, accepted for a .npy file: one; "
                "--json prints all"
            )
        files.write_atomically(output, _npy(outputs[0]))
    elif as_json:
        print_json([array.tolist() for array in outputs])
    else:
        for number, array in enumerate(outputs):
            print(f"output {number}: {array.dtype}{list(array.shape)}")
            print(array)


def bench(
    model: ModelPath,
    target: TargetName = "cortex-m4",
    inputs: Annotated[
        Path | None,
        typer.Option("--inputs", help=r"Samples \[n, ...] as .npy or .npz; else random."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count the instructions of each rewritten layer on an emulated core."""
    from tflm_sparsesep.report import figures_table

    samples = None if inputs is None else files.read_samples(inputs)
    figures = ts.benchmark(model, target=target, inputs=samples)
    if as_json:
        print_json([layer.to_json() for layer in figures])
    elif not figures:
        say(f"{model}: no sparse layers or fused pairs to measure; `convert` makes them")
    else:
        show(figures_table(figures, target))
        say(f"{figures[0].compiler}, {figures[0].flags}; {figures[0].emulator}")
    if not all(layer.bit_exact for layer in figures):
        raise ts.DeviceError(f"{model}: outputs on {target} differ from TFLM's")


def bench_kernels(
    target: TargetName = "cortex-m4",
    shape: Annotated[
        str,
        typer.Option(
            "--shape",
            help="COLSxROWS of the layer; TAPSxTAPSxINPUTSxOUTPUTS with --op conv2d and "
            "separable-block, TAPSxTAPSxCHANNELS with --op depthwise.",
        ),
    ] = "784x300",
    op: Annotated[
        str,
        typer.Option(
            "--op",
            help="fully_connected, conv2d (SPARSE_CONV_2D), depthwise, or separable-block "
            "(depthwise, then pointwise).",
        ),
    ] = "fully_connected",
    image: Annotated[
        str, typer.Option("--input", help="HEIGHTxWIDTH of a convolution's input.")
    ] = "8x8",
    stride: Annotated[int, typer.Option("--stride", help="Of a convolution, both ways.")] = 1,
    padding: Annotated[str, typer.Option("--padding", help="same or valid.")] = "same",
    zeros: Annotated[float, typer.Option("--zeros", help="Share of zero weights.")] = 0.9,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Only kernels of this pattern, such as 1x4.")
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
        print_json([row.to_json() for row in figures])
    else:
        show(kernels_table(figures))


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
