"""Manifests of exports in the tools that read them; what lacks a field is refused there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tflm_sparsesep as ts
from tests.support.sparse_network import sparse_network


def exported(folder: Path, format: str) -> Path:
    ts.export(sparse_network(), folder, format=format, name="net")
    return folder


def platformio_errors(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What PlatformIO Core finds wrong with a manifest; it fetches no list of licenses."""
    parser = pytest.importorskip(
        "platformio.package.manifest.parser", reason="no PlatformIO: pip install platformio"
    )
    from platformio.package.exception import ManifestValidationError
    from platformio.package.manifest.schema import ManifestSchema

    licenses = {"licenses": [{"licenseId": "Apache-2.0"}, {"licenseId": "MIT"}]}
    monkeypatch.setattr(ManifestSchema, "load_spdx_licenses", staticmethod(lambda: licenses))
    read = parser.ManifestParserFactory.new_from_file(str(manifest)).as_dict()
    try:
        ManifestSchema().load_manifest(read)
    except ManifestValidationError as error:
        return str(error)
    return ""


def test_platformio_accepts_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = exported(tmp_path / "lib", "platformio") / "library.json"
    assert platformio_errors(path, monkeypatch) == ""
    manifest = json.loads(path.read_text())
    broken: dict[str, dict[str, Any]] = {
        "version": {**manifest, "version": "new"},
        "license": {**manifest, "license": "Apache 2"},
        "name": {key: value for key, value in manifest.items() if key != "name"},
    }
    for field, changed in broken.items():
        path.write_text(json.dumps(changed))
        assert field in platformio_errors(path, monkeypatch)


def test_platformio_accepts_the_arduino_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exported(tmp_path / "lib", "arduino") / "library.properties"
    assert platformio_errors(path, monkeypatch) == ""
    lines = path.read_text().splitlines(keepends=True)
    for field in ("name", "version"):
        path.write_text("".join(line for line in lines if not line.startswith(f"{field}=")))
        assert field in platformio_errors(path, monkeypatch)


def test_the_component_manager_of_esp_idf_accepts_the_component(tmp_path: Path) -> None:
    manager = pytest.importorskip(
        "idf_component_tools.manager",
        reason="no idf-component-manager: pip install idf-component-manager",
    ).ManifestManager
    component = exported(tmp_path / "lib", "esp-idf")
    for folder in (component, component / "examples/net/main"):
        assert not manager(folder, "net").validate().validation_errors
    found = manager(component, "net").load()
    assert str(found.version) == ts.__version__
    assert set(found.dependencies) == {"idf", "espressif/esp-tflite-micro"}
    path = component / "idf_component.yml"
    text = path.read_text()
    for before, after in (('version: "', 'version: "v'), ('idf: ">=5.1"', 'idf: "five"')):
        assert before in text
        path.write_text(text.replace(before, after, 1))
        assert manager(component, "net").validate().validation_errors
