"""MLPerf Tiny's published int8 networks, converted as they are: no training, no loss.

    python benchmarks/mlperf_tiny/published.py

converts each file of `../shared/models` for four cores, compares all outputs with those of the
dense file in TFLM and on the emulated cores, and writes published.json, the table of README.md and
docs/published.svg. With --report-only, it draws the last results again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import figures
import matplotlib
import numpy as np
import numpy.typing as npt
from measure import arena_bytes  # of benchmarks/compression, which figures.py finds
from rows import Row, write_table

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import tflm_sparsesep as ts
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.files import write_atomically

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
RESULTS = HERE / "published.json"
PICTURE = HERE.parents[1] / "docs/published.svg"
COMMAND = "python benchmarks/mlperf_tiny/published.py"
MODELS = ("vww_96_int8", "kws_ref_model", "pretrainedResnet_quant", "str_ww_ref_model")
KEYWORDS = "mlperf_tiny_kws.npz"
# Of the samples without labels.
RANDOM_SAMPLES = 100

_CORES = {"cortex-m0": "M0", "cortex-m3": "M3", "cortex-m4": "M4", "cortex-m55": "M55"}

Array = npt.NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report-only", action="store_true")
    if not parser.parse_args().report_only:
        measured = [measure(name) for name in MODELS]
        write_atomically(RESULTS, (json.dumps(measured, indent=1) + "\n").encode())
    rows = json.loads(RESULTS.read_text())
    write_table("published", table(rows))
    plot(rows)


def measure(name: str) -> Row:
    """Return the row of one model.

    Raises:
        RuntimeError: a converted file gives other outputs than the dense one.
    """
    dense = (SHARED / f"models/{name}.tflite").read_bytes()
    x, y = samples(name, dense)
    wanted = figures.outputs(dense, x)
    files = {target: ts.convert(dense, target=target).tflite for target in figures.TARGETS}
    for target, file in files.items():
        if not np.array_equal(figures.outputs(file, x), wanted):
            raise RuntimeError(f"{name}: outputs for {target} differ from those of the dense file")
    chosen = files[figures.MAIN_TARGET]
    accuracy = None if y is None else round(100 * float(np.mean(wanted.argmax(axis=1) == y)), 2)
    row = {
        "model": name,
        "method": "ours_no_training",
        "samples": len(x),
        "dense_accuracy": accuracy,
        "accuracy": accuracy,
        "dense_file_bytes": len(dense),
        "file_bytes": {target: len(file) for target, file in files.items()},
        "dense_arena_bytes": arena_bytes(dense),
        "arena_bytes": arena_bytes(chosen),
        "dense_instructions": {t: figures.dense_instructions(dense, t) for t in files},
        "instructions": {t: figures.instructions(f, t, x[:1]) for t, f in files.items()},
        "epochs": 0,
        "command": COMMAND,
    }
    print(json.dumps(row), flush=True)
    return row


def samples(name: str, dense: bytes) -> tuple[Array, Array | None]:
    """Return inputs and their classes: keywords, random numbers for the other networks."""
    if name == "kws_ref_model":
        keywords = np.load(SHARED / "data" / KEYWORDS)
        return keywords["x"], keywords["y"]
    shape = editor.read(dense).subgraphs[0].inputs[0].shape
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, (RANDOM_SAMPLES, *shape[1:])).astype(np.int8), None


def table(rows: list[Row]) -> str:
    """Return one line for each model."""
    lines = [
        "| network | file, bytes | arena, bytes | M0 | M3 | M4 | M55 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = " | ".join(
            f"{row['dense_instructions'][core]:,} -> {row['instructions'][core]:,}, "
            f"{row['dense_instructions'][core] / row['instructions'][core]:.2f}x"
            for core in _CORES
        )
        lines.append(
            f"| `{row['model']}` | {row['dense_file_bytes']:,} -> "
            f"{row['file_bytes'][figures.MAIN_TARGET]:,} | {row['dense_arena_bytes']:,} -> "
            f"{row['arena_bytes']:,} | {counts} |"
        )
    return "\n".join(lines) + "\n"


def plot(rows: list[Row]) -> None:
    """Draw what is left of each network: its file, and its instructions on each core."""
    plt.rcParams["svg.hashsalt"] = "tflm-sparsesep"
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    core = figures.MAIN_TARGET
    bars = {"file": [row["file_bytes"][core] / row["dense_file_bytes"] for row in rows]}
    for target, name in _CORES.items():
        bars[f"instructions, {name}"] = [
            row["instructions"][target] / row["dense_instructions"][target] for row in rows
        ]
    width = 0.8 / len(bars)
    for at, (label, shares) in enumerate(bars.items()):
        places = np.arange(len(rows)) + (at - (len(bars) - 1) / 2) * width
        drawn = axes.bar(places, [100 * share for share in shares], width * 0.92, label=label)
        axes.bar_label(drawn, fmt="%.0f", fontsize=7)
    axes.axhline(100, color="black", linewidth=0.8, linestyle="--")
    axes.annotate("as published", (-0.45, 100), textcoords="offset points", xytext=(0, 3), size=8)
    axes.set_xticks(range(len(rows)), [row["model"] for row in rows])
    axes.set_ylabel("left after convert, %")
    axes.set_ylim(0, 112)
    axes.legend(ncols=len(bars), fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
