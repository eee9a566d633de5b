"""Checks of what operators do with their tensors and options.

They cover what every reader of operators relies on: an operator's options are of its kind, windows
move, and nothing writes into a constant. Runtimes read constants in place; one that changes after
it was checked would be read without a check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_B = schema.BuiltinOperator
# The options of operators that are read, and their numbers that are at least 1.
_STRIDES = ("strideH", "strideW")
_DILATION = ("dilationHFactor", "dilationWFactor")
_OPTIONS: dict[int, tuple[type, tuple[str, ...]]] = {
    _B.FULLY_CONNECTED: (schema.FullyConnectedOptionsT, ()),
    _B.CONV_2D: (schema.Conv2DOptionsT, (*_STRIDES, *_DILATION)),
    _B.DEPTHWISE_CONV_2D: (schema.DepthwiseConv2DOptionsT, (*_STRIDES, *_DILATION)),
}
_PADDINGS = (schema.Padding.SAME, schema.Padding.VALID)


def options_problem(builtin_code: int, options: Any) -> str | None:
    """Return why no runtime runs an operator with these options; None if there is no reason."""
    if options is None or builtin_code not in _OPTIONS:
        return None
    kind, positive = _OPTIONS[builtin_code]
    if not isinstance(options, kind):
        names = [name.__name__.removesuffix("T") for name in (type(options), kind)]
        return f"options are {names[0]}, accepted: {names[1]}"
    for name in positive:
        if getattr(options, name) < 1:
            return f"{name} is {getattr(options, name)}, accepted: at least 1"
    padding = getattr(options, "padding", _PADDINGS[0])
    if padding not in _PADDINGS:
        return f"padding is {padding}, accepted: {', '.join(map(str, _PADDINGS))}"
    return None


def written(subgraph: Any) -> Iterator[tuple[int, str]]:
    """Yield the index of each tensor that running a subgraph writes, and what writes it."""
    for index in subgraph.inputs if subgraph.inputs is not None else ():
        yield int(index), "an input"
    for at, tensor in enumerate(subgraph.tensors or ()):
        if tensor.isVariable:
            yield at, "a variable"
    for at, op in enumerate(subgraph.operators or ()):
        for index in op.outputs if op.outputs is not None else ():
            yield int(index), f"an output of operator {at}"
