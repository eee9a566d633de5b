"""Every kernel on every emulated core, 784->300: results.json, docs/kernels.md and its plot.

    python benchmarks/kernels/measure.py [--sizes-only | --report-only]

Takes some minutes; `--sizes-only` measures flash alone, `--report-only` writes page and plot from
the committed results.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from code_size import code_size
from rich.progress import track

from tflm_sparsesep.converters.cost import cycles
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import toolchain
from tflm_sparsesep.device.kernel_bench import bench_kernels

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DOCS = HERE.parents[1] / "docs"
ROWS, COLS = 300, 784
# Lines that differ by less are one line: cores of one kernel, whose compilers differ a little.
SAME_LINE = 0.002
ZEROS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
TABLE_ZEROS = (0.8, 0.9, 0.95)
DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]

Row = dict[str, Any]


def measure() -> dict[str, Any]:
    """One row for each kernel, core and share of zeros."""
    jobs = [(target, zeros, 0.0) for target in DEVICES for zeros in ZEROS]
    jobs += [(target, 0.9, 0.6) for target in DEVICES]

    def run(job: tuple[str, float, float]) -> list[Row]:
        target, zeros, input_zeros = job
        figures = bench_kernels(target, rows=ROWS, cols=COLS, zeros=zeros, input_zeros=input_zeros)
        return [f.to_json() | {"zeros_goal": zeros} for f in figures]

    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = [row for rows in track(pool.map(run, jobs), total=len(jobs)) for row in rows]
    tools = toolchain.find_tools()
    return {
        "command": "python benchmarks/kernels/measure.py",
        "compiler": f"arm-none-eabi-gcc {tools['arm-none-eabi-gcc'].version}",
        "emulator": f"qemu-system-arm {tools['qemu-system-arm'].version}",
        "code_sizes": measure_sizes(),
        "rows": rows,
    }


def measure_sizes() -> list[Row]:
    """Flash of the operator with all kernels of each core, and with one."""
    rows = []
    for target in DEVICES:
        size = code_size(target)
        largest = max(size.kernels, key=lambda name: size.kernels[name])
        one = code_size(target, variants=[largest])
        rows.append(
            {
                "target": target,
                "core": size.core,
                "frames": size.frames,
                "kernels": len(size.kernels),
                "kernel_bytes": sum(size.kernels.values()),
                "total": size.total,
                "largest": largest,
                "largest_bytes": size.kernels[largest],
                "largest_alone": one.total,
            }
        )
    return rows


def size_section(sizes: list[Row]) -> list[str]:
    """Flash that the operator takes."""
    lines = [
        "## Flash",
        "",
        "Bytes of code and constants at -O2, as linked. *operator* includes the validator, the "
        "selection and the messages; *shared* is code that several kernels use. The last column "
        "is an image that links only the largest kernel (`tflm-sparsesep variants` restricts the "
        "kernels to those of a model).",
        "",
        "| core | operator | shared | kernels | total | largest kernel | with that one alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sizes:
        lines.append(
            f"| {row['target']} | {row['core']} | {row['frames']} "
            f"| {row['kernel_bytes']} ({row['kernels']}) | {row['total']} "
            f"| {row['largest_bytes']} (`{row['largest']}`) | {row['largest_alone']} |"
        )
    return lines


def select(rows: list[Row], **wanted: Any) -> list[Row]:
    """Rows with the wanted values."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def best_speedup(rows: list[Row], target: str, zeros: float, *, blocks: bool) -> Row:
    """The fastest int8 kernel of the 1x1 pattern, or of all others."""
    fitting = [
        row
        for row in select(rows, target=target, zeros_goal=zeros, input_zeros=0.0)
        if row["value"] != "float32" and (row["pattern"] != "1x1") == blocks
    ]
    return max(fitting, key=lambda row: float(row["speedup"]))


def summary_table(rows: list[Row]) -> list[str]:
    """Best 1x1 and best block pattern on each core."""
    lines = [
        "| core | 1x1 at 80 / 90 / 95% zeros | best block pattern at 80 / 90 / 95% zeros |",
        "|---|---|---|",
    ]
    for target in DEVICES:
        cells = []
        for blocks in (False, True):
            best = [best_speedup(rows, target, zeros, blocks=blocks) for zeros in TABLE_ZEROS]
            speedups = " / ".join(f"{row['speedup']:.1f}" for row in best)
            cells.append(f"{speedups} (`{best[1]['variant']}`)")
        lines.append(f"| {target} | {cells[0]} | {cells[1]} |")
    return lines


