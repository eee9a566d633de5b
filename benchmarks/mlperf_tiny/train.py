"""MLPerf Tiny's networks on real data: dense, sparse by the callback, pruned by TFMOT.

    python benchmarks/mlperf_tiny/train.py resnet8 --epochs 15                       dense
    python benchmarks/mlperf_tiny/train.py resnet8 --epochs 15 --instructions 0.3 --flash 0.5
    python benchmarks/mlperf_tiny/train.py ds_cnn --epochs 10 --zeros 0.8 --values palette --teacher
    python benchmarks/mlperf_tiny/train.py ds_cnn --epochs 10 --zeros 0.8 --tfmot

trains a network of `networks.py`, converts it for four cores, and adds a row to results.json and
README.md. A setting that has a row is not run again; a training that was stopped goes on at the
epoch that it was in.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1] / "accuracy"))

import environment
import figures
import keras
import numpy as np
import recipe
import rows
from measure import constant_bytes
from networks import NETWORKS
from samples import Data

import tflm_sparsesep as ts
from tflm_sparsesep.quantize import quantize

WORK = Path(__file__).parents[2] / "build/mlperf_tiny"
# Training samples that set the scales of activations.
CALIBRATION = 300


def main() -> None:
    arguments = _parse()
    command = _command(arguments)
    if rows.find(command) is not None:
        print(f"{command}: has a row already")
        return
    dense = _dense_row(arguments) if _is_sparse(arguments) else None
    recipe.prepare_tensorflow()
    data = load(arguments)
    model = train(arguments, data)
    int8 = _int8(model, data)
    x_test = data.x_test.astype(np.float32)
    found = figures.judge(int8, x_test, data.y_test, judged=arguments.judged)
    row = {
        "model": arguments.network,
        "method": _method(arguments),
        "detail": _detail(arguments),
        "zeros": round(zeros(model), 4),
        "seed": arguments.seed,
        "dense_accuracy": (dense or found)["accuracy"],
        **found,
        "epochs": arguments.epochs,
        "samples": len(data.x_train),
        "command": command,
    }
    rows.add(row)
    print(row)


def load(arguments: argparse.Namespace) -> Data:
    """Return the samples, as many training samples as were asked for."""
    data = NETWORKS[arguments.network].load(arguments.work, arguments.seed)
    count = arguments.samples
    return replace(data, x_train=data.x_train[:count], y_train=data.y_train[:count])


def train(arguments: argparse.Namespace, data: Data) -> Any:
    """Return the trained network; from the folder of work if it is there."""
    folder = arguments.work / _command(arguments).split(maxsplit=2)[-1].replace(" ", "_")
    finished = folder / "model.keras"
    if finished.exists():
        return keras.models.load_model(finished)
    folder.mkdir(parents=True, exist_ok=True)
    network = NETWORKS[arguments.network]
    keras.utils.set_random_seed(arguments.seed)
    model = network.build(keras)
    if arguments.tfmot:
        _train_with_tfmot(arguments, model, folder)
    else:
        callbacks = [callback(arguments, data)] if _is_sparse(arguments) else []
        callbacks.append(keras.callbacks.BackupAndRestore(folder / "backup"))
        how = {"epochs": arguments.epochs, "seed": arguments.seed, "callbacks": callbacks}
        recipe.fit(keras, model, network, data, **how)
    model.save(finished)
    return model


def callback(arguments: argparse.Namespace, data: Data) -> ts.ProximalL1:
    """Return the callback that reaches the zeros in every layer, or the budgets."""
    needs_dense = arguments.teacher or arguments.zeros is None
    dense = train(_dense(arguments), data) if needs_dense else None
    teacher = dense if arguments.teacher else None
    common: dict[str, Any] = {"pattern": arguments.pattern, "teacher": teacher}
    common |= {"values": arguments.values, "target": figures.MAIN_TARGET}
    if arguments.zeros is None:
        common |= _budgets(arguments, _int8(dense, data))
        return ts.ProximalL1(**common)
    share = arguments.zeros
    return ts.ProximalL1(zeros=share, layers={"(?!depthwise).*": share}, **common)


def _budgets(arguments: argparse.Namespace, dense: bytes) -> dict[str, int]:
    """Return the budgets that were asked for as shares of a dense int8 file."""
    budgets = {}
    if arguments.instructions is not None:
        whole = figures.dense_instructions(dense, figures.MAIN_TARGET)
        budgets["instructions"] = round(arguments.instructions * whole)
    if arguments.flash is not None:
        budgets["flash_bytes"] = round(arguments.flash * constant_bytes(dense))
    return budgets


def _train_with_tfmot(arguments: argparse.Namespace, model: Any, folder: Path) -> None:
    initial, trained, request = (folder / n for n in ("initial.npz", "trained.npz", "request.json"))
    np.savez(initial, *model.get_weights())
    names = ("network", "epochs", "samples", "seed", "zeros")
    asked = {name: getattr(arguments, name) for name in names}
    files = {"work": arguments.work, "initial": initial, "trained": trained}
    request.write_text(json.dumps(asked | {name: str(path) for name, path in files.items()}))
    worker = Path(__file__).with_name("tfmot_worker.py")
    subprocess.run([environment.tfmot_python(), worker, request], check=True)
    weights = np.load(trained)
    model.set_weights([weights[name] for name in weights.files])


def zeros(model: Any) -> float:
    """Return the fraction of zeros over all kernels of convolutions and Dense layers."""
    layers = [x for x in model.layers if isinstance(x, (keras.layers.Conv2D, keras.layers.Dense))]
    kernels = [np.asarray(layer.kernel) for layer in layers]
    return sum(int(np.sum(k == 0)) for k in kernels) / sum(k.size for k in kernels)


def _int8(model: Any, data: Data) -> bytes:
    return quantize(model, data.x_train[:CALIBRATION].astype(np.float32))


def _is_sparse(arguments: argparse.Namespace) -> bool:
    goals = (arguments.zeros, arguments.instructions, arguments.flash)
    return any(goal is not None for goal in goals)


def _method(arguments: argparse.Namespace) -> str:
    if not _is_sparse(arguments):
        return "dense"
    return "tfmot" if arguments.tfmot else "ours"


def _detail(arguments: argparse.Namespace) -> str:
    """Return what the table says of the method."""
    if _method(arguments) != "ours":
        return ""
    goals = {"zeros": "zeros=", "instructions": "instructions=", "flash": "flash_bytes="}
    asked = [text for name, text in goals.items() if getattr(arguments, name) is not None]
    values = f" {arguments.values}" if arguments.values else ""
    teacher = ", teacher" if arguments.teacher else ""
    return f", {' '.join(asked)} {arguments.pattern}{values}{teacher}"


def _dense(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of the dense network that is trained alike."""
    goals = {"zeros": None, "instructions": None, "flash": None}
    method = {"values": None, "teacher": False, "tfmot": False}
    return argparse.Namespace(**vars(arguments) | goals | method)


