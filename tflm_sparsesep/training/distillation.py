"""Knowledge distillation: a teacher's outputs as further, or the only, targets of a train step."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.train_step_hook import TrainStep

Tensor = Any

# Of the softmax of both networks: it shows which wrong classes the teacher finds more likely.
_TEMPERATURE = 2.0
# Of the teacher in the loss of labelled samples.
_SHARE = 0.5
_LEAST_PROBABILITY = 1e-7

# Losses of classifiers: class and function.
_SPARSE = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.sparse_categorical_crossentropy,
)
_ONE_HOT = (keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy)


class Distillation:
    """Adds the distance from a teacher's outputs to the loss of a train step.

    With l the loss of the model and d the distance,

        loss = l / 2 + d / 2    of labelled samples,        loss = d    of samples alone.

    For a classifier d is the cross-entropy between the softmax of both at temperature 2, times 4
    (Hinton, Vinyals and Dean, 2015), else the model's own loss with the teacher's outputs as
    labels. Metrics of samples alone compare with the teacher.

    Args:
        model: a compiled and built Keras model of one output, at the beginning of `fit`.
        teacher: a Keras model with the same outputs; `model` itself as it is now.

    Raises:
        ConfigError: the teacher does not suit the model.
    """

    def __init__(self, model: Any, teacher: Any) -> None:
        self._model = model
        self._teacher = _copy(model) if teacher is model else _checked(model, teacher)
        self._loss = _loss_of(model)

    def wrap(self, train_step: TrainStep) -> TrainStep:
        """Return `train_step` with the teacher in its loss."""

        def taught(data: Any) -> Any:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
            targets = tf.stop_gradient(self._teacher(x, training=False))
            model, own = self._model, vars(self._model).get("compute_loss")
            compute = model.compute_loss

            def loss(x: Any, y: Any, y_pred: Any, sample_weight: Any = None, **options: Any) -> Any:
                distance = self._distance(targets, y_pred)
                if unlabelled:
                    return distance + sum(model.losses)
                labelled = compute(x, y, y_pred, sample_weight, **options)
                return (1 - _SHARE) * labelled + _SHARE * distance

            unlabelled = y is None
            labels = self._labels(targets) if unlabelled else y
            model.compute_loss = loss
            try:
                return train_step((x, labels, weight))
            finally:
                del model.compute_loss
                if own is not None:
                    model.compute_loss = own

        return taught

    def _distance(self, targets: Tensor, outputs: Tensor) -> Tensor:
        if not _is_classifier(self._loss):
            return ops.mean(self._loss(targets, outputs))
        wanted, found = (
            ops.log_softmax(self._scores(ops.cast(y, "float32")) / _TEMPERATURE)
            for y in (targets, outputs)
        )
        entropy = -ops.mean(ops.sum(ops.exp(wanted) * found, axis=-1))
        return _TEMPERATURE**2 * entropy

    def _scores(self, outputs: Tensor) -> Tensor:
        """Return outputs before a softmax, up to a constant."""
        if getattr(self._loss, "from_logits", False):
            return outputs
        return ops.log(ops.maximum(outputs, _LEAST_PROBABILITY))

    def _labels(self, targets: Tensor) -> Tensor:
        """Return the teacher's outputs as labels of the model's own loss and metrics."""
        if isinstance(self._loss, _SPARSE[0]) or self._loss is _SPARSE[1]:
            return ops.argmax(targets, axis=-1)
        return targets


def _is_classifier(loss: Any) -> bool:
    return isinstance(loss, (_SPARSE[0], _ONE_HOT[0])) or loss in (_SPARSE[1], _ONE_HOT[1])


def _loss_of(model: Any) -> Any:
    """Return the loss of the only output of a compiled model."""
    loss = model.loss
    if isinstance(loss, (list, tuple, dict)):
        raise ConfigError(f"teacher with the losses {loss!r}; accepted: a model of one output")
    return keras.losses.get(loss)


def _checked(model: Any, teacher: Any) -> Any:
    """Return `teacher` if it has the inputs and the output of `model`."""
    if not isinstance(teacher, keras.Model) or not teacher.built:
        raise ConfigError(
            f"teacher is a {type(teacher).__name__}; accepted: a Keras model that has been built"
        )
    theirs, ours = _outputs(teacher), _outputs(model)
    if theirs != ours:
        raise ConfigError(
            f"teacher {teacher.name!r} has outputs {theirs}; accepted: those of model "
            f"{model.name!r}, {ours}"
        )
    return teacher


def _outputs(model: Any) -> list[tuple[int | None, ...]]:
    return [tuple(output.shape[1:]) for output in getattr(model, "outputs", None) or []]


def _copy(model: Any) -> Any:
    """Return a copy of the model as it is now."""
    try:
        copy = keras.models.clone_model(model)
    except ValueError as error:
        raise ConfigError(
            f"teacher {model.name!r} is the model itself and cannot be copied; accepted: another "
            "model, or a Sequential or functional one"
        ) from error
    copy.set_weights(model.get_weights())
    return copy
