"""Times of models in LiteRT on this machine: interleaved, the minimum of many."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, load_delegate

import tflm_sparsesep as ts

# A model runs so often in a row that it finds its weights where it left them.
_BURST = 12
_FEW = 10
# Threads of other models spin for a while before they sleep.
_PAUSE_SECONDS = 0.002


def interpreter(model: bytes, backend: str, threads: int) -> Interpreter:
    """`backend` is "xnnpack", which LiteRT takes by itself, or one of the delegate's."""
    delegates = []
    if backend != "xnnpack":
        options = {"backend": backend, "threads": str(threads)}
        delegates.append(load_delegate(str(ts.delegate_path()), options))
    made = Interpreter(model_content=model, num_threads=threads, experimental_delegates=delegates)
    made.allocate_tensors()
    (details,) = made.get_input_details()
    rng = np.random.default_rng(1)
    is_int8 = details["dtype"] == np.int8
    values = (
        rng.integers(-128, 128, details["shape"])
        if is_int8
        else rng.standard_normal(details["shape"])
    )
    made.set_tensor(details["index"], values.astype(details["dtype"]))
    made.invoke()
    return made


def output(made: Interpreter) -> npt.NDArray[Any]:
    """What an interpreter gave last."""
    values: npt.NDArray[Any] = made.get_tensor(made.get_output_details()[0]["index"])
    return values


def shortest_times(
    interpreters: Mapping[Any, Interpreter],
    *,
    seconds: float,
    often: Mapping[Any, Interpreter] | None = None,
) -> dict[Any, float]:
    """Seconds of the fastest inference of each, bursts taken by turns for about `seconds`.

    Those of `often`, which others are compared with, have a turn after every few others: on a busy
    machine a minimum of more is a smaller one, so that what is compared with them is not flattered.
    """
    frequent = often or {}
    best = dict.fromkeys([*interpreters, *frequent], float("inf"))
    turns: list[Any] = []
    for number, key in enumerate(interpreters):
        turns += [*frequent, key] if number % _FEW == 0 else [key]
    everything = {**interpreters, **frequent}
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < 3 or time.monotonic() < end:
        for key in turns:
            best[key] = min(best[key], _burst(everything[key]))
        rounds += 1
    return best


def _burst(made: Interpreter) -> float:
    """Seconds of the fastest inference of several in a row."""
    time.sleep(_PAUSE_SECONDS)
    best = float("inf")
    for _ in range(_BURST):
        start = time.perf_counter()
        made.invoke()
        best = min(best, time.perf_counter() - start)
    return best


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    cpu = {key.strip(): value.strip() for key, value in fields.items()}
    flags = [f for f in ("avx2", "avx_vnni", "avx512_vnni") if f in cpu.get("flags", "").split()]
    return {
        "cpu": f"{cpu.get('model name', platform.processor())} (family {cpu.get('cpu family')}, "
        f"model {cpu.get('model')}), {os.cpu_count()} cores, {' '.join(flags)}",
        "runtime": f"ai-edge-litert {ai_edge_litert.__version__}",
    }
