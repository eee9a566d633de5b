"""Inferences of a model, one after the other, with a progress bar where they take long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from rich.progress import Progress

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite.editor import Model
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert import Array, Invoke
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

_PATIENCE_SECONDS = 2.0
_REFRESH_SECONDS = 0.1


def invoke_all(invoke: Invoke, arrays: Sequence[Array], progress: bool | None) -> list[Array]:
    """Run every inference in turn and stack the outputs, [inferences, *shape] each.

    `arrays` are [inferences, *shape] of each model input. `progress` draws a bar on stderr; None
    draws it where the run takes over 2 s and stderr is a terminal.
    """
    count = len(arrays[0]) if arrays else 1
    results = [invoke([array[i] for array in arrays]) for i in _tracked(count, progress)]
    return [np.stack(values) for values in zip(*results, strict=True)]


def tensor_values(
    data: bytes,
    model: Model,
    indices: Sequence[int],
    inputs: Array | Sequence[Array],
    *,
    progress: bool | None = None,
) -> list[Array]:
    """Return what tensors inside a model hold in TFLM: one array [inferences, *shape] per index.

    `model` is `data`, read; `indices` are those of activations in the first subgraph's tensors;
    `inputs` are as for `samples.split_inputs`.

    Raises:
        ConfigError: the inputs do not fit, or an index is no tensor that is used.
        ToolMissingError: TFLM is not installed.
        DeviceError: TFLM refuses the model, or fails.
    """
    main = model.subgraphs[0]
    used = {*main.inputs, *(tensor for op in main.operators for tensor in op.tensors)}
    for index in indices:
        if not 0 <= index < len(main.tensors) or main.tensors[index] not in used:
            raise ConfigError(
                f"tensor {index} has no value in {model.name}: it is not one of the "
                f"{len(main.tensors)} tensors, or nothing uses it"
            )
    arrays = samples.split_inputs(inputs, main.inputs)
    interpreter = TflmInterpreter(data, model, preserve_all_tensors=True)

    def invoke(values: list[Array]) -> list[Array]:
        interpreter.invoke(values)
        return [interpreter.tensor(index) for index in indices]

    return invoke_all(invoke, arrays, progress)


def _tracked(count: int, progress: bool | None) -> Iterator[int]:
    """Yield range(count) and draw a bar on stderr once the whole is seen to take long."""
    wanted = sys.stderr.isatty() if progress is None else progress
    start = drawn = time.monotonic()
    console = Console(stderr=True, force_terminal=progress or None)
    bar = Progress(console=console, auto_refresh=False, transient=True)
    task = bar.add_task("inferences", total=count)
    shown = False
    try:
        for done in range(count):
            yield done
            now = time.monotonic()
            if not wanted or now - drawn < _REFRESH_SECONDS:
                continue
            if not shown and (progress or (now - start) / (done + 1) * count > _PATIENCE_SECONDS):
                bar.start()
                shown = True
            if shown:
                bar.update(task, completed=done + 1, refresh=True)
            drawn = now
    finally:
        if shown:
            bar.stop()
