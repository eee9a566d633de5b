"""The command line: its exit code, what it prints and writes."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.cli import main


def process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    command = [sys.executable, "-m", "tflm_sparsesep", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which has loaded what a new one would load first."""
    command = ["tflm-sparsesep", *map(str, arguments)]
    out, errors, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", command),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a refusal."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dense.tflite (one layer 93% zeros, one 0%), sparse.tflite and x.npy."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    first = rng.integers(-127, 128, (64, 300)).astype(np.int8)
    first[rng.random(first.shape) < 0.93] = 0
    second = rng.integers(1, 128, (10, 64)).astype(np.int8)
    layers = [
        FullyConnectedLayer(first, None, 0.01, 0.3, 0, "RELU"),
        FullyConnectedLayer(second, None, 0.01, 0.9, 0),
    ]
    data = fully_connected_chain(
        layers, input_shape=(1, 300), input_scale=0.02, input_zero_point=-3
    )
    (folder / "dense.tflite").write_bytes(data)
    np.save(folder / "x.npy", rng.integers(-128, 128, (7, 300)).astype(np.int8))
    done = cli("convert", folder / "dense.tflite", "-o", folder / "sparse.tflite")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 layers rewritten" in " ".join(done.stdout.split())  # lines wrap at long paths
    return folder


def test_version_and_help() -> None:
    assert process("--version").stdout.strip() == ts.__version__
    shown = cli("--help").stdout
    assert "Sparse and separable neural networks" in shown
    assert all(command in shown for command in ("convert", "compress", "plan", "doctor"))