def _dense_row(arguments: argparse.Namespace) -> rows.Row:
    command = _command(_dense(arguments))
    row = rows.find(command)
    if row is None:
        raise SystemExit(f"results.json has no dense network trained alike; run first: {command}")
    return row


def _command(arguments: argparse.Namespace) -> str:
    parts = [f"python benchmarks/mlperf_tiny/train.py {arguments.network}"]
    names = ["epochs", "samples", "seed"]
    optional = ["zeros", "instructions", "flash"]
    optional += ["pattern", "values"] if _method(arguments) == "ours" else []
    names += [name for name in optional if getattr(arguments, name) is not None]
    parts += [f"--{name} {getattr(arguments, name)}" for name in names]
    parts += [f"--{name}" for name in ("teacher", "tfmot") if getattr(arguments, name)]
    return " ".join(parts)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=20, help="of training; default 20")
    parser.add_argument("--samples", type=int, default=50_000, help="training samples at most")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order, changes and fold")
    parser.add_argument("--zeros", type=float, help="fraction in each layer; by default dense")
    parser.add_argument("--instructions", type=float, help="on Cortex-M4, of the dense ones")
    parser.add_argument("--flash", type=float, help="bytes of weights, of the dense ones")
    parser.add_argument("--pattern", default="1x1", help="of the zeros; default 1x1")
    parser.add_argument("--values", choices=("int8", "palette"), help="weights are rounded to")
    parser.add_argument("--teacher", action="store_true", help="the dense network teaches")
    parser.add_argument("--tfmot", action="store_true", help="TFMOT prunes to --zeros")
    parser.add_argument("--judged", type=int, default=10_000, help="test samples; default all")
    parser.add_argument("--work", type=Path, default=WORK, help="where trainings are kept")
    arguments = parser.parse_args()
    if arguments.tfmot and arguments.zeros is None:
        parser.error("--tfmot takes --zeros")
    if arguments.zeros is not None and (arguments.instructions or arguments.flash):
        parser.error("--zeros takes neither --instructions nor --flash")
    return arguments


if __name__ == "__main__":
    main()
