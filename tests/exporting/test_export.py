"""Exports: which files are written, which models and folders are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import small_chain
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.exporting.c_text import values_text
from tflm_sparsesep.exporting.formats import FORMATS
from tflm_sparsesep.exporting.op_resolver import resolver_calls
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter


def export(folder: Path, model: bytes | None = None, **options: Any) -> ts.ExportResult:
    return ts.export(
        sparse_network() if model is None else model,
        folder,
        **{"format": "cmake", "name": "net", **options},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_header_holds_the_model(tmp_path: Path) -> None:
    export(tmp_path / "lib")
    text = (tmp_path / "lib/src/net/model.cc").read_text()
    assert bytes(int(b, 16) for b in re.findall(r"0x(\w\w)", text)) == sparse_network()
    assert "alignas(16)" in text


def test_the_resolver_holds_exactly_the_models_operators() -> None:
    assert resolver_calls(editor.read(sparse_network())) == [
        "tflite::AddSparseConv2D(resolver)",
        "tflite::AddSeparableConv2D(resolver)",
        "resolver.AddReshape()",
        "tflite::AddSparseFullyConnected(resolver)",
    ]
    assert resolver_calls(editor.read(small_chain())) == ["resolver.AddFullyConnected()"]


def test_the_arena_is_the_measured_one_and_its_margin(tmp_path: Path) -> None:
    interpreter = TflmInterpreter(sparse_network(), editor.read(sparse_network()))
    text = (export(tmp_path / "lib").folder / "src/net/model.h").read_text()
    measured, margin = (
        int(found.replace(",", ""))
        for found in re.search(r"// ([\d,]+) bytes.*margin of ([\d,]+)", text, re.S).groups()  # type: ignore[union-attr]
    )
    assert measured == interpreter.arena_bytes
    scratch = max(layer.scratch_bytes or 0 for layer in ts.inspect(sparse_network()))
    assert margin == scratch + 1024
    (total,) = map(int, re.findall(r"kArenaBytes = (\d+)", text))
    assert 0 <= total - measured - margin < 16


def test_includes_stay_inside_the_library(tmp_path: Path) -> None:
    folder = export(tmp_path / "lib").folder / "src/sparsesep"
    for file in [*folder.rglob("*.[ch]"), *folder.rglob("*.cc"), *folder.rglob("*.inc")]:
        for name in re.findall(r'#include "([^"]+)"', file.read_text()):
            assert name.startswith("tensorflow/") or (file.parent / name).is_file(), (file, name)


def test_another_run_replaces_an_untouched_export(tmp_path: Path) -> None:
    export(tmp_path / "lib")
    before = contents(tmp_path / "lib")
    export(tmp_path / "lib")
    assert contents(tmp_path / "lib") == before
    export(tmp_path / "lib", small_chain())
    assert not (tmp_path / "lib/src/sparsesep").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


@pytest.mark.parametrize("touched", ["src/net/model.h", "notes.txt"])
def test_other_files_are_never_replaced(tmp_path: Path, touched: str) -> None:
    export(tmp_path / "lib")
    (tmp_path / "lib" / touched).write_text("mine")
    before = contents(tmp_path / "lib")
    with pytest.raises(ConfigError, match=f"holds {touched}, which no export wrote"):
        export(tmp_path / "lib")
    assert contents(tmp_path / "lib") == before
    assert [path.name for path in tmp_path.iterdir()] == ["lib"]


def test_an_empty_folder_is_filled_and_a_foreign_one_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        export(tmp_path / "file")
    with pytest.raises(ConfigError, match="does not exist"):
        export(tmp_path / "no" / "lib")


def test_bad_models_write_nothing(tmp_path: Path) -> None:
    data = bytearray(sparse_network())
    data[data.index(b"SPW1") + 4] = 9  # the version of the packed format
    with pytest.raises(ModelError, match="packed weights"):
        export(tmp_path / "lib", bytes(data))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Net", "2net", "sparsesep", "a-b", "a b", "../x"])
def test_names_are_identifiers(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="accepted: lower-case"):
        export(tmp_path / "lib", name=name)


def test_names_come_from_the_file(tmp_path: Path) -> None:
    for stem, name in (("Le-Net 5", "le_net_5"), ("2d", "model_2d"), ("ÄÖ", "model")):
        path = tmp_path / f"{stem}.tflite"
        path.write_bytes(small_chain())
        assert ts.export(path, tmp_path / "lib", format="cmake").name == name


def test_unknown_formats_and_targets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"'make' is unknown; accepted: {', '.join(FORMATS)}"):
        export(tmp_path / "lib", format="make")
    with pytest.raises(ConfigError, match="target 'host' has no firmware"):
        export(tmp_path / "lib", target="host")


def test_the_manifest_names_every_file(tmp_path: Path) -> None:
    result = export(tmp_path / "lib")
    manifest = json.loads((tmp_path / "lib/tflm_sparsesep.json").read_text())
    assert sorted(manifest["files"]) == result.files
    assert sorted(contents(tmp_path / "lib")) == sorted([*result.files, "tflm_sparsesep.json"])
    assert manifest["operators"] == result.operators


def test_literals_are_read_back_by_a_compiler() -> None:
    floats = np.array([1e-30, -0.1, np.inf, -np.inf, np.nan], np.float32)
    assert values_text(floats).split() == [
        f"{float(floats[0])!r}f,", f"{float(floats[1])!r}f,", "INFINITY,", "-INFINITY,", "NAN",
    ]  # fmt: skip
    assert values_text(np.array([-(2**31)], np.int32)).strip() == "-2147483647 - 1"
