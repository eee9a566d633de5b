"""The conversion of a .tflite file: read, check, passes, prune, shorten names, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.cost.choose_layout import Prefer, check_preference
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import check_structure, layer_name
from tflm_sparsesep.converters.passes import (
    depthwise_conv,
    fuse_depthwise_block,
    fuse_residual,
    fuse_separable_pair,
    remove_constant_channels,
    sparse_conv_2d,
    sparse_fully_connected,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.appended import append_files, appended_files
from tflm_sparsesep.converters.tflite.dense_constants import Dense
from tflm_sparsesep.converters.tflite.editor import Model, Subgraph
from tflm_sparsesep.converters.tflite.references import buffer_users, called_subgraphs
from tflm_sparsesep.converters.tflite.writer import BUFFER_ALIGNMENT, LITERT_ALIGNMENT

# Pairs come first: a convolution of a pair could also become sparse.
PASSES: tuple[ModuleType, ...] = (
    fuse_separable_pair,
    depthwise_conv,
    sparse_fully_connected,
    sparse_conv_2d,
)


@dataclass(frozen=True)
class RewriteResult:
    """The new file, and the decision about each layer in execution order."""

    tflite: bytes
    layers: list[LayerDecision]


def rewrite(
    data: bytes,
    *,
    target: str,
    input_zeros: Mapping[str, float] | None = None,
    name: str = "model",
    prefer: Prefer | None = None,
) -> RewriteResult:
    """Replace the layers of a .tflite file that get smaller and faster on `target`.

    Target, input_zeros and prefer are those of `Conversion`; `name` is that of the model in errors.

    Raises:
        ModelError: the bytes are not a usable model.
        ConfigError: the target or the preference is unknown.
    """
    model = editor.read(data, name=name)
    names.make_unique(model)
    dense = Dense(model, stays_stored=target == "host")
    conversion = Conversion(
        get_target(target).name, input_zeros or {}, check_preference(prefer), buffer_users(model)
    )
    try:
        check(model)
        layers = [
            d for subgraph in planned(model, target) for d in run_passes(subgraph, conversion)
        ]
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    dense.finish()
    tidy(model)
    rewritten = written(model, data, target=target)
    if not any(layer.rewritten for layer in layers) and len(rewritten) >= len(data):
        rewritten = data
    return RewriteResult(rewritten, layers)


def written(model: Model, source: bytes, *, target: str | None = None) -> bytes:
    """Return the model as .tflite bytes, with the files that are packed after `source`.

    Blobs for the host are aligned as LiteRT 2 asks. Microcontrollers read them at 16 bytes, and
    their files stay small.
    """
    alignment = LITERT_ALIGNMENT if target == "host" else BUFFER_ALIGNMENT
    return append_files(editor.write(model, blob_alignment=alignment), appended_files(source))


def planned(model: Model, target: str) -> list[Subgraph]:
    """Return the subgraphs that the runtime of `target` plans scratch memory for.

    TFLM crashes on scratch in a subgraph that the first one does not call.
    """
    return model.subgraphs if target == "host" else called_subgraphs(model)


def run_passes(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite `subgraph`; return one decision for each layer, in execution order."""
    for op in subgraph.operators:
        check_structure(op)
    removed = remove_constant_channels.run(subgraph, conversion)
    order = {layer_name(op): at for at, op in enumerate(subgraph.operators)}
    blocks = fuse_depthwise_block.find(subgraph, conversion)
    decisions = [d for one_pass in PASSES for d in one_pass.run(subgraph, conversion)]
    decisions = fuse_residual.run(subgraph, decisions, conversion)
    # Last, because it weighs the blocks against what became of their layers.
    decisions = fuse_depthwise_block.run(subgraph, blocks, decisions, conversion)
    decisions = [_with_removed(d, removed.get(d.name, 0)) for d in decisions]
    return sorted(decisions, key=lambda decision: order[decision.name])


def _with_removed(decision: LayerDecision, channels: int) -> LayerDecision:
    """Return `decision` with the constant or unread channels that left its layer in the reason."""
    if not channels:
        return decision
    reason = f"{channels} constant or unread channels removed; {decision.reason}"
    return dataclasses.replace(decision, reason=reason)


def check(model: Model) -> None:
    """Raise ModelError for a model that no pass may change."""
    for subgraph in model.subgraphs:
        for op in subgraph.operators:
            if op.custom_code in op_names.ALL:
                raise ModelError(
                    f"already rewritten: it holds {op.custom_code}; convert the original file"
                )
        for tensor in subgraph.inputs:
            if -1 in tensor.shape_signature[1:]:
                raise ModelError(
                    f"input {tensor.name!r} has the dynamic shape {list(tensor.shape_signature)}, "
                    "accepted: fixed shapes (only the batch, the first dimension, may be -1)"
                )


def tidy(model: Model) -> None:
    """Drop unused tensors and buffers, and shorten names.

    The first part of names such as "dense/MatMul;dense/Relu;dense/BiasAdd" stays: no runtime reads
    these names, and they take up to a tenth of a small file.
    """
    editor.prune_unused(model)
    for subgraph in model.subgraphs:
        known = {*subgraph.inputs, *subgraph.outputs}  # callers may look up these names
        for tensor in subgraph.tensors:
            if tensor not in known:
                tensor.name = tensor.name.split(";")[0]
