"""The delegate on OpenCL: what launches cost, what tuning finds, and how fast a second start is.

    python benchmarks/opencl_delegate/measure.py

Times of a layer are of whole inferences by LiteRT, transfers included, and of one run: the
interpreters of all launches take turns, and the fastest of many rounds counts. A start is a process
of its own; the OpenCL driver's own cache is empty each time. Writes results.json beside this file
and prints the tables of README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate
from layer_models import LayerShape, layer_model

import tflm_sparsesep as ts

HERE = Path(__file__).parent
MODELS = HERE.parents[2] / "shared/models"
BLOCKS = ((1, 1), (1, 4), (4, 1), (2, 4), (4, 4), (1, 16))
LAYERS = [
    *(LayerShape(4096, 4096, block, "int8", 1) for block in BLOCKS),
    *(LayerShape(300, 784, block, "int8", 1) for block in ((1, 1), (4, 4))),
    *(LayerShape(1024, 1024, block, "int8", 32) for block in ((1, 1), (4, 4))),
    LayerShape(4096, 4096, (1, 1), "float32", 1),
    LayerShape(1024, 1024, (1, 1), "float32", 32),
    *(
        LayerShape(1024, 1024, None, dtype, batch)
        for dtype in ("int8", "float32")
        for batch in (1, 32)
    ),
]
# lanes, group_size, vectors
LAUNCHES = [(1, 16, 1), (1, 64, 1), (1, 256, 1), (4, 64, 1), (8, 64, 1), (1, 16, 4), (4, 64, 4)]
ROUNDS = 40
STARTS = 5


def opencl(options: dict[str, str]) -> Any:
    return load_delegate(str(ts.delegate_path()), {"backend": "opencl", **options})


def inference(model: bytes, options: dict[str, str]) -> Callable[[], None]:
    """One inference of a new interpreter, on random inputs."""
    interpreter = Interpreter(model_content=model, experimental_delegates=[opencl(options)])
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    rng = np.random.default_rng(1)
    interpreter.set_tensor(
        entry["index"], rng.integers(-9, 9, entry["shape"]).astype(entry["dtype"])
    )
    invoke: Callable[[], None] = interpreter.invoke
    return invoke


def fastest(runs: list[Callable[[], None]]) -> list[float]:
    """Microseconds of each, taking turns."""
    best = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], 1e6 * (time.perf_counter() - start))
    return best


def measure_layer(shape: LayerShape) -> dict[str, Any]:
    model = layer_model(shape)
    launches = [launch for launch in LAUNCHES if launch[2] <= shape.batch]
    runs = [inference(model, {})]
    for lanes, group_size, vectors in launches:
        options = {"lanes": lanes, "group_size": group_size, "vectors": vectors}
        runs.append(inference(model, {name: str(value) for name, value in options.items()}))
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        runs.append(inference(model, {"cache_dir": cache, "tune": "1"}))
        tuning = time.perf_counter() - start
        (entry,) = Path(cache).glob("*.tune")
        # Behind key, length and checksum: the launch.
        tuned = struct.unpack("<iii", entry.read_bytes()[24:])
    default, *others, tuned_us = fastest(runs)
    by_launch = {str(launch): us for launch, us in zip(launches, others, strict=True)}
    return {
        "layer": shape.name,
        "default_us": default,
        "launches_us": by_launch,
        "tuned": tuned,
        "tuned_us": tuned_us,
        "tuning_seconds": tuning,
    }


def start_seconds(model: Path, cache: str) -> float:
    options = {"backend": "opencl", "cache_dir": cache}
    script, library = str(HERE / "start.py"), str(ts.delegate_path())
    command = [sys.executable, script, library, json.dumps(options), str(model)]
    with tempfile.TemporaryDirectory() as drivers:
        environment = {**os.environ, "POCL_CACHE_DIR": drivers}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure_starts(model: Path) -> dict[str, Any]:
    first, second = [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as cache:
            first.append(start_seconds(model, cache))
            second.append(start_seconds(model, cache))
    return {"model": model.name, "first_seconds": min(first), "second_seconds": min(second)}


def layer_table(layers: list[dict[str, Any]]) -> str:
    rows = [
        "| layer | default, us | tuned, us | lanes, group_size, vectors | slowest tried, us |",
        "|---|---|---|---|---|",
    ]
    for row in layers:
        numbers = ", ".join(str(number) for number in row["tuned"])
        slowest = max(row["launches_us"].values())
        rows.append(
            f"| {row['layer']} | {row['default_us']:.0f} | {row['tuned_us']:.0f} "
            f"| {numbers} | {slowest:.0f} |"
        )
    return "\n".join(rows)


def start_table(starts: list[dict[str, Any]]) -> str:
    rows = ["| model | first start, s | second start, s | ratio |", "|---|---|---|---|"]
    for row in starts:
        first, second = row["first_seconds"], row["second_seconds"]
        rows.append(f"| {row['model']} | {first:.2f} | {second:.3f} | {first / second:.0f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of .tflite files")
    arguments = parser.parse_args()
    names = ("kws_ref_model", "ad01_int8")
    starts = [measure_starts(arguments.models / f"{name}.tflite") for name in names]
    print(start_table(starts), flush=True)
    layers = [measure_layer(shape) for shape in LAYERS]
    print(layer_table(layers))
    results = {"starts": starts, "layers": layers}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
