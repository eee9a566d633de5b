"""What commands print: names of anybody, terminals of any kind, and a stdout that fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
from tflm_sparsesep.converters.errors import ConfigError, printable
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor, TensorType
from tflm_sparsesep.table_cells import short_name

HOSTILE = {
    "escape": "e\x1b[2J\x1b]0title\x07e",
    "nul": "n\0n",
    "lines": "l\r\nl",
    "bidi": "b\u202eb\u2066",
    "no_utf8": "u\udcff\udcfeu",
    "markup": "a[conv]3",
    "closing_tag": "Evil[/x]",
    "emoji": ":smile:",
    "c1": "c\x9b2Jc",
}
# What a terminal shows is printable, but for the line ends and the styles of the tables themselves.
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def process(
    *arguments: str | Path, stdout: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, with a redirection of the shell."""
    command = [sys.executable, "-m", "tflm_sparsesep", *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'"$@" {stdout}', "sh", *command],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tensors and custom operators all have hostile names."""
    rng = np.random.default_rng(0)
    layers = []
    for _ in HOSTILE:
        weights = rng.integers(-127, 128, (64, 64)).astype(np.int8)
        weights[rng.random(weights.shape) < 0.95] = 0
        layers.append(FullyConnectedLayer(weights, None, 0.01, 0.3, 0))
    data = fully_connected_chain(layers, input_shape=(1, 64), input_scale=0.02, input_zero_point=0)
    parsed = editor.read(data)
    main = parsed.subgraphs[0]
    for op, name in zip(list(main.operators), HOSTILE.values(), strict=True):
        op.outputs[0].name = name
        matrix = Tensor.constant(name, np.ones((2, 2), np.int8))
        side = Tensor(f"{name} side", (1, 64), TensorType.INT8)
        main.operators.append(Operator.custom(name, [op.outputs[0], matrix], [side]))
    path = tmp_path_factory.mktemp("hostile") / "model.tflite"
    path.write_bytes(editor.write(parsed))
    return path


def check(text: str) -> None:
    for line in STYLES.sub("", text).split("\n"):
        assert line.isprintable(), repr(line)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "environment"),
    [
        *[(verb, {}) for verb in ("inspect", "plan", "convert", "bench", "run")],
        ("inspect", {"FORCE_COLOR": "1"}),
        ("plan", {"FORCE_COLOR": "1"}),
        ("inspect", {"PYTHONIOENCODING": "ascii"}),
    ],
)
def test_names_are_shown_and_not_obeyed(
    model: Path, tmp_path: Path, verb: str, environment: dict[str, str]
) -> None:
    options: list[str | Path] = []
    if verb == "convert":
        options = ["-o", tmp_path / "out.tflite"]
    if verb == "run":
        np.save(tmp_path / "x.npy", np.zeros((1, 64), np.int8))
        options = ["--inputs", tmp_path / "x.npy"]
    done = process(verb, model, *options, COLUMNS="400", **environment)
    check(done.stdout)
    check(done.stderr)
    if verb in ("bench", "run"):  # nothing runs such operators
        assert done.returncode in (0, 2)
        return
    assert done.returncode == 0, done.stderr
    shown = "".join(done.stdout.split())
    for name in HOSTILE.values():
        assert short_name(printable(name)) in shown


def test_messages_are_one_printable_line() -> None:
    for name in HOSTILE.values():
        message = str(ConfigError(f"layer {name}: refused"))
        assert message.isprintable()
    assert str(ConfigError("grün [n, ...]")) == "grün [n, ...]"


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["", "0", "1", "x"])
def test_terminals_of_any_width(model: Path, columns: str) -> None:
    done = process("inspect", model, COLUMNS=columns)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > (20 if columns == "1" else 50)
    assert "Options" in process("convert", "--help", COLUMNS="0").stdout


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, {"COLUMNS": "40"}])
def test_a_summary_is_one_line(model: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Whatever its width: scripts read it."""
    output = tmp_path / f"{'long' * 20}.tflite"
    done = process("convert", model, "-o", output, **environment)
    assert done.returncode == 0, done.stderr
    summary, uncounted = done.stdout.rstrip("\n").split("\n")[-2:]
    assert re.fullmatch(rf"{re.escape(str(output))}: \d+ of \d+ layers .* instructions", summary)
    assert re.fullmatch("instructions of .* are not counted", uncounted)


def test_help_shows_brackets() -> None:
    for command in ("convert", "compress", "run", "bench"):
        shown = " ".join(process(command, "--help", COLUMNS="200").stdout.split())
        assert re.search(r"(amples|amples,) \[n, \.\.\.\] as \.npy", shown), shown


@pytest.mark.slow
def test_a_stdout_that_is_full_or_closed(model: Path, tmp_path: Path) -> None:
    for verb in ("inspect", "plan"):
        full = process(verb, model, stdout=">/dev/full")
        assert full.returncode == 2
        assert full.stderr == "error: standard output: No space left on device\n"
        assert process(verb, model, stdout=">/dev/full 2>&1").returncode == 2
        closed = process(verb, model, stdout=">&-")
        assert (closed.returncode, closed.stderr) == (0, "")
        assert process(verb, model, stdout=">&- 2>&-").returncode == 0
    output = tmp_path / "out.tflite"
    assert process("convert", model, "-o", output, stdout=">&- 2>&-").returncode == 0
    assert editor.read(output.read_bytes())


@pytest.mark.slow
def test_a_reader_that_leaves(model: Path) -> None:
    done = process("inspect", model, stdout="| head -c 1")
    assert done.stderr == ""


@pytest.mark.slow
def test_output_to_a_device(model: Path) -> None:
    before = Path("/dev/null").stat().st_ino
    assert process("convert", model, "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").stat().st_ino == before
    piped = subprocess.run(
        [sys.executable, "-m", "tflm_sparsesep", "inspect", "/dev/zero"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (piped.returncode, piped.stdout) == (2, "")
    assert piped.stderr.startswith("error: /dev/zero: not a .tflite file")


@pytest.mark.slow
def test_a_paged_conversion_writes_both_files_or_none(model: Path, tmp_path: Path) -> None:
    output, pages = tmp_path / "out.tflite", Path("/dev/full")
    output.write_bytes(b"old")
    done = process("convert", model, "-o", output, "--page-bytes", "600", "--external", pages)
    assert done.returncode == 2
    assert done.stderr == "error: /dev/full: cannot be written: No space left on device\n"
    assert output.read_bytes() == b"old"
    done = process("convert", model, "-o", output, "--page-bytes", "600", "--external", output)
    assert "one file, accepted: different ones" in done.stderr
    assert output.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.tflite"]
