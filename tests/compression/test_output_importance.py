"""Importance of a convolution's outputs, measured in LiteRT, against what is known to matter."""

from __future__ import annotations

import numpy as np

from tests.support.models.operator_models import GraphBuilder
from tests.support.tensors import quantization_of, values_of
from tflm_sparsesep.compression.output_importance import output_importance
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Quantization
from tflm_sparsesep.runtime.litert_tensors import litert_tensors


def test_importance_is_what_follows_makes_of_an_error() -> None:
    graph = GraphBuilder(3, quantized=True)
    x = graph.conv(graph.input(1, 6, 6, 2), 4, (3, 3), padding="VALID")
    scores = graph.fully_connected(graph.reshape(x, 1, 64), 40)
    scores.quantization = Quantization(0.03, 0)  # fine steps: rounding must not drown what is seen
    tflite = graph.build()
    main = editor.read(tflite).subgraphs[0]
    activations = [t for op in main.operators for t in op.outputs]
    indices = [main.tensors.index(t) for t in [*main.inputs, *activations]]
    values = litert_tensors(tflite, indices, graph.samples(64))
    found = output_importance(main, 0, dict(zip([*main.inputs, *activations], values, strict=True)))
    # Errors of all places and units are independent: each comes through by its own weights.
    dense = main.operators[2].weights
    real = values_of(dense) * quantization_of(dense).scales[:, None]
    wanted = np.square(real).sum(axis=0).reshape(16, 4).sum(axis=0)
    # 64 samples, of each as many numbers as there are outputs that weigh alike, about 20: squares
    # of normal numbers, so sqrt(2 / 1280) = 4% of noise; twice that for int8, times two.
    np.testing.assert_allclose(found / found.sum(), wanted / wanted.sum(), rtol=0.15)


def test_scores_count_and_not_probabilities() -> None:
    graph = GraphBuilder(4, quantized=True)
    x = graph.conv(graph.input(1, 6, 6, 2), 4, (3, 3), padding="VALID")
    scores = graph.fully_connected(graph.reshape(x, 1, 64), 5)
    graph.function("SOFTMAX", scores)
    tflite = graph.build()
    main = editor.read(tflite).subgraphs[0]
    activations = [t for op in main.operators for t in op.outputs]
    indices = [main.tensors.index(t) for t in [*main.inputs, *activations]]
    arrays = litert_tensors(tflite, indices, graph.samples(64))
    values = dict(zip([*main.inputs, *activations], arrays, strict=True))
    logits = output_importance(main, 0, values)
    main.operators.pop()
    main.outputs[:] = [activations[2]]
    np.testing.assert_array_equal(output_importance(main, 0, values), logits)
    np.testing.assert_array_equal(output_importance(main, 2, values), np.ones(5))
