"""Fine-tune a compressed model to the outputs of the original, without labels.

The original teaches: the compressed model learns its scores, softened by a temperature where a
softmax follows, and the outputs of its layers. Both compute in real numbers rounded to int8 as in
the files (`differentiable`), so that what is learned is what TFLM computes, but for ties.

Few samples are enough, since each also serves shifted along its long axes and mixed with another
one: the teacher knows the answer for any input. The model after some epochs is measured in LiteRT
on samples that it did not learn; the best one is kept, which may be the one that was given.

This module imports TensorFlow (8 s); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tflm_sparsesep.compression.budget_search import Point
from tflm_sparsesep.compression.differentiable import DifferentiableModel
from tflm_sparsesep.compression.layer_compressor import CompressedModel, input_zeros
from tflm_sparsesep.compression.measurer import Measurer
from tflm_sparsesep.compression.segments import run_model
from tflm_sparsesep.converters.rewrite import RewriteResult
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import samples

Array = npt.NDArray[Any]

_TEMPERATURE = 4.0
_BATCH = 32
# Of the divergence of probabilities: few samples have few scores, which alone are soon learned by
# heart. The outputs of each layer count as much as all scores.
_DIVERGENCE_WEIGHT = 0.1
# A sample moves along an axis by up to this share of its length.
_SHIFT = 1 / 12
# How often the model is measured.
_MEASUREMENTS = 10
_LEAST = 1e-9
# Samples that say how many activations are zero.
_ZERO_SAMPLES = 64


@dataclass(frozen=True)
class Finetuned:
    """A model after fine-tuning, before and after rewriting, and its point."""

    tflite: bytes
    rewritten: RewriteResult
    point: Point


def finetune(
    source: bytes,
    compressed: bytes,
    measurer: Measurer,
    forms: tuple[str, ...],
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    on_epoch: Callable[[], None] = lambda: None,
) -> Finetuned | None:
    """Return the best model on held-out samples; None where none is better than the given one.

    Args:
        source: the original int8 .tflite file, which teaches.
        compressed: the output of `compress`, before rewriting.
        measurer: knows the samples.
        forms: of the layers, for the point.
        epochs: passes over the samples.
        learning_rate: of Adam at first; it falls to 0 along a cosine.
        seed: of the order of the samples and of their changes.
        on_epoch: called after each.

    Raises:
        ModelError: an operator cannot be trained.
    """
    model = editor.read(compressed)
    teacher = DifferentiableModel(editor.read(source), is_trained=False)
    student = DifferentiableModel(model, is_trained=True)
    inputs = _real_inputs(source, measurer.fitting)
    count = len(inputs[0])
    steps = epochs * math.ceil(count / _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    step = _step_of(teacher, student, keras.optimizers.Adam(rate))
    rng = np.random.default_rng(seed)
    before = _measured(model, measurer, forms)
    best = before
    every = max(1, epochs // _MEASUREMENTS)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(count)
        for start in range(0, count, _BATCH):
            batch = _changed([x[order[start : start + _BATCH]] for x in inputs], rng)
            step([tf.constant(x) for x in batch])
        on_epoch()
        if epoch % every == 0 or epoch == epochs:
            for layer in student.layers:
                layer.write()
            found = _measured(model, measurer, forms)
            if found.point.sqnr_db > best.point.sqnr_db and not _loses(found, before):
                best = found
    return None if best is before else best


def _loses(found: Finetuned, before: Finetuned) -> bool:
    """Return True if accuracy is measured and falls."""
    drops = (found.point.accuracy_drop, before.point.accuracy_drop)
    return drops[0] is not None and drops[1] is not None and drops[0] > drops[1]


def _measured(model: editor.Model, measurer: Measurer, forms: tuple[str, ...]) -> Finetuned:
    tflite = editor.write(model)
    built = editor.read(tflite)
    zeros = _zeros_of(built, tflite, measurer.fitting)
    point, rewritten = measurer.measure(CompressedModel(tflite, built, zeros), forms, 0)
    return Finetuned(tflite, rewritten, point)


def _zeros_of(model: editor.Model, tflite: bytes, fitting: Sequence[Array]) -> dict[str, float]:
    operators = model.subgraphs[0].operators
    wanted = [op.outputs[0] for op in operators]
    few = [array[:_ZERO_SAMPLES] for array in fitting]
    values = dict(zip(wanted, run_model(model, tflite, wanted, few), strict=True))
    return input_zeros(operators, values)


def _real_inputs(source: bytes, fitting: Sequence[Array]) -> list[Array]:
    tensors = editor.read(source).subgraphs[0].inputs
    return [
        samples.dequantize(array, tensor).astype(np.float32).reshape(-1, *tensor.shape[1:])
        for array, tensor in zip(fitting, tensors, strict=True)
    ]


def _changed(batch: list[Array], rng: np.random.Generator) -> list[Array]:
    """Return samples that are shifted, each by its own amount, and mixed with one another."""
    count = len(batch[0])
    partner, share = rng.permutation(count), rng.uniform(0.5, 1.0, count).astype(np.float32)
    found = []
    for array in batch:
        moved = np.stack([_shifted(one, rng) for one in array]) if array.ndim == 4 else array
        part = share.reshape(-1, *[1] * (array.ndim - 1))
        found.append(part * moved + (1 - part) * moved[partner])
    return found


def _shifted(image: Array, rng: np.random.Generator) -> Array:
    """Return an image or spectrogram [height, width, channels] moved along its long axes.

    Its edges are repeated.
    """
    for axis in (0, 1):
        length = image.shape[axis]
        most = int(length * _SHIFT)
        places = np.clip(np.arange(length) + rng.integers(-most, most + 1), 0, length - 1)
        image = image.take(places, axis=axis)
    return image


def _step_of(
    teacher: DifferentiableModel, student: DifferentiableModel, optimizer: Any
) -> Callable[[list[Any]], None]:
    """Return a function that learns from a batch."""
    variables = student.variables
    optimizer.build(variables)
    layers = [name for name in teacher.layer_names() if name not in teacher.score_names()]

    def step(batch: list[Any]) -> None:
        wanted = teacher(batch)
        with tf.GradientTape() as tape:
            found = student(batch)
            pairs = [(wanted[name], found[name]) for name in teacher.score_names()]
            loss = tf.add_n([_relative_error(*pair) for pair in pairs])
            if teacher.is_classifier:
                divergence = tf.add_n([_divergence(*pair) for pair in pairs])
                loss += _DIVERGENCE_WEIGHT * divergence
            if layers:
                loss += tf.add_n([_relative_error(wanted[name], found[name]) for name in layers])
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    compiled: Callable[[list[Any]], None] = tf.function(step, autograph=False)
    return compiled


def _divergence(wanted: Any, found: Any) -> Any:
    """Return T^2 times the divergence of softened probabilities."""
    p = tf.nn.softmax(wanted / _TEMPERATURE)
    logs = tf.nn.log_softmax(wanted / _TEMPERATURE) - tf.nn.log_softmax(found / _TEMPERATURE)
    return _TEMPERATURE**2 * tf.reduce_mean(tf.reduce_sum(p * logs, axis=-1))


def _relative_error(wanted: Any, found: Any) -> Any:
    """Return the squared error relative to the variance about the mean over the batch."""
    error = tf.reduce_mean(tf.square(found - wanted))
    signal = tf.math.reduce_variance(wanted, axis=0)
    return error / (tf.reduce_mean(signal) + _LEAST)
