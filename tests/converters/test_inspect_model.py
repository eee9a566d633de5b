"""Inspection: packed layers as stored, dense layers as `rewrite` would decide."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import single_layer_model, sparse_weights
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor

DENSE = single_layer_model(sparse_weights(64, 300, 0.95))


def test_a_dense_layer_has_the_decision_of_rewrite() -> None:
    assert inspect_model(DENSE, target="cortex-m4") == rewrite(DENSE, target="cortex-m4").layers


def test_a_packed_layer_has_the_costs_that_were_decided() -> None:
    result = rewrite(DENSE, target="cortex-m4")
    (decided,) = result.layers
    (found,) = inspect_model(result.tflite, target="cortex-m4")
    assert (found.op, found.rewritten) == ("SPARSE_FULLY_CONNECTED", True)
    for field in ("rows", "cols", "batch", "zeros", "pattern", "index", "packed_bytes"):
        assert getattr(found, field) == getattr(decided, field), field
    assert found.sparse_instructions == decided.sparse_instructions
    assert found.dense_instructions == decided.dense_instructions
    assert found.variant is not None


def test_a_layer_that_was_packed_for_another_core_has_no_costs() -> None:
    dense = single_layer_model(sparse_weights(64, 300, 0.5))
    result = rewrite(dense, target="cortex-m4", prefer="speed")
    assert result.layers[0].rewritten
    (found,) = inspect_model(result.tflite, target="cortex-m0")
    assert (found.variant, found.sparse_instructions) == (None, None)
    assert found.reason.endswith("cortex-m0 has no kernel for it: convert for cortex-m0")


def test_operators_with_weights_that_no_pass_handles_are_listed() -> None:
    x, y = Tensor("x", [1, 4]), Tensor("y", [1, 4])
    table = Tensor.constant("table", np.ones((4, 4), np.float32))
    op = Operator.custom("LOOKUP", [x, table], [y])
    graph = editor.Subgraph(inputs=[x], outputs=[y], operators=[op])
    (found,) = inspect_model(editor.write(editor.Model([graph])), target="cortex-m4")
    assert (found.op, found.rewritten) == ("LOOKUP", False)
    assert found.reason == "no sparse kernel for LOOKUP"
    assert found.to_json()["rows"] is None


def test_errors() -> None:
    with pytest.raises(ConfigError, match="target 'z80' is unknown"):
        inspect_model(DENSE, target="z80")
    model = editor.read(rewrite(DENSE, target="cortex-m4").tflite)
    (op,) = model.operators
    blob = bytearray(blob_of(op))
    blob[0] ^= 1
    op.inputs[1] = Tensor.constant("damaged", np.frombuffer(bytes(blob), np.uint8))
    with pytest.raises(ModelError, match=r"^net: layer "):
        inspect_model(editor.write(model), target="cortex-m4", name="net")
