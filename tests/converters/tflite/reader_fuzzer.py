"""Coverage-guided fuzzing of the reader of .tflite files, verifier included.

    python -m tests.converters.tflite.reader_fuzzer CORPUS [options of libFuzzer]

CORPUS is a folder; small models are added to it. Needs Atheris (pip install atheris). Ends at the
first file that is neither rebuilt nor refused with a ModelError.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.models import dense_models
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor

# A rebuilt file may unfold bytes that were shared in the damaged one: same bound, plus vtables.
MAX_GROWTH, GROWTH_SLACK = 16, 1 << 20


def small_models() -> list[bytes]:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (6, 10)).astype(np.int8)
    layer = dense_models.FullyConnectedLayer(
        weights, np.arange(6, dtype=np.int32), rng.uniform(0.01, 0.02, 6), 0.5, 2, "RELU"
    )
    head = dense_models.FullyConnectedLayer(weights[:3, :6], None, 0.02, 0.5, -7)
    per_tensor = dense_models.fully_connected_chain(
        [layer, head], input_shape=[1, 10], input_scale=0.1, input_zero_point=0
    )
    conv = dense_models.conv_1x1_model(
        weights,
        np.arange(6, dtype=np.int32),
        input_shape=[1, 2, 2, 10],
        input_scale=0.1,
        input_zero_point=0,
        weight_scales=rng.uniform(0.01, 0.02, 6),
        output_scale=0.5,
        output_zero_point=0,
    )
    floats = dense_models.float_fully_connected_model(
        weights.astype(np.float32), None, input_shape=[2, 10], activation="RELU6"
    )
    return [per_tensor, conv, floats, with_extras(per_tensor)]


def with_extras(data: bytes) -> bytes:
    """The same model with a second subgraph, metadata and a signature to damage."""
    model = editor.read(data)
    main = model.subgraphs[0]
    model.subgraphs.append(editor.Subgraph("again", inputs=main.inputs, outputs=main.outputs))
    model.set_metadata("OfflineMemoryAllocation", bytes(12) + bytes(range(40)))
    alias = [("x", main.inputs[0])]
    model.signatures = [editor.Signature("serve", main, alias, alias)]
    return editor.write(model)


def outcome(data: bytes) -> str:
    """Read and rebuild damaged bytes; what happened. Anything but a ModelError escapes."""
    try:
        model = editor.read(data, name="damaged.tflite")
    except ModelError as error:
        message = str(error)
        one_line = message.startswith("damaged.tflite: ") and "\n" not in message
        return "refused" if one_line else f"bad message {message!r}"
    built = editor.write(model)
    assert len(built) < MAX_GROWTH * len(data) + GROWTH_SLACK
    assert editor.write(editor.read(built)) == built
    editor.prune_unused(model)
    editor.read(editor.write(model))
    return "rebuilt"


def _functions() -> Iterator[Any]:
    """Yield the functions and methods of the modules that read files."""
    for name, module in list(sys.modules.items()):
        if name.startswith(editor.__package__ or ""):
            parts = [x for x in vars(module).values() if getattr(x, "__module__", "") == name]
            methods = [x for part in parts if isinstance(part, type) for x in vars(part).values()]
            yield from (x for x in (*parts, *methods) if hasattr(x, "__code__"))


def main() -> None:
    """Fuzz until libFuzzer's limits are reached."""
    atheris = importlib.import_module("atheris")
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, model in enumerate(small_models()):
        (corpus / f"seed{number}").write_bytes(model)
    for function in _functions():
        atheris.instrument_func(function)
    atheris.Setup(sys.argv, lambda data: outcome(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
