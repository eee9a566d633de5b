"""Every export format: its manifest, its example, and its C sources without include directories."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tflm_sparsesep as ts
from tests.support.device_tools import needs_arm_compiler
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.exporting.formats import FORMATS

_FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def exported(format: str) -> Path:
    """One export for all tests of a format."""
    folder = Path(_FOLDER.name) / format
    ts.export(sparse_network(), folder, format=format, name="net")
    return folder


def relative(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern)}


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_an_example_and_a_guide(format: str) -> None:
    folder = exported(format)
    programs = [*folder.rglob("main.c*"), *folder.rglob("*.ino")]
    assert len(programs) == 1
    assert "RunSample();" in programs[0].read_text().split("}  // namespace")[-1]
    assert "PASS" in (folder / "README.md").read_text()
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".c", ".h", ".inc", ".cmake"):
            assert not re.search(r"@[A-Z_]+@", path.read_text()), path


@pytest.mark.parametrize("format", FORMATS)
def test_sources_are_the_same_in_every_format(format: str) -> None:
    folder, other = exported(format) / "src", exported("cmake") / "src"
    assert relative(folder, "*.c") == relative(other, "*.c")
    assert relative(folder, "*.cc") == relative(other, "*.cc")


@needs_arm_compiler
@pytest.mark.slow
def test_c_sources_need_no_include_directories() -> None:
    sources = sorted((exported("arduino") / "src").rglob("*.c"))
    flags = ["-mcpu=cortex-m4", "-mthumb", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command = ["arm-none-eabi-gcc", *flags, "-std=gnu11", *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_arduino_properties_have_what_the_specification_requires() -> None:
    lines = (exported("arduino") / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert required | {"url", "architectures", "depends"} <= properties.keys()
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"])
    assert (exported("arduino") / "src" / properties["includes"]).is_file()
    assert relative(exported("arduino"), "*.ino") == {"examples/net_example/net_example.ino"}


def test_platformio_manifest() -> None:
    manifest = json.loads((exported("platformio") / "library.json").read_text())
    assert manifest["name"] == "net"
    assert (exported("platformio") / manifest["build"]["srcDir"] / manifest["headers"]).is_file()


def test_cmsis_pack_names_every_source_once() -> None:
    root = ET.parse(exported("cmsis-pack") / "tflm_sparsesep.net.pdsc").getroot()
    names = [file.attrib["name"] for file in root.iter("file") if "attr" not in file.attrib]
    assert len(names) == len(set(names))
    folder = exported("cmsis-pack")
    sources = relative(folder, "*.c") | relative(folder / "src", "*.cc")
    assert {name for name in names if name.endswith(".c")} == relative(folder, "*.c")
    assert all((folder / name).exists() for name in names)
    assert len([name for name in names if name.endswith((".c", ".cc"))]) == len(sources)


def test_zephyr_module_and_sample_agree() -> None:
    folder = exported("zephyr")
    assert "config MODEL_NET\n" in (folder / "zephyr/Kconfig").read_text()
    assert "CONFIG_MODEL_NET=y" in (folder / "sample/prj.conf").read_text()
    assert "if(CONFIG_MODEL_NET)" in (folder / "zephyr/CMakeLists.txt").read_text()


def test_esp_idf_example_finds_the_component() -> None:
    main = exported("esp-idf") / "examples/net/main"
    override = re.search(r'override_path: "(.*)"', (main / "idf_component.yml").read_text())
    assert override is not None
    assert (main / override[1] / "idf_component.yml").is_file()
    assert "net_model" in (main / "CMakeLists.txt").read_text()


def test_other_cores_get_portable_c(tmp_path: Path) -> None:
    model = sparse_network(target="generic")
    result = ts.export(model, tmp_path / "lib", format="esp-idf", target="generic", name="net")
    assert result.variants
    assert all(name.endswith("_scalar") for name in result.variants)
    assert not {"dsp", "mve", "v6m", "v7m"} & {
        path.parent.name for path in (tmp_path / "lib").rglob("*.c")
    }
