"""The whole path on real data: train, quantize, rewrite, run in TFLM, count on a Cortex-M4."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from tflm_sparsesep import report, runtimes
from tflm_sparsesep.benchmark import benchmark
from tflm_sparsesep.convert import ConvertResult, convert
from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.datasets import Dataset, load_demo_dataset
from tflm_sparsesep.runtime import files
from tflm_sparsesep.runtime.quiet import quiet
from tflm_sparsesep.table_layout import print_table

TARGET = "cortex-m4"
EPOCHS = 20
BATCH_SIZE = 128
ZEROS = 0.92
SEED = 0
CALIBRATION_SAMPLES = 200
DEVICE_SAMPLES = 100
_PACKAGES = ("tensorflow", "keras", "tflite_micro")


def run_demo(*, data_dir: Path | None = None, output_dir: Path, console: Console) -> dict[str, Any]:
    """Run the demo, print its table, and return the contents of summary.json.

    LeNet-300-100 is trained twice with the same seed, epochs and batches: as it is, for
    comparison, and with `ProximalL1`. Both are quantized to int8 and run on all test images in
    the real TFLM interpreter. The sparse layers also run on an emulated Cortex-M4, on the
    activations that entered them in TFLM. `data_dir` may hold Fashion-MNIST's four .gz files.

    Raises:
        ConfigError: the data or the output folder cannot be used.
        ToolMissingError: what trains or runs the models is not installed.
    """
    _check_packages()
    start = time.monotonic()
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output_dir}: cannot be made: {error.strerror}") from None
    data = load_demo_dataset(data_dir)
    console.print(
        f"Data: {data.name}, {len(data.x_train):,} training and {len(data.x_test):,} test images"
    )
    console.print(f"Training LeNet-300-100 twice, {EPOCHS} epochs each: dense, then ProximalL1")
    with Progress(console=console) as progress:
        baseline, accuracy = _train(data, progress, sparse=False)
        sparse, sparse_accuracy = _train(data, progress, sparse=True)
    console.print("Quantizing to int8 and rewriting layers")
    calibration = data.x_train[:CALIBRATION_SAMPLES]
    dense_result = convert(baseline, representative_dataset=calibration, target=TARGET)
    result = convert(sparse, representative_dataset=calibration, target=TARGET)
    files.write_atomically(output_dir / "model_dense.tflite", dense_result.dense_tflite)
    files.write_atomically(output_dir / "model_sparse.tflite", result.tflite)

    console.print(f"Running {len(data.x_test):,} test images in TFLM, dense and sparse")
    summary: dict[str, Any] = {
        "data": data.name,
        "float_accuracy": accuracy,
        "sparse_float_accuracy": sparse_accuracy,
        "dense_int8_accuracy": _tflm_accuracy(dense_result.dense_tflite, data),
        "sparse_int8_accuracy": _tflm_accuracy(result.tflite, data),
        "zeros": _zeros(result.dense_tflite),
        "dense_tflite_bytes": len(dense_result.dense_tflite),
        "sparse_tflite_bytes": len(result.tflite),
        "dense_instructions": result.dense_instructions,
        "sparse_instructions": result.instructions,
        "target": TARGET,
    }
    summary |= _measure(result, data.x_test[:DEVICE_SAMPLES], console)
    summary["seconds"] = round(time.monotonic() - start, 1)
    files.write_atomically(
        output_dir / "summary.json", (json.dumps(summary, indent=2) + "\n").encode()
    )
    _print_summary(summary, output_dir, console)
    return summary


def _train(data: Dataset, progress: Progress, *, sparse: bool) -> tuple[Any, float]:
    """Return a float Keras model and its accuracy on the test images."""
    with quiet():  # TensorFlow looks for GPUs here
        model = _lenet_300_100(data)
    import keras

    from tflm_sparsesep.training.proximal_l1 import ProximalL1

    bar = progress.add_task("sparse" if sparse else "dense ", total=EPOCHS)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: progress.advance(bar))]
    if sparse:
        callbacks.append(ProximalL1(zeros=ZEROS))
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        callbacks=callbacks,
        verbose=0,
    )
    _, accuracy = model.evaluate(data.x_test, data.y_test, batch_size=1000, verbose=0)
    return model, float(accuracy)


def _lenet_300_100(data: Dataset) -> Any:
    import keras

    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input(data.x_train.shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(300, activation="relu"),
            keras.layers.Dense(100, activation="relu"),
            keras.layers.Dense(data.classes, activation="softmax"),
        ],
        name="lenet_300_100",
    )
    steps = EPOCHS * -(-len(data.x_train) // BATCH_SIZE)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _tflm_accuracy(tflite: bytes, data: Dataset) -> float:
    (scores,) = runtimes.run(tflite, data.x_test, runtime="tflm")
    return float(np.mean(np.argmax(scores.reshape(len(scores), -1), axis=1) == data.y_test))


def _zeros(tflite: bytes) -> float:
    """Return the fraction of zero weights, before channels without any leave the model."""
    operators = editor.read(tflite).operators
    weights = [op.weights.array for op in operators if op.op_name == "FULLY_CONNECTED"]
    flat = np.concatenate([array.reshape(-1) for array in weights if array is not None])
    return float(np.mean(flat == 0))


def _measure(result: ConvertResult, samples: npt.NDArray[Any], console: Console) -> dict[str, Any]:
    """Return the part of the summary that needs the emulator; nulls without it."""
    try:
        console.print(f"Running {len(samples)} images through each sparse layer on {TARGET}")
        figures = benchmark(result.tflite, target=TARGET, inputs=samples)
    except ToolMissingError as error:
        console.print(f"No Cortex-M figures: {error}", style="yellow", markup=False)
        return {"layers": _estimated_layers(result), "bit_exact_tflm_vs_cortex_m": None}
    print_table(console, report.figures_table(figures, TARGET))
    return {
        "layers": [figure.to_json() for figure in figures],
        "bit_exact_tflm_vs_cortex_m": all(figure.bit_exact for figure in figures),
        "device_samples": len(samples),
    }


def _estimated_layers(result: ConvertResult) -> list[dict[str, Any]]:
    """Return the rewritten layers with the figures that need no emulator."""
    return [
        layer.to_json() | {"sparse_instructions": None}
        for layer in result.layers
        if layer.rewritten
    ]


def _print_summary(summary: dict[str, Any], output_dir: Path, console: Console) -> None:
    dense, sparse = summary["dense_tflite_bytes"], summary["sparse_tflite_bytes"]
    exact = {True: "yes", False: "NO", None: "not checked"}[summary["bit_exact_tflm_vs_cortex_m"]]
    lines = [
        f"accuracy: float {summary['float_accuracy']:.2%}, dense int8 "
        f"{summary['dense_int8_accuracy']:.2%}, sparse int8 {summary['sparse_int8_accuracy']:.2%}"
        f" (int8 in TFLM, {summary['zeros']:.1%} zeros)",
        f".tflite: {dense:,} -> {sparse:,} bytes ({sparse / dense:.1%})",
        f"instructions of the model, estimated: {summary['dense_instructions']:,} -> "
        f"{summary['sparse_instructions']:,} on {TARGET}",
        f"Cortex-M outputs equal TFLM's: {exact}",
        f"{summary['seconds']:.0f} s; written: {output_dir}/summary.json, model_dense.tflite, "
        "model_sparse.tflite",
    ]
    for line in lines:
        console.print(line, highlight=False)


def _check_packages() -> None:
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ToolMissingError(
            f"the demo needs {', '.join(missing)}: pip install 'tflm-sparsesep[demo]'"
        )
