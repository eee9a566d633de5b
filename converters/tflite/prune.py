"""The references in a model, and removal of unreferenced tensors and buffers."""

from __future__ import annotations

from tflm_sparsesep.converters.tflite import metadata
from tflm_sparsesep.converters.tflite.graph import Model, Subgraph
from tflm_sparsesep.converters.tflite.tensor import Buffer, Tensor


def prune_unused(model: Model) -> None:
    """Drop tensors, buffers and operator codes that nothing refers to.

    The tensors of operators, subgraph inputs and outputs, signatures and quantization parameters
    stay, and so do the buffers of these tensors and of metadata. Subgraphs and operators always
    stay. If metadata refers to tensors by index in a format that cannot be rewritten (`metadata`),
    all tensors and buffers stay.
    """
    in_use = {(op.builtin_code, op.custom_code, op.version) for op in model.operators}
    model.operator_codes = [code for code in model.operator_codes if tuple(code) in in_use]
    if metadata.pins_tensors(model):
        return
    for subgraph in model.subgraphs:
        used = referenced_tensors(model, subgraph)
        subgraph.tensors = [t for t in subgraph.tensors if t in used]
    buffers = set(referenced_buffers(model))
    model.buffers = [buffer for buffer in model.buffers if buffer in buffers]


def referenced_tensors(model: Model, subgraph: Subgraph) -> dict[Tensor, None]:
    """Return the referenced tensors of `subgraph`, in order of first reference."""
    used: dict[Tensor, None] = dict.fromkeys(subgraph.inputs)
    for op in subgraph.operators:
        used.update(dict.fromkeys(op.tensors))
    used.update(dict.fromkeys(subgraph.outputs))
    for signature in model.signatures:
        if signature.subgraph is subgraph:
            pairs = (*signature.inputs, *signature.outputs)
            used.update(dict.fromkeys(tensor for _, tensor in pairs))
    pending = list(used)
    while pending:  # parameters may be quantized, too
        quantization = pending.pop().quantization
        if quantization is not None:
            found = (quantization.scale_tensor, quantization.zero_point_tensor)
            new = [tensor for tensor in found if tensor is not None and tensor not in used]
            used.update(dict.fromkeys(new))
            pending += new
    return used


def referenced_buffers(model: Model) -> dict[Buffer, None]:
    """Return the buffers of listed or referenced tensors and metadata, in order of reference."""
    tensors = (t for subgraph in model.subgraphs for t in all_tensors(model, subgraph))
    found = [tensor.buffer for tensor in tensors]
    found += [entry.buffer for entry in model.metadata]
    found += model.metadata_buffers or []
    return dict.fromkeys(buffer for buffer in found if buffer is not None)


def all_tensors(model: Model, subgraph: Subgraph) -> list[Tensor]:
    """Return the tensors of `subgraph` in file order: listed ones, then other referenced ones."""
    return list(dict.fromkeys((*subgraph.tensors, *referenced_tensors(model, subgraph))))
