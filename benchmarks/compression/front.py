"""The front of `compress`: the smallest file for each output SQNR, of LeNet-300-100.

    python benchmarks/compression/front.py [--report-only]

searches each network of NETS (`nets.py`) for budgets of SQNRS, keeps every point that it measured
in front.json, and draws docs/compress_front.svg. With --report-only it only draws.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tflm_sparsesep as ts
from tflm_sparsesep.runtime.files import write_atomically

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "front.json", HERE.parents[1] / "docs/compress_front.svg"
NETS = {"lenet_300_100": "LeNet-300-100"}
SQNRS = (8, 12)
SAMPLES = 4000
_COLOURS = ("#0072b2", "#d55e00")  # of NETS

Row = dict[str, Any]
# SQNR in dB, bytes of the file, instructions on Cortex-M4.
Point = tuple[float, int, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report-only", action="store_true")
    if not parser.parse_args().report_only:
        for name in NETS:
            measure(name)
    draw(json.loads(RESULTS.read_text()))


def measure(name: str) -> None:
    """Search for each budget, and store what was seen after each one."""
    import nets

    net = nets.load(name)
    points: set[Point] = set()
    with tempfile.TemporaryDirectory() as cache:
        for least in SQNRS:
            result = ts.compress(
                net.int8,
                budget=ts.Budget(min_output_sqnr_db=least),
                representative_dataset=net.x_train[:SAMPLES],
                cache_dir=cache,
                workers=1,
            )
            found = [result.point, *result.visited]
            points |= {
                (round(p.sqnr_db, 2), p.flash_bytes, p.instructions)
                for p in found
                if math.isfinite(p.sqnr_db)  # not of the model as it was
            }
            document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"nets": {}}
            document["command"] = "python benchmarks/compression/front.py"
            document["nets"][name] = {"dense_bytes": len(net.int8), "points": sorted(points)}
            write_atomically(RESULTS, (json.dumps(document, indent=1) + "\n").encode())
            print(name, least, result.point, flush=True)


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no cheaper one equals, cheapest first."""
    kept: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((cost, quality))
    return kept


def draw(document: Row) -> None:
    """SQNR over bytes: each network's points, and the front as steps."""
    # The same rows give the same file; text stays text, which keeps it small.
    mpl.rcParams |= {"svg.hashsalt": "front", "svg.fonttype": "none", "font.size": 11}
    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    axes = figure.subplots()
    for colour, (name, net) in zip(_COLOURS, document["nets"].items(), strict=False):
        _draw_net(axes, net, NETS[name], colour)
    axes.set_xscale("log")
    axes.set_xticks(*zip(*((k * 1000, f"{k} k") for k in (5, 10, 20, 50, 100, 200)), strict=True))
    axes.set_ylim(bottom=0)
    axes.minorticks_off()
    axes.set_xlabel("bytes of the file")
    axes.set_ylabel("output SQNR in dB")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})
    # Matplotlib leaves blanks at the ends of lines.
    lines = [line.rstrip() for line in PICTURE.read_text().splitlines()]
    PICTURE.write_text("\n".join(lines) + "\n")


def _draw_net(axes: Axes, net: Row, title: str, colour: str) -> None:
    seen = [(size, sqnr) for sqnr, size, _ in net["points"]]
    kept = front(seen)
    sizes, qualities = zip(*seen, strict=True)
    axes.scatter(sizes, qualities, s=12, color=colour, alpha=0.25, linewidths=0)
    axes.step(*zip(*kept, strict=True), "o-", where="post", color=colour, ms=4, label=title)
    axes.axvline(net["dense_bytes"], color=colour, ls=":", lw=1)
    axes.annotate(
        "int8, dense",
        (net["dense_bytes"], 0.02),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        va="bottom",
        color=colour,
        size=9,
    )


if __name__ == "__main__":
    main()
