"""`validate` and `report`: quality of a rewritten model, and the page about it."""

from __future__ import annotations

import html
import html.parser
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import (
    FullyConnectedLayer,
    float_fully_connected_model,
    fully_connected_chain,
    fully_connected_model,
    sparse_weights,
)
from tests.support.models.operator_models import lenet_300_100
from tests.support.models.shared_models import SHARED_MODELS, TABLE, needs_shared_models
from tests.support.models.small_models import dense_model, int8_samples
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.cli import main
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db, sqnr_db
from tflm_sparsesep.table_cells import short_name


def scores_model(output_scale: float, shift: int = 0) -> bytes:
    """A layer 30 -> 4; `shift` is added to its outputs, in steps."""
    return fully_connected_model(
        sparse_weights(4, 30, 0.5),
        None,
        input_shape=(1, 30),
        input_scale=0.1,
        input_zero_point=0,
        weight_scales=0.01,
        output_scale=output_scale,
        output_zero_point=shift,
    )


def test_equal_models_have_no_noise() -> None:
    quality = ts.validate(dense_model(), dense_model(), int8_samples(5))
    assert quality.outputs[0].sqnr_db == np.inf
    assert (quality.outputs[0].largest_error, quality.outputs[0].differing) == (0, 0)
    assert quality.samples == 5
    assert quality.violations(min_sqnr=100) == []
    assert quality.to_json()["outputs"][0]["sqnr_db"] is None


def test_sqnr_and_error_are_those_of_real_numbers() -> None:
    fine, coarse, x = scores_model(0.5), scores_model(4.0), int8_samples(50)
    quality = ts.validate(fine, coarse, x)
    (wanted,), (found,) = (ts.run(one, x, dequantize=True) for one in (fine, coarse))
    noise = np.sum((found.astype(np.float64) - wanted) ** 2)
    signal = wanted.astype(np.float64) - wanted.mean(axis=0, dtype=np.float64)
    expected = 10 * np.log10(np.sum(signal**2) / noise)
    assert quality.outputs[0].sqnr_db == pytest.approx(expected)
    plain = 10 * np.log10(np.sum(wanted.astype(np.float64) ** 2) / noise)
    assert quality.outputs[0].plain_sqnr_db == pytest.approx(plain)
    assert quality.outputs[0].largest_error == np.abs(found.astype(np.float64) - wanted).max()
    assert quality.violations(min_sqnr=expected - 0.1) == []
    (line,) = quality.violations(min_sqnr=expected + 0.1)
    assert re.match(r"output 0: SQNR \d+\.\d dB about the mean, asked for: ", line)


def test_a_constant_in_place_of_the_outputs_keeps_no_signal() -> None:
    """Plain SQNR is high, as the outputs are far from 0 and vary little."""
    (wanted,) = ts.run(scores_model(0.5), int8_samples(50), dequantize=True)
    constant = np.broadcast_to(wanted.mean(axis=0), wanted.shape)
    assert sqnr_db([wanted], [constant]) == pytest.approx(0, abs=1e-3)
    assert plain_sqnr_db([wanted + 1000.0], [constant + 1000.0]) > 20


def test_one_sample_has_no_mean_to_vary_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quality = ts.validate(scores_model(0.5), scores_model(4.0), int8_samples(1))
    assert np.isnan(quality.outputs[0].sqnr_db)
    assert np.isfinite(quality.outputs[0].plain_sqnr_db)
    assert quality.to_json()["outputs"][0]["sqnr_db"] is None
    assert quality.violations() == []
    with pytest.raises(ConfigError, match="min_sqnr is given with 1 sample; accepted: at least 2"):
        quality.violations(min_sqnr=5)
    same = ts.validate(scores_model(0.5), scores_model(0.5), int8_samples(1))
    assert same.violations(min_sqnr=90) == []
    (tmp_path / "a.tflite").write_bytes(scores_model(0.5))
    (tmp_path / "b.tflite").write_bytes(scores_model(4.0))
    np.save(tmp_path / "x.npy", int8_samples(1))
    monkeypatch.chdir(tmp_path)
    command = ["tflm-sparsesep", "validate", "a.tflite", "b.tflite", "--data", "x.npy"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "SQNR about the mean undefined for 1 sample (" in capsys.readouterr().out


def test_accuracy_is_of_the_first_output() -> None:
    model, x = scores_model(0.5), int8_samples(40)
    (scores,) = ts.run(model, x)
    labels = scores.argmax(axis=1)
    wrong = np.where(np.arange(40) < 10, (labels + 1) % 4, labels)
    quality = ts.validate(model, model, x, labels=wrong)
    assert quality.dense_accuracy == quality.sparse_accuracy == 0.75
    assert quality.violations(max_drop=0.0) == []


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"shapes \[\[5, 10\]\] and \[\[5, 4\]\]"):
        ts.validate(dense_model(), scores_model(0.5), int8_samples(5))
    with pytest.raises(ConfigError, match=r"labels are int64\[4\], accepted: 5 integers"):
        ts.validate(dense_model(), dense_model(), int8_samples(5), labels=np.zeros(4, np.int64))
    quality = ts.validate(dense_model(), dense_model(), int8_samples(5))
    with pytest.raises(ConfigError, match="max_drop is given without labels"):
        quality.violations(max_drop=1)


