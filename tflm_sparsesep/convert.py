"""`convert`: a trained model in, a .tflite with sparse layers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.page_model import page_model
from tflm_sparsesep.converters.rewrite import rewrite, written
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.dense_constants import make_dense
from tflm_sparsesep.model_input import calibrate
from tflm_sparsesep.runtime.activations import MAX_SAMPLES, input_sparsity_tflm
from tflm_sparsesep.runtime.representative_dataset import RepresentativeDataset


@dataclass(frozen=True)
class ConvertResult:
    """Result of `convert`.

    Attributes:
        tflite: the model with custom operators where they reduce its cost.
        layers: one decision for each layer that a pass examined, in execution order.
        dense_tflite: the model before it was rewritten.
        dense_instructions, instructions: estimates of the model for one inference, before and
            after (nanoseconds on target `host`).
        external: with `page_bytes`, the image of the external memory that holds the paged weights;
            else None.
        uncounted: operators that no estimate includes, because their cost is not known.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    dense_instructions: int
    instructions: int
    external: bytes | None = None
    uncounted: tuple[str, ...] = ()


def convert(
    model: Any,
    *,
    representative_dataset: RepresentativeDataset | None = None,
    target: str = "cortex-m4",
    prefer: Prefer | None = None,
    page_bytes: int | None = None,
    name: str | None = None,
) -> ConvertResult:
    """Rewrite the layers of a model that get smaller and faster on `target`.

    Args:
        model: the bytes or the path of a .tflite file, a Keras model, or the path of a .keras
            file.
        representative_dataset: sample inputs such as the model was trained on (200 are plenty): an
            array [samples, ...]; for several inputs a list or tuple with one such array per input,
            or a dict by input name; or a function that yields samples, each an array, or a list,
            tuple or dict with one array per input. Keras models are quantized with it, which is
            why they require it. For all models that TFLM runs it tells how many activations are
            zero: kernels that skip zero inputs are chosen only where that is known.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        prefer: of the layouts that make a layer both smaller and faster, "flash" takes the
            smallest one; None the one with the least bytes times instructions; "speed" the
            fastest, for which a layer may grow by a fifth.
        page_bytes: where flash is short: larger packed weights go to an external memory, in pages
            of at most this many bytes (docs/paging.md).
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model is not usable, or its weights are not finite.
        ConfigError: an argument is not accepted.
        ToolMissingError: what reads or quantizes a Keras model is not installed.

    Examples:
        >>> result = convert("model_int8.tflite", target="cortex-m4")  # doctest: +SKIP
        >>> [layer.name for layer in result.layers if layer.rewritten]  # doctest: +SKIP
    """
    given = calibrate(model, representative_dataset, name=name, limit=MAX_SAMPLES)
    source, name = given.tflite, given.name
    dense_model = editor.read(source, name=name)
    dense = written(dense_model, source) if make_dense(dense_model) else source
    zeros = input_sparsity_tflm(dense, given.samples, name=name)
    result = rewrite(source, target=target, input_zeros=zeros, name=name, prefer=prefer)
    before = model_cost.instructions(dense_model, (), target)
    rewritten = editor.read(result.tflite, name=name)
    after = model_cost.instructions(rewritten, result.layers, target)
    uncounted = model_cost.uncounted(rewritten, result.layers, target)
    tflite, external = result.tflite, None
    if page_bytes is not None:
        paged = page_model(result.tflite, page_bytes=page_bytes, name=name)
        tflite, external = paged.tflite, paged.external
    return ConvertResult(tflite, result.layers, source, before, after, external, tuple(uncounted))
