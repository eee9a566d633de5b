"""Whole networks compressed without labels and training, against float32 on TFLM.

    python benchmarks/compression/measure.py [NET ...] [--part N] [--fewer N]
                                             [--cache FOLDER] [--report-only]

takes trained networks (`nets.py`), compresses them to the budgets of BUDGETS, or to an Nth of their
size and so many times fewer instructions on M4 than float32, and writes results.json, where rows of
other budgets stay, and the tables of README.md and docs/compression.md. With
--report-only nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import float_layers
import nets
import numpy as np
import numpy.typing as npt
import tables
from threadpoolctl import threadpool_limits

import tflm_sparsesep as ts
from tflm_sparsesep.compression.budget_search import Budget, pareto
from tflm_sparsesep.compression.model_search import best_trial
from tflm_sparsesep.compression.parallel import mapper
from tflm_sparsesep.compression.trial_builder import BuilderCall, Trial, TrialJob
from tflm_sparsesep.compression.trials import Trials
from tflm_sparsesep.converters import model_cost, op_names
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.activations import input_sparsity_tflm
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

# The file is to be so much smaller than float32's, and instructions on M4 so many times fewer: for
# 20 and 10 times on average over the networks, more where an earlier search had points to spare.
BUDGETS: dict[str, tuple[int, float]] = {
    "lenet_300_100": (24, 14),
    "lenet_5": (20, 8),
    "watch_dnn": (24, 14),
    "watch_cnn": (16, 6),
}
NETS = tuple(BUDGETS)
TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4")
# Unlabelled; a quarter of them measures the SQNR.
SAMPLES = 4000
RESULTS = Path(__file__).with_name("results.json")

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"of {', '.join(NETS)}")
    parser.add_argument(
        "--part", type=int, help="the file is to be so much smaller; by default as in BUDGETS"
    )
    parser.add_argument("--fewer", type=float, help="instructions on M4 are to be so many times")
    parser.add_argument("--cache", type=Path, help="where trials are kept; else nowhere")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    document: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"nets": {}}
    if not arguments.report_only:
        for name in arguments.nets or NETS:
            part, fewer = BUDGETS[name]
            if arguments.part:
                part, fewer = arguments.part, arguments.fewer
            measure(name, part, fewer, arguments.cache, document["nets"])
            order = {key: document["nets"][key] for key in NETS if key in document["nets"]}
            document = {"command": "python benchmarks/compression/measure.py", "nets": order}
            RESULTS.write_text(json.dumps(document, indent=1) + "\n")
            tables.write(document)
    tables.write(document)


def measure(
    name: str, part: int, fewer: float | None, cache_dir: Path | None, document: Row
) -> None:
    """Everything about one network in one budget."""
    net = nets.load(name)
    baseline = {target: float_instructions(net, target) for target in TARGETS}
    dense: Row = {
        "float_accuracy": percent(net.float_accuracy),
        "int8_accuracy": accuracy(net, net.int8, runtime="litert"),  # faster, and nearly the same
        "float_weights": constant_bytes(net.float32),
        "float_arena": arena_bytes(net.float32),
        "float_instructions": baseline,
        "samples": min(SAMPLES, len(net.x_train)),
    }
    print(name, dense, flush=True)
    start = time.process_time()
    samples = net.x_train[:SAMPLES]
    rows = {_budget_of(row): row for row in document.get(name, {}).get("compressed", [])}
    row: Row = {"part": part, "fewer": fewer}
    job = TrialJob(net.int8, [samples], None, "cortex-m4", name, cache_dir)
    with (
        threadpool_limits(limits=1),  # as `compress` does: on threads depend the last bits
        mapper(BuilderCall(job), workers=1) as calls,
    ):
        trials = Trials(job, calls)
        trial = best_trial(trials, budget_of(net, part, fewer))
    row |= compressed(net, trial, dense)
    print(row, flush=True)
    rows[_budget_of(row)] = row
    visited = [trial.point for trial in trials.done.values()]
    others = other_instructions(net)
    front = [[p.sqnr_db, p.flash_bytes, p.instructions - others] for p in pareto(visited)]
    dense["search_cpu_seconds"] = round(time.process_time() - start)
    document[name] = dense | {
        "compressed": [rows[key] for key in sorted(rows)],
        "pareto": [point for point in front if np.isfinite(point[0])],
    }


def budget_of(net: nets.Net, part: int, fewer: float | None) -> Budget:
    """A part of the float32 file, in layers so many times fewer instructions on M4 than float32."""
    most = None
    if fewer:
        most = int(float_instructions(net, "cortex-m4") / fewer) + other_instructions(net)
    return Budget(flash_bytes=len(net.float32) // part, instructions=most)


def float_instructions(net: nets.Net, target: str) -> int:
    """Executed by the float32 network's layers."""
    return sum(float_layers.count(target, float_layers.shapes_of(net.float32)))