@pytest.mark.parametrize("label", [-1, 10, 77])
def test_labels_of_no_class_are_refused(label: int) -> None:
    labels = np.array([0, label, 9])
    with pytest.raises(ConfigError, match=f"labels are {min(label, 0)} to .* 0 to 9, as the model"):
        ts.validate(dense_model(), dense_model(), int8_samples(3), labels=labels)


@pytest.mark.parametrize("limit", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["min_sqnr", "max_drop"])
def test_limits_that_nothing_exceeds_are_refused(name: str, limit: float) -> None:
    labels = np.zeros(5, np.int64)
    quality = ts.validate(dense_model(), dense_model(), int8_samples(5), labels=labels)
    with pytest.raises(ConfigError, match=f"{name} is {limit}; accepted: a finite number"):
        quality.violations(**{name: limit})


def test_outputs_that_are_not_finite_are_named() -> None:
    model = float_fully_connected_model(np.ones((3, 20), np.float32), None, input_shape=(1, 20))
    samples = np.zeros((4, 20), np.float32)
    samples[2, 5] = np.nan
    with pytest.raises(ConfigError, match=r"output 0 of the dense model .* NaN .* sample 2"):
        ts.validate(model, model, samples)


def test_the_command_exits_with_1_beyond_a_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tflite").write_bytes(scores_model(0.5))
    (tmp_path / "b.tflite").write_bytes(scores_model(4.0))
    np.save(tmp_path / "x.npy", int8_samples(20))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        command = ["tflm-sparsesep", "validate", "a.tflite", "b.tflite", "--data", "x.npy"]
        monkeypatch.setattr("sys.argv", [*command, *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    assert run("--min-sqnr", "5") == 0
    assert "20 samples in tflm" in capsys.readouterr().out
    assert run("--min-sqnr", "90") == 1
    assert "FAIL: output 0: SQNR" in capsys.readouterr().out
    assert run("--min-sqnr", "90", "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["violations"]) == 1


class Page(html.parser.HTMLParser):
    """Counts tags and collects what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def test_the_page_is_complete_and_loads_nothing() -> None:
    text = ts.html_report(sparse_network())
    page = Page(text)
    assert page.loads == []
    assert "url(" not in text
    layers = ts.inspect(sparse_network())
    assert page.tags.count("svg") == 2 * len(layers) + 1
    for layer in layers:
        assert layer.name in text
        assert layer.reason in text
        assert f"{layer.sparse_instructions:,}" in text
        assert f"{layer.dense_instructions:,}" in text


@needs_shared_models
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4"])
@pytest.mark.parametrize("name", [x["name"] for x in TABLE["models"] if ".tflite" in x["name"]])
def test_published_models_have_a_page(name: str, target: str) -> None:
    """Tensors of theirs have the names of others."""
    dense = (SHARED_MODELS / name).read_bytes()
    result = ts.convert(dense, target=target)
    text = ts.html_report(result.tflite, dense=dense, target=target)
    for layer in ts.inspect(result.tflite, target=target):
        assert html.escape(short_name(layer.name)) in text


def test_pages_of_two_models_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[\(1, 30\)\] -> .*; accepted: a converted model"):
        ts.html_report(sparse_network(), dense=scores_model(0.5))


def test_the_page_compares_with_the_dense_model() -> None:
    dense = scores_model(0.5)
    text = ts.html_report(dense, dense=dense)
    assert Page(text).tags.count("figure") == 2
    assert "tflm-sparsesep convert model -o model -t cortex-m4" in text


def test_the_dense_model_counts_as_it_is() -> None:
    layers = [
        FullyConnectedLayer(sparse_weights(64, 300, 0.93), None, 0.01, 0.3, 0, "RELU"),
        FullyConnectedLayer(sparse_weights(10, 64, 0.0), None, 0.01, 0.9, 0),
    ]
    dense = fully_connected_chain(
        layers, input_shape=(1, 300), input_scale=0.02, input_zero_point=-3
    )
    result = ts.convert(dense)
    text = ts.html_report(result.tflite, dense=dense)
    assert f"{result.dense_instructions:,} &rarr; {result.instructions:,} estimated" in text
    assert f"{len(dense):,} &rarr; {len(result.tflite):,} bytes" in text


def test_operators_without_weights_count_on_the_page() -> None:
    dense = lenet_300_100(quantized=True).build()
    result = ts.convert(dense)
    text = ts.html_report(result.tflite, dense=dense)
    assert result.dense_instructions > sum(x.dense_instructions or 0 for x in result.layers)
    assert f"{result.dense_instructions:,} &rarr; {result.instructions:,} estimated<" in text
    assert "estimated, SOFTMAX not counted" in ts.html_report(result.tflite, target="host")


def test_names_in_a_file_are_text_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "a<b>&.tflite"
    path.write_bytes(sparse_network())
    text = ts.html_report(path)
    assert "a&lt;b&gt;&amp;.tflite on cortex-m4" in text
    assert "<b>&" not in text
