"""`bench-kernels --op conv2d`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.support.device_tools import needs_emulator
from tflm_sparsesep.cli import app
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.device.kernel_options import measure

OPTIONS = {
    "op": "conv2d",
    "shape": "3x3x8x8",
    "image": "6x7",
    "stride": 2,
    "padding": "valid",
    "zeros": 0.8,
    "pattern": "4x4",
    "batch": 1,
    "input_zeros": 0.0,
}


@pytest.mark.slow
@needs_emulator
def test_rows_say_what_was_measured() -> None:
    found = {x.variant: x for x in measure("cortex-m4", **OPTIONS)}  # type: ignore[arg-type]
    assert found.keys() == {"4x4_dense_int8_woven_dsp", "4x4_delta8_int8_woven_dsp"}
    figures = found["4x4_delta8_int8_woven_dsp"]
    row = figures.to_json()
    assert (row["shape"], row["inputs"], row["outputs"]) == ("3x3x8x8", "6x7", "2x3")
    assert row["speedup"] == pytest.approx(row["dense_instructions"] / row["instructions"], 1e-3)
    assert 0 < row["scratch_bytes"] <= 4 * 72 * 3
    assert 0 < row["code_bytes"] <= 1024


@pytest.mark.slow
@needs_emulator
def test_the_command_prints_json_and_a_table() -> None:
    command = ["bench-kernels", "--op", "conv2d", "--shape", "3x3x8x8", "--input", "6x6"]
    command += ["--pattern", "1x4", "--target", "cortex-m3"]
    runner = CliRunner()
    (row,) = json.loads(runner.invoke(app, [*command, "--json"]).stdout)
    assert row["variant"] == "1x4_delta8_int8_v7m"
    assert "3x3x8x8 on 6x6" in runner.invoke(app, command).stdout


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("op", "conv", "op 'conv' is unknown; accepted: fully_connected, conv2d, depthwise"),
        ("shape", "3x3x8", "shape '3x3x8' is unknown; accepted: TAPSxTAPSxINPUTSxOUTPUTS"),
        ("image", "8", "input '8' is unknown; accepted: HEIGHTxWIDTH"),
        ("padding", "full", "padding 'full' is unknown; accepted: same, valid"),
        ("stride", 0, r"accepted: 1\.\.255"),
        ("pattern", "3x3", "pattern '3x3' is unknown; accepted: 1x1"),
        ("zeros", 1.5, "zeros is 1.5"),
        ("image", "2x7", "input 2x7 is smaller than the window"),
    ],
)
def test_bad_options_are_named(option: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        measure("cortex-m4", **{**OPTIONS, option: value})  # type: ignore[arg-type]
