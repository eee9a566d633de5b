"""What a model's operators share and call: constants with several users, subgraphs in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from tflm_sparsesep.converters.tflite.check import is_subgraph_index
from tflm_sparsesep.converters.tflite.graph import Model, Operator, Subgraph
from tflm_sparsesep.converters.tflite.tensor import Buffer


def buffer_users(model: Model) -> dict[Buffer, int]:
    """Return how many operators read each buffer, and how many others refer to it.

    Others are subgraph inputs and outputs, signatures and metadata: a buffer that they refer to
    stays in the file whatever becomes of the operators.
    """
    users: Counter[Buffer] = Counter()
    for op in model.operators:
        users.update({t.buffer for t in op.tensors if t.buffer is not None})
    for subgraph in model.subgraphs:
        users.update({t.buffer for t in (*subgraph.inputs, *subgraph.outputs) if t.buffer})
    for signature in model.signatures:
        users.update({t.buffer for _, t in (*signature.inputs, *signature.outputs) if t.buffer})
    users.update(entry.buffer for entry in model.metadata if entry.buffer)
    return users


def called_subgraphs(model: Model) -> list[Subgraph]:
    """Return the first subgraph and those that it calls, directly or not, in file order.

    TFLM plans memory for these only. Other subgraphs are entry points of their own.
    """
    called, pending = {0}, [0]
    while pending:
        for op in model.subgraphs[pending.pop()].operators:
            new = _called_by(op) - called
            called |= new
            pending += new
    return [subgraph for at, subgraph in enumerate(model.subgraphs) if at in called]


def _called_by(op: Operator) -> set[int]:
    found: set[int] = set()
    for options in (op.options, op.options_2):
        for field, value in vars(options).items() if options is not None else ():
            if is_subgraph_index(options, field) and value is not None:
                found |= {int(index) for index in np.atleast_1d(value) if index >= 0}
    return found


def is_shared(op: Operator, users: Mapping[Buffer, int]) -> bool:
    """Return True if the weights of a layer have other users (`buffer_users`)."""
    weights = op.inputs[1] if len(op.inputs) > 1 else None
    return weights is not None and weights.buffer is not None and users[weights.buffer] > 1
