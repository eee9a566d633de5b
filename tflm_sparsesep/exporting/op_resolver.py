"""The calls that add a model's operators to a `MicroMutableOpResolver`."""

from __future__ import annotations

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite.editor import Model

# The operators of TFLM (tensorflow/lite/micro/micro_mutable_op_resolver.h, August 2026).
_TFLM_NAMES = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT
    SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
    UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
# Words that a method's name spells otherwise than with one capital letter.
_WORDS = {"2D": "2D", "V2": "V2", "MATMUL": "MatMul", "PADV2": "PadV2", "LSTM": "LSTM"}
_WORDS |= {"CUMSUM": "CumSum"}
_OURS = {
    op_names.SPARSE_FULLY_CONNECTED: "AddSparseFullyConnected",
    op_names.SEPARABLE_CONV_2D: "AddSeparableConv2D",
    op_names.SPARSE_CONV_2D: "AddSparseConv2D",
}


def resolver_calls(model: Model) -> list[str]:
    """Return one C++ call for each kind of operator in a model, in order of first use.

    Raises:
        ModelError: TFLM has no such operator.

    Example:
        >>> resolver_calls(model)  # doctest: +SKIP
        ['tflite::AddSparseFullyConnected(resolver)', 'resolver.AddSoftmax()']
    """
    kinds = {(op.op_name, op.custom_code) for graph in model.subgraphs for op in graph.operators}
    names = [op.op_name for graph in model.subgraphs for op in graph.operators]
    ordered = sorted(kinds, key=lambda kind: names.index(kind[0]))
    return [_call(name, custom is not None, model.name) for name, custom in ordered]


def _call(name: str, is_custom: bool, model_name: str) -> str:
    if is_custom and name in _OURS:
        return f"tflite::{_OURS[name]}(resolver)"
    if is_custom or name not in _TFLM_NAMES.split():
        kind = "custom operator" if is_custom else "operator"
        raise ModelError(f"{model_name}: TFLM has no {kind} {name}; accepted: models that it runs")
    return f"resolver.Add{method_suffix(name)}()"


def method_suffix(name: str) -> str:
    """Return the name of an operator as methods spell it: `MAX_POOL_2D` becomes MaxPool2D."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))