def test_convert_prints_json(models: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    done = cli("convert", models / "dense.tflite", "-o", output, "--target", "cortex-m0", "--json")
    report = json.loads(done.stdout)
    assert report["sparse_tflite_bytes"] == output.stat().st_size
    assert report["dense_tflite_bytes"] == (models / "dense.tflite").stat().st_size
    assert [layer["rewritten"] for layer in report["layers"]] == [True, False]
    sparse, dense = report["layers"]
    kept = dense["dense_instructions"]
    assert report["dense_instructions"] == sparse["dense_instructions"] + kept
    assert report["sparse_instructions"] == sparse["sparse_instructions"] + kept


def test_one_total_and_the_operators_that_it_leaves_out(tmp_path: Path) -> None:
    graph = GraphBuilder(0, quantized=True, zeros=0.9)
    x = graph.fully_connected(graph.input(1, 200), 64, "RELU")
    x = graph.arithmetic("ADD", x, graph.fully_connected(x, 64))
    graph.function("SOFTMAX", graph.arithmetic("MUL", x, graph.constant(1)))
    model, output = tmp_path / "model.tflite", tmp_path / "out.tflite"
    samples, small = tmp_path / "x.npy", tmp_path / "small.tflite"
    model.write_bytes(graph.build())
    np.save(samples, graph.samples(400)[0].reshape(400, 200))
    left_out = "instructions of MUL are not counted"  # a broadcast
    planned, converted = cli("plan", model), cli("convert", model, "-o", output)
    compressed = cli("compress", model, "-o", small, "--data", samples, "--min-sqnr", "8")
    for done in (planned, converted, compressed):
        assert done.returncode == 0, done.stderr
        assert " ".join(done.stdout.split()).count(left_out) == 1, done.stdout
    result, plan = ts.convert(model), ts.plan(model)
    layers = sum(
        (layer.sparse_instructions if layer.rewritten else layer.dense_instructions) or 0
        for layer in result.layers
    )
    assert plan.other_instructions > 6000
    assert result.dense_instructions == plan.dense_instructions
    assert result.instructions == plan.other_instructions + layers
    said = " ".join((planned.stdout + converted.stdout).split())
    assert f"{plan.dense_instructions:,} -> {plan.best_case_instructions:,} instructions" in said
    assert f"{result.dense_instructions:,} -> {result.instructions:,} instructions" in said


def test_convert_prefers_bytes_or_instructions(models: Path, tmp_path: Path) -> None:
    found = {}
    for prefer in ("flash", "speed"):
        output = tmp_path / f"{prefer}.tflite"
        done = cli("convert", models / "dense.tflite", "-o", output, "--prefer", prefer, "--json")
        layer = json.loads(done.stdout)["layers"][0]
        found[prefer] = (layer["packed_bytes"], layer["sparse_instructions"])
    assert found["flash"][0] < found["speed"][0]
    assert found["flash"][1] > found["speed"][1]
    refused = cli("convert", models / "dense.tflite", "-o", tmp_path / "x", "--prefer", "size")
    assert error_line(refused) == "error: prefer='size'; accepted: flash, speed, or None"


def test_convert_twice_gives_the_same_bytes(models: Path, tmp_path: Path) -> None:
    cli("convert", models / "dense.tflite", "-o", tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == (models / "sparse.tflite").read_bytes()


def test_inspect_shows_packed_and_dense_layers(models: Path) -> None:
    done = cli("inspect", models / "sparse.tflite", "--json")
    sparse, dense = json.loads(done.stdout)["layers"]
    assert sparse["op"] == "SPARSE_FULLY_CONNECTED"
    assert (sparse["rows"], sparse["cols"]) == (64, 300)
    assert 0.9 < sparse["zeros"] < 0.96
    assert not dense["rewritten"]
    assert re.search("zeros: (sparse|packed) would take", dense["reason"])
    assert "would take" in cli("inspect", models / "sparse.tflite").stdout


def test_run_gives_the_dense_outputs(models: Path, tmp_path: Path) -> None:
    for name in ("dense", "sparse"):
        done = cli(
            "run", models / f"{name}.tflite", "--inputs", models / "x.npy",
            "--runtime", "tflm", "-o", tmp_path / f"{name}.npy",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    dense, sparse = np.load(tmp_path / "dense.npy"), np.load(tmp_path / "sparse.npy")
    assert dense.shape == (7, 10)
    np.testing.assert_array_equal(sparse, dense)


def test_samples_by_input_name(models: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", input=np.load(models / "x.npy"))
    np.savez(tmp_path / "y.npz", other=np.load(models / "x.npy"))
    run = ("run", models / "dense.tflite", "--json", "--inputs")
    assert cli(*run, tmp_path / "x.npz").stdout == cli(*run, models / "x.npy").stdout != ""
    line = error_line(cli(*run, tmp_path / "y.npz"))
    assert "inputs has the keys ['other']; accepted: 'input'" in line


def test_run_on_litert_gives_what_tflm_gives(models: Path, tmp_path: Path) -> None:
    for runtime in ("tflm", "litert"):
        done = cli(
            "run", models / "sparse.tflite", "--inputs", models / "x.npy",
            "--runtime", runtime, "-o", tmp_path / f"{runtime}.npy",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "litert.npy"), np.load(tmp_path / "tflm.npy"))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_bench_counts_and_compares(models: Path, target: str) -> None:
    done = cli(
        "bench",
        models / "sparse.tflite",
        "--target",
        target,
        "--inputs",
        models / "x.npy",
        "--json",
    )
    (layer,) = json.loads(done.stdout)
    assert layer["bit_exact"] is True
    assert layer["samples"] == 7
    assert layer["target"] == target
    assert 0 < layer["sparse_instructions"] < 2 * layer["dense_instructions"]
    assert layer["packed_bytes"] < layer["dense_bytes"]


def test_bench_without_sparse_layers_says_so(models: Path) -> None:
    done = cli("bench", models / "dense.tflite")
    assert done.returncode == 0
    assert "no sparse layers" in done.stdout


def test_doctor_finds_what_the_tests_use() -> None:
    findings = {row["name"]: row for row in json.loads(cli("doctor", "--json").stdout)}
    assert findings["native kernels"]["version"]
    assert findings["tflite-micro"]["version"]
    for row in findings.values():
        assert (row["version"] is None) == (row["install"] is not None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"hello world, this is no flatbuffer", "TFL3"),
        (b"\x1c\0\0\0TFL3" + bytes(100), ""),
    ],
)
def test_bad_models_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    bad, output = tmp_path / "bad.tflite", tmp_path / "out.tflite"
    bad.write_bytes(content)
    commands: list[list[str | Path]] = [
        ["convert", bad, "-o", output],
        ["inspect", bad],
        ["bench", bad],
    ]
    for command in commands:
        line = error_line(cli(*command))
        assert str(bad) in line
        assert reason in line
    assert error_line(process(*commands[0])) == error_line(cli(*commands[0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tflite"]


def test_truncated_model_is_refused(models: Path, tmp_path: Path) -> None:
    data = (models / "dense.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(data[: len(data) // 2])
    line = error_line(cli("convert", tmp_path / "cut.tflite", "-o", tmp_path / "out.tflite"))
    assert "cut.tflite" in line
    assert not (tmp_path / "out.tflite").exists()


def test_corrupt_packed_weights_are_refused(models: Path, tmp_path: Path) -> None:
    data = bytearray((models / "sparse.tflite").read_bytes())
    at = data.index(b"SPW1")
    data[at + 4] = 9  # the version of the packed format
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(data)
    assert "packed weights" in error_line(cli("inspect", broken))
    assert "packed weights" in error_line(cli("run", broken, "--inputs", models / "x.npy"))
    assert "packed weights" in error_line(cli("bench", broken))


def test_converted_model_is_not_converted_again(models: Path, tmp_path: Path) -> None:
    done = cli("convert", models / "sparse.tflite", "-o", tmp_path / "out.tflite")
    assert "already rewritten" in error_line(done)


def test_missing_input_and_unwritable_output(models: Path, tmp_path: Path) -> None:
    done = cli("convert", tmp_path / "none.tflite", "-o", tmp_path / "out.tflite")
    assert "none.tflite: cannot be read: No such file" in error_line(done)
    output = tmp_path / "no" / "out.tflite"
    line = error_line(cli("convert", models / "dense.tflite", "-o", output))
    assert "out.tflite: cannot be written: folder" in line
    line = error_line(cli("convert", models / "dense.tflite", "-o", tmp_path))
    assert "it is a folder" in line


def test_unknown_names_are_refused(models: Path, tmp_path: Path) -> None:
    dense, out = models / "dense.tflite", tmp_path / "out.tflite"
    line = error_line(cli("convert", dense, "-o", out, "--target", "z80"))
    assert "'z80' is unknown; accepted: cortex-m0" in line
    assert "is not emulated" in error_line(cli("bench", dense, "--target", "host"))
    done = cli("run", dense, "--inputs", models / "x.npy", "--runtime", "cuda")
    assert "runtime 'cuda' is unknown; accepted: tflm, litert, opencl" in error_line(done)


def test_inputs_that_do_not_fit_are_refused(models: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.zeros((2, 299), np.int8))
    (tmp_path / "text.npy").write_text("no array")
    for name, reason in (("short.npy", "299"), ("text.npy", "text.npy"), ("none.npy", "none.npy")):
        done = cli("run", models / "dense.tflite", "--inputs", tmp_path / name)
        assert reason in error_line(done)


@needs_shared_models
@pytest.mark.parametrize("name", ["ad01_int8", "ad01_fp32"])
def test_third_party_models_convert_and_say_why_layers_stay(name: str, tmp_path: Path) -> None:
    source = SHARED_MODELS / f"{name}.tflite"
    output = tmp_path / "out.tflite"
    done = cli("convert", source, "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    layers = json.loads(done.stdout)["layers"]
    assert layers
    assert not any(layer["rewritten"] for layer in layers)
    inspected = json.loads(cli("inspect", output, "--json").stdout)["layers"]
    for layer in inspected:
        assert re.search("zeros: (sparse|packed) would take|no sparse kernel", layer["reason"]), (
            layer
        )


@needs_shared_models
def test_a_dense_model_of_others_gains_in_every_layer_and_in_its_file(tmp_path: Path) -> None:
    source, output = SHARED_MODELS / "kws_ref_model.tflite", tmp_path / "out.tflite"
    report = json.loads(cli("convert", source, "-o", output, "--json").stdout)
    assert report["sparse_instructions"] < 0.55 * report["dense_instructions"]
    assert report["sparse_tflite_bytes"] < 0.7 * report["dense_tflite_bytes"]
    for layer in report["layers"]:
        if layer["rewritten"]:
            assert layer["packed_bytes"] < layer["dense_bytes"]
            assert layer["sparse_instructions"] < layer["dense_instructions"]


def test_variants_writes_the_header_of_a_models_kernels(models: Path, tmp_path: Path) -> None:
    header = tmp_path / "sparsesep_variants.h"
    done = cli("variants", models / "sparse.tflite", "--json", "-o", header)
    names = json.loads(done.stdout)["variants"]
    assert len(names) == 1
    lines = header.read_text().splitlines()
    assert lines[-2:] == [
        "#define SPARSESEP_SELECTED_VARIANT_COUNT 1",
        f"#define SPARSESEP_LINK_{names[0]} 1",
    ]
    assert cli("variants", models / "sparse.tflite").stdout.split() == names


def test_variants_of_a_dense_model_are_refused_as_a_header(models: Path, tmp_path: Path) -> None:
    assert cli("variants", models / "dense.tflite").stdout.strip() == ""
    done = cli("variants", models / "dense.tflite", "-o", tmp_path / "x.h")
    assert "no kernels to link" in error_line(done)
    assert not (tmp_path / "x.h").exists()


def test_inspect_states_scratch(models: Path) -> None:
    layers = json.loads(cli("inspect", models / "sparse.tflite", "--json").stdout)["layers"]
    assert layers[0]["variant"]
    assert layers[0]["scratch_bytes"] >= 0
    assert layers[1]["scratch_bytes"] is None


def test_export_writes_a_library(models: Path, tmp_path: Path) -> None:
    arguments = ("export", models / "sparse.tflite", "--format", "cmake", "-o", tmp_path / "lib")
    done = cli(*arguments, "--data", models / "x.npy", "--json")
    report = json.loads(done.stdout)
    assert report["name"] == "sparse"
    assert all((tmp_path / "lib" / path).is_file() for path in report["files"])
    assert "README.md" in cli(*arguments).stdout
    assert "'make' is unknown" in error_line(cli(*arguments[:3], "make", *arguments[4:]))


def test_node_data_are_two_files(models: Path, tmp_path: Path) -> None:
    done = cli("inspect", models / "sparse.tflite", "--node-data", tmp_path / "net")
    assert done.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.bytes.json",
        "net.instructions.json",
    ]
    assert json.loads((tmp_path / "net.bytes.json").read_text())["main"]["results"]
    line = error_line(cli("inspect", models / "sparse.tflite", "--node-data", tmp_path / "a/b"))
    assert "does not exist" in line
