"""docs/pareto.svg: what accuracy the packed weights of each trained network buy.

    python benchmarks/accuracy/front.py

reads the committed rows of benchmarks/accuracy and benchmarks/mlperf_tiny, and measures nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
ROWS = (HERE / "results.json", HERE.parent / "mlperf_tiny/results.json")
PICTURE = HERE.parents[1] / "docs/pareto.svg"
NETS = {
    "lenet_300_100": ("LeNet-300-100", "#0072b2"),
    "lenet_5": ("LeNet-5", "#d55e00"),
    "watch_dnn": ("watch DNN", "#009e73"),
    "watch_cnn": ("watch CNN", "#cc79a7"),
    "ds_cnn": ("DS-CNN", "#e69f00"),
    "resnet8": ("ResNet-8", "#000000"),
}
STYLES = {"ours": ("-", True), "tfmot": ("--", False)}  # of lines, and whether dots are filled
LEAST_POINTS = -8.0  # networks that lose more are of no use

Row = dict[str, Any]
Point = tuple[float, float]


def main() -> None:
    rows = [row for path in ROWS for row in json.loads(path.read_text())]
    # The same rows give the same file; text stays text, which keeps it small.
    mpl.rcParams |= {"svg.hashsalt": "pareto", "svg.fonttype": "none", "font.size": 11}
    figure = Figure(figsize=(7.4, 5.0), layout="constrained")
    axes = figure.subplots()
    for net, (title, colour) in NETS.items():
        for method in STYLES:
            draw(axes, points(rows, net, method), method, title, colour)
    axes.axhline(0, color="#888888", lw=0.8)
    axes.set_xscale("log")
    axes.set_xticks([20, 10, 5, 2, 1], ["1/20", "1/10", "1/5", "1/2", "dense"])
    axes.set_xlim(30, 0.9)
    axes.minorticks_off()
    axes.set_ylim(bottom=LEAST_POINTS)
    axes.set_xlabel("packed weights, as a part of the dense network's bytes")
    axes.set_ylabel("points of accuracy, compared with dense")
    axes.grid(alpha=0.3)
    axes.plot([], [], "--o", color="#888888", mfc="white", ms=4, label="TFMOT's pruning")
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    figure.savefig(PICTURE, metadata={"Date": None})
    # Matplotlib leaves blanks at the ends of lines.
    lines = [line.rstrip() for line in PICTURE.read_text().splitlines()]
    PICTURE.write_text("\n".join(lines) + "\n")


def points(rows: list[Row], net: str, method: str) -> list[Point]:
    """Return (times smaller, points gained) of each setting, averaged over its seeds.

    A network is compared with the dense one of the same seed, trained as long.
    """
    dense = {(row["seed"], length(row)): figures(row) for row in rows if is_of(row, net, "dense")}
    settings: dict[Any, list[Point]] = defaultdict(list)
    for row in rows:
        if is_of(row, net, method):
            size, accuracy = figures(row)
            before, wanted = dense[row["seed"], length(row)]
            setting = row.get("detail"), row.get("pattern"), row.get("zeros_goal"), length(row)
            settings[setting].append((before / size, accuracy - wanted))
    return [(mean(x for x, _ in found), mean(y for _, y in found)) for found in settings.values()]


def length(row: Row) -> tuple[Any, ...]:
    """Return the epochs of a training, and the samples of each."""
    return row.get("epochs"), row.get("samples")


def is_of(row: Row, net: str, method: str) -> bool:
    return bool(row["model"] == net and row["method"] == method)


def figures(row: Row) -> Point:
    """Return the bytes of the packed weights, and the accuracy in TFLM in percent."""
    if "packed_bytes" in row:
        return row["packed_bytes"], 100 * row["int8_tflm_accuracy"]
    return row["weight_bytes"], row["accuracy"]


def draw(axes: Axes, seen: list[Point], method: str, title: str, colour: str) -> None:
    """Draw the points, and in steps the best accuracy of all that are at least as small."""
    line, filled = STYLES[method]
    # Dense is one of the choices.
    times, gained = np.array(sorted([*seen, (1.0, 0.0)], reverse=True)).T
    axes.scatter(times, gained, s=14, color=colour if filled else "white", edgecolors=colour,
                 alpha=0.6, linewidths=0.8, zorder=3)  # fmt: skip
    best = np.maximum.accumulate(gained)
    label = title if method == "ours" else None
    axes.step(times, best, line, where="post", color=colour, lw=1.6 if filled else 1.0, label=label)


if __name__ == "__main__":
    main()