def variant_table(rows: list[Row], target: str) -> list[str]:
    """Every kernel of one core."""
    lines = [
        "| kernel | 80% | 90% | 95% | 90%, 60% zero inputs | bytes/nonzero at 90% | of dense "
        "| scratch | code |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    at90 = select(rows, target=target, zeros_goal=0.9, input_zeros=0.0)
    for row in sorted(at90, key=lambda row: int(row["instructions"])):
        same = {"target": target, "variant": row["variant"]}
        speedups = [
            f"{select(rows, **same, zeros_goal=zeros, input_zeros=0.0)[0]['speedup']:.2f}"
            for zeros in TABLE_ZEROS
        ]
        skipping = select(rows, **same, zeros_goal=0.9, input_zeros=0.6)[0]["speedup"]
        weight_bytes = 4 if row["value"] == "float32" else 1
        share = row["blob_bytes"] / (ROWS * COLS * weight_bytes)
        lines.append(
            f"| `{row['variant']}` | {' | '.join(speedups)} | {skipping:.2f} "
            f"| {row['bytes_per_nonzero']:.2f} | {share:.3f} | {row['scratch_bytes']} "
            f"| {row['code_bytes']} |"
        )
    return lines


def models_section() -> list[str]:
    """What the cost model promises, and what the cycle model takes an instruction for."""
    lines = [
        "## Cost model",
        "",
        "The converter selects layouts by predicted instructions. The prediction sums the "
        "operations of a kernel (a row requantized, a block multiplied, a vector copied: "
        "`converters/cost/terms.py`), times coefficients that `python "
        "benchmarks/cost_model/fit.py` fits to counts in QEMU. The table gives the largest error "
        "of all kernels of a core on layers that were not in the fit:",
        "",
        "| core | kernels | largest error | layout |",
        "|---|---|---|---|",
    ]
    for target in DEVICES:
        kernels = load("sparse_kernels.json")["targets"][target]
        errors = {name: kernel["held_out_error"] for name, kernel in kernels.items()}
        worst = max(errors, key=lambda name: errors[name])
        lines.append(f"| {target} | {len(errors)} | {errors[worst]:.1%} | `{worst}` |")
    lines += [
        "",
        "A second model, not validated by measurement, computes `estimated_cycles` of `bench` and "
        "`bench-kernels`: executed instructions by class times the cycles below "
        "(`converters/cost/cycles.py`). It knows no wait states, caches or stalls, counts "
        f"{cycles.TAKEN:.0%} of the branches as taken, and counts a load or store of several "
        "registers as one, which favors kernels that use many of them. It gives an idea of the "
        "time. It cannot rank close kernels, and it cannot rank cores.",
        "",
        "| core | load | store | multiply | branch taken / not | FPU and Helium | other | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for target, t in cycles.TIMINGS.items():
        branch = f"{t.branch_taken:g} / {t.branch_not_taken:g}"
        lines.append(
            f"| {target} | {t.load:g} | {t.store:g} | {t.multiply:g} | {branch} | {t.vector:g} "
            f"| {t.other:g} | {t.source} |"
        )
    return lines


def speedups(rows: list[Row], target: str) -> dict[str, list[float]]:
    """Return the best int8 speedup at each of ZEROS, by pattern."""
    fitting = select(rows, target=target, value="int8", input_zeros=0.0)
    return {
        pattern: [
            max(float(row["speedup"]) for row in select(fitting, pattern=pattern, zeros_goal=zeros))
            for zeros in ZEROS
        ]
        for pattern in dict.fromkeys(row["pattern"] for row in rows)
    }


def panels(rows: list[Row]) -> list[tuple[list[str], dict[str, list[float]]]]:
    """Return the cores of each panel and their lines: cores with the same lines share one."""
    found: list[tuple[list[str], dict[str, list[float]]]] = []
    for target in DEVICES:
        lines = speedups(rows, target)
        for cores, others in found:
            if all(np.allclose(lines[name], others[name], rtol=SAME_LINE) for name in lines):
                cores.append(target)
                break
        else:
            found.append(([target], lines))
    return found


def plot(rows: list[Row], path: Path) -> None:
    """Speedup against zeros, a panel for each kind of core, a line for each pattern."""
    plt.rcParams |= {"svg.hashsalt": "tflm-sparsesep", "font.size": 12}
    found = panels(rows)
    figure, axes = plt.subplots(
        2, -(-len(found) // 2), figsize=(9, 8), sharex=True, sharey=True, layout="constrained"
    )
    for panel, (cores, lines) in zip(axes.flat, found, strict=True):
        for pattern, best in lines.items():
            panel.plot(np.array(ZEROS) * 100, best, marker="o", markersize=3, label=pattern)
        panel.axhline(1.0, color="black", linewidth=0.8, linestyle="--")
        panel.set_yscale("log")
        panel.set_yticks([1, 2, 5, 10, 20, 40], ["1x", "2x", "5x", "10x", "20x", "40x"])
        panel.minorticks_off()
        panel.set_title(", ".join(core.removeprefix("cortex-").upper() for core in cores))
        panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel("zero weights, %")
    for panel in axes[:, 0]:
        panel.set_ylabel("times fewer instructions than dense")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def write_page(document: dict[str, Any]) -> None:
    """docs/kernels.md and docs/kernels.svg."""
    rows = document["rows"]
    flags = {target: select(rows, target=target)[0]["flags"] for target in DEVICES}
    lines = [
        "# Kernels",
        "",
        f"Generated by `{document['command']}` from `benchmarks/kernels/results.json`.",
        "",
        f"The layer is fully-connected int8 784->300, batch 1. A speedup is the executed "
        f"instructions of dense CMSIS-NN (-O3, see `converters/cost/data/dense_cmsis_nn.json`) "
        f"over those of the sparse kernel, requantization and everything else between call and "
        f"return included. float32 kernels are compared with TFLM's. {document['compiler']}, "
        f"{document['emulator']}. QEMU counts a gather load as one instruction, so the speedups of "
        f"kernels that gather are upper bounds on cortex-m55.",
        "",
        *summary_table(rows),
        "",
        "![Speedup against zeros](kernels.svg)",
        "",
        "Zeros form blocks of the kernel's pattern. This command prints single figures:",
        "",
        "```",
        "tflm-sparsesep bench-kernels --target cortex-m4 --shape 784x300 --zeros 0.9 --json",
        "```",
        "",
        *size_section(document["code_sizes"]),
        "",
        *models_section(),
        "",
    ]
    for target in DEVICES:
        lines += [f"## {target}", "", f"`{flags[target]}`", "", *variant_table(rows, target), ""]
    (DOCS / "kernels.md").write_text("\n".join(lines[:-1]) + "\n")
    plot(rows, DOCS / "kernels.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes-only", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.sizes_only:
        document = json.loads(RESULTS.read_text()) | {"code_sizes": measure_sizes()}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    elif not arguments.report_only:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n")
    write_page(json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
