"""Every form of samples gives the same arrays; what does not fit the inputs is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.small_models import add_model, dense_model, int8_samples
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Signature
from tflm_sparsesep.runtime.representative_dataset import InputSpec, arrays_of, tflite_inputs

WIDE, FLAT = np.arange(24.0).reshape(4, 2, 3), np.arange(4.0).reshape(4, 1)
INPUTS = [InputSpec(("wide", "w:0"), 3), InputSpec(("flat",), 2)]


def batches() -> list[tuple[Any, Any]]:
    return [(WIDE[i : i + 1], FLAT[i : i + 1]) for i in range(4)]


@pytest.mark.parametrize(
    "dataset",
    [
        [WIDE, FLAT],
        (WIDE, FLAT),
        {"flat": FLAT, "wide": WIDE},
        {"w:0": WIDE, "flat": FLAT},
        lambda: iter(batches()),
        lambda: [[wide[0], flat[0]] for wide, flat in batches()],
        lambda: ({"flat": flat, "wide": wide} for wide, flat in batches()),
        lambda: [(WIDE[:3], FLAT[:3]), (WIDE[3], FLAT[3])],
    ],
)
def test_every_form_gives_the_same_arrays(dataset: Any) -> None:
    wide, flat = arrays_of(dataset, INPUTS)
    np.testing.assert_array_equal(wide, WIDE)
    np.testing.assert_array_equal(flat, FLAT)
    assert [len(array) for array in arrays_of(dataset, INPUTS, limit=1)] in ([1, 1], [3, 3])


@pytest.mark.parametrize(
    "dataset", [WIDE, [WIDE], (WIDE,), lambda: iter(WIDE), lambda: ([x[None]] for x in WIDE)]
)
def test_one_input(dataset: Any) -> None:
    (found,) = arrays_of(dataset, INPUTS[:1])
    np.testing.assert_array_equal(found, WIDE)


def test_inputs_that_are_not_declared_need_the_batch_dimension() -> None:
    wide, flat = arrays_of(lambda: iter(batches()), None)
    np.testing.assert_array_equal(wide, WIDE)
    np.testing.assert_array_equal(flat, FLAT)
    with pytest.raises(ConfigError, match="does not name its inputs"):
        arrays_of({"wide": WIDE}, None)
    with pytest.raises(ConfigError, match=r"samples of \[1, 2\] arrays"):
        arrays_of(lambda: iter([[WIDE], [WIDE, FLAT]]), None)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (WIDE, r"1 input array\(s\) given, the model takes 2; accepted: one array, or a list"),
        ([WIDE] * 3, "3 input array"),
        ({"wide": WIDE}, r"has the keys \['wide'\]; accepted: 'wide', 'flat'"),
        ({"wide": WIDE, "fat": FLAT}, r"keys \['fat', 'wide'\]"),
        (lambda: iter(()), "empty; accepted: at least one sample"),
        (lambda: [(WIDE[0], FLAT[0]), (WIDE[0, :1], FLAT[0])], r"shape \(2, 3\) and one of shape"),
    ],
)
def test_what_does_not_fit_is_refused(dataset: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        arrays_of(dataset, INPUTS)
    assert "\n" not in str(caught.value)


def test_inputs_of_a_file_are_named_by_signature_and_tensor() -> None:
    model = editor.read(add_model())
    main = model.subgraphs[0]
    model.signatures = [Signature("s", main, [("first", main.inputs[0])], [])]
    assert [spec.names for spec in tflite_inputs(model)] == [("first", "a"), ("b", "b")]


def test_run_takes_a_dict() -> None:
    a, b = np.array([[1, 2, 3, 4]], np.int8), np.array([[5, 6, 7, 8]], np.int8)
    np.testing.assert_array_equal(ts.run(add_model(), {"b": b, "a": a})[0], a + b)


def test_verbs_take_functions_for_files_too() -> None:
    samples = int8_samples(8)
    result = ts.convert(dense_model(), representative_dataset=lambda: iter(samples))
    assert result == ts.convert(dense_model(), representative_dataset=samples)
