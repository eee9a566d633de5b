"""A teacher in the loss of a sparse fit."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import X, Y, array, deep_model, fit
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.distillation import Distillation

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(512, 20)).astype(np.float32)
LABELS = np.argmax(IMAGES @ RNG.normal(size=(20, 3)), axis=1)


def classifier(loss: Any = "sparse_categorical_crossentropy", **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    from_logits = getattr(loss, "from_logits", False)
    head = layers.Dense(3, None if from_logits else "softmax", name="head")
    model = keras.Sequential([keras.Input((20,)), layers.Dense(32, "relu"), head])
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"], **options)
    return model


def trained() -> Any:
    model = classifier()
    model.fit(IMAGES, LABELS, epochs=20, verbose=0)
    return model


def agreement(model: Any, teacher: Any) -> float:
    """Share of samples that both put in the same class."""
    classes = [one.predict(IMAGES, verbose=0).argmax(axis=1) for one in (model, teacher)]
    return float(np.mean(classes[0] == classes[1]))


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ],
    ids=["probabilities", "logits"],
)
def test_samples_without_labels_are_enough(loss: Any) -> None:
    keras.backend.clear_session()
    teacher, model = trained(), classifier(loss)
    if not isinstance(loss, str):  # the teacher's outputs have to be of the same kind
        scores = classifier(loss)
        scores.set_weights(teacher.get_weights())
        teacher = scores
    callback = ts.ProximalL1(zeros=0.6, teacher=teacher)
    logs = model.fit(IMAGES, epochs=12, verbose=0, callbacks=[callback]).history
    assert agreement(model, teacher) > 0.85
    # Accuracy without labels is agreement with the teacher.
    assert logs["accuracy"][-1] == pytest.approx(agreement(model, teacher), abs=0.05)
    assert logs["zeros"][-1] >= 0.6


def test_the_model_teaches_itself_as_it_was() -> None:
    model = trained()
    before = keras.models.clone_model(model)
    before.set_weights(model.get_weights())
    callback = ts.ProximalL1(zeros=0.5, teacher=model)
    model.fit(IMAGES, epochs=8, verbose=0, callbacks=[callback])
    assert agreement(model, before) > 0.9
    assert "compute_loss" not in vars(model)


def test_the_loss_by_hand() -> None:
    teacher, model = trained(), classifier(run_eagerly=True)
    found = []

    def train_step(data: Any) -> Any:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        found.append(float(model.compute_loss(x, y, model(x), None)))

    wanted, outputs = (array(one(IMAGES)) for one in (teacher, model))
    soft, own = (p**0.5 / (p**0.5).sum(axis=1, keepdims=True) for p in (wanted, outputs))
    distance = -4 * np.mean((soft * np.log(own)).sum(axis=1))
    labelled = -np.mean(np.log(outputs[np.arange(len(LABELS)), LABELS]))
    step = Distillation(model, teacher).wrap(train_step)
    step((IMAGES, LABELS))
    step((IMAGES,))
    assert found == pytest.approx([(labelled + distance) / 2, distance], rel=1e-4)


def test_regressions_learn_the_teachers_outputs() -> None:
    teacher = deep_model()
    fit(teacher, None, 30)
    model = deep_model()
    callback = ts.ProximalL1(zeros=0.5, teacher=teacher)
    model.fit(X, epochs=60, verbose=0, batch_size=16, callbacks=[callback])
    wanted, found = (one.predict(X, verbose=0) for one in (teacher, model))
    assert np.mean((found - wanted) ** 2) < 0.3 * np.var(Y)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("dense", "teacher is a str"),
        (keras.Sequential([keras.layers.Dense(3)]), "that has been built"),
        (keras.Sequential([keras.Input((20,)), keras.layers.Dense(4)], name="wide"), "'wide'"),
    ],
)
def test_teachers_that_do_not_suit_are_refused(teacher: Any, message: str) -> None:
    model = classifier()
    with pytest.raises(ConfigError, match=message) as error:
        model.fit(IMAGES, LABELS, verbose=0, callbacks=[ts.ProximalL1(zeros=0.5, teacher=teacher)])
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)