def other_instructions(net: nets.Net) -> int:
    """On M4, of the int8 network's operators without weights."""
    model, target = editor.read(net.int8), "cortex-m4"
    layers = model_cost.layer_instructions(model, (), target)
    return model_cost.instructions(model, (), target) - sum(layers.values())


def _budget_of(row: Row) -> tuple[int, float]:
    """Smallest files first."""
    return -int(row["part"]), float(row.get("fewer") or 0)


def compressed(net: nets.Net, trial: Trial, dense: Row) -> Row:
    """One compressed network, rewritten for each core."""
    row: Row = {
        "sqnr_db": round(trial.point.sqnr_db, 2),
        "forms": list(trial.point.forms),
        "accuracy": accuracy(net, trial.rewritten.tflite),
        "weights": constant_bytes(trial.rewritten.tflite),
        "arena": arena_bytes(trial.rewritten.tflite),
        "file": len(trial.rewritten.tflite),
        "instructions": {},
    }
    for target in TARGETS:
        row["instructions"][target] = instructions(net, trial, target)
    before = dense["float_weights"] + dense["float_arena"]
    row["points_lost"] = round(dense["float_accuracy"] - row["accuracy"], 2)
    row["memory_ratio"] = round(before / (row["weights"] + row["arena"]), 1)
    row["instruction_ratios"] = {
        target: round(dense["float_instructions"][target] / row["instructions"][target], 1)
        for target in TARGETS
    }
    return row


def instructions(net: nets.Net, trial: Trial, target: str) -> int:
    """Of all layers: ours executed in QEMU, dense int8 ones as CMSIS-NN (cost model)."""
    zeros = input_sparsity_tflm(trial.tflite, [net.x_train])
    result = rewrite(trial.tflite, target=target, input_zeros=zeros)
    figures = ts.benchmark(result.tflite, target=target, inputs=net.x_test[:2])
    if not all(layer.bit_exact for layer in figures):
        raise RuntimeError(f"{net.name} on {target}: outputs differ from TFLM's")
    operators = editor.read(result.tflite).subgraphs[0].operators
    rest = sum(model_cost.dense_instructions(op, target) for op in operators)
    return rest + sum(layer.sparse_instructions for layer in figures)


def accuracy(net: nets.Net, tflite: bytes, runtime: str = "tflm") -> float:
    """Per cent of the test samples that it gets right."""
    (scores,) = ts.run(tflite, net.x_test, runtime=runtime, progress=False)
    return percent(_right(scores, net.y_test))


def _right(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    return float(np.mean(scores.reshape(len(labels), -1).argmax(axis=1) == labels))


def percent(share: float) -> float:
    return round(100 * share, 2)


def constant_bytes(tflite: bytes) -> int:
    """Weights and biases, packed or not."""
    codes = (
        editor.BuiltinOperator.FULLY_CONNECTED,
        editor.BuiltinOperator.CONV_2D,
        editor.BuiltinOperator.DEPTHWISE_CONV_2D,
    )
    return sum(
        tensor.buffer.data.nbytes
        for op in editor.read(tflite).operators
        if op.builtin_code in codes or op.custom_code in op_names.ALL
        for tensor in op.inputs[1:]
        if tensor is not None and tensor.buffer
    )


def arena_bytes(tflite: bytes) -> int:
    """What TFLM uses of its arena, in a 64-bit process."""
    found = TflmInterpreter(tflite, editor.read(tflite)).arena_bytes
    assert found is not None  # no tensors are preserved
    return found


if __name__ == "__main__":
    main()
