"""CMake exports on an emulated Cortex-M4: built unedited, their outputs compared with TFLM's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.firmware_build import (
    NEW_API,
    OLD_API,
    build,
    configure,
    emulate,
    needs_firmware_tools,
)
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.sources import source_dir

pytestmark = [pytest.mark.slow, needs_firmware_tools, pytest.mark.xdist_group("export")]


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(9).integers(-128, 128, (3, 8, 8, 8)).astype(np.int8)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, samples: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("export") / "lib"
    ts.export(sparse_network(), folder, format="cmake", name="net", data=samples)
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all builds: each compiles only what differs."""
    return tmp_path_factory.mktemp("build")


def printed_outputs(lines: list[str]) -> list[int]:
    return [
        int(found[1]) for line in lines if (found := re.match(r"output 0\[\d+\]: (\S+),", line))
    ]


@pytest.mark.parametrize("api", [NEW_API, OLD_API], ids=["new", "old"])
def test_the_example_gives_the_outputs_of_tflm(
    library: Path, samples: np.ndarray, work: Path, api: tuple[Path, ...]
) -> None:
    code, lines = emulate(build(library, "net", work, api))
    (expected,) = ts.run(sparse_network(), samples[:1])
    assert printed_outputs(lines) == expected.ravel().tolist()
    assert (code, lines[-1]) == (0, "PASS")


@pytest.mark.parametrize(
    "operator", ["AddSparseFullyConnected", "AddSparseConv2D", "AddSeparableConv2D", "AddReshape"]
)
def test_a_missing_operator_fails(library: Path, work: Path, operator: str) -> None:
    header = library / "src/net/operators.h"
    whole = header.read_text()
    broken = re.sub(rf"  if \(\S*{operator}\(.*\n( .*kTfLiteError;\n)?", "", whole)
    assert broken != whole
    header.write_text(broken)
    try:
        code, lines = emulate(build(library, "net", work))
    finally:
        header.write_text(whole)
    assert code != 0
    assert re.search(r"operator \d+ is not registered", "\n".join(lines))


def test_only_the_models_kernels_are_linked(library: Path, work: Path) -> None:
    image = build(library, "net", work).read_bytes()
    found = set(re.findall(rb"sparsesep_fully_connected_(\d+x\d+_\w+)", image))
    assert {name.decode() for name in found} == set(ts.variants(sparse_network()))


@pytest.mark.parametrize(
    "found", ["find_package(tflm_sparsesep REQUIRED)", "add_subdirectory(${CHECKOUT} sparsesep)"]
)
def test_a_firmware_finds_the_kernels(tmp_path: Path, found: str) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "project(user LANGUAGES C)\n"
        f"{found}\n"
        "add_library(user STATIC user.c)\n"
        "target_link_libraries(user PRIVATE tflm_sparsesep::kernels)\n"
    )
    (tmp_path / "user.c").write_text('#include "sparsesep/sparsesep.h"\n')
    root = source_dir()
    options = (f"-Dtflm_sparsesep_DIR={root / 'cmake'}", f"-DCHECKOUT={root}")
    configure(tmp_path / "build", tmp_path, *options)
    assert list((tmp_path / "build").rglob("libtflm_sparsesep_kernels.a"))
