"""Names of tensors as keys: layers, samples and decisions are found by them."""

from __future__ import annotations

from tflm_sparsesep.converters.tflite.graph import Model
from tflm_sparsesep.converters.tflite.prune import all_tensors


def make_unique(model: Model, *, ends: bool = False) -> bool:
    """Give tensors with the name of another one, or without a name, a name of their own.

    Inputs and outputs of the subgraphs keep theirs, because callers may look them up, unless `ends`
    says otherwise. Returns True if a name has changed.
    """
    changed = False
    for subgraph in model.subgraphs:
        kept = set() if ends else {*subgraph.inputs, *subgraph.outputs}
        taken = {tensor.name for tensor in kept} | {""}
        for at, tensor in enumerate(all_tensors(model, subgraph)):
            if tensor in kept:
                continue
            name = tensor.name
            if name in taken:
                start, rest = name.split(";", 1)[0] or "tensor", f"_{at}"
                while start + rest in taken:
                    rest += "_"
                tensor.name, changed = start + rest, True
            taken.add(tensor.name)
    return changed
