"""Mutated blobs through the op core under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep
from tests.layers import layout_case
from tflm_sparsesep.converters.layouts import LAYOUTS
from tflm_sparsesep.converters.pack import pack
from tflm_sparsesep.converters.packed_format import Layout

MUTATIONS = 15_000  # for each layout


@pytest.fixture(scope="session")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tflm_sparsesep.source_dir()
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_packed_weights"
    sources = [
        Path(__file__).with_name("fuzz_packed_weights.c"),
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{root / 'kernels/include'}", f"-I{root / 'custom_ops'}"]
    subprocess.run(["cc", *flags, *includes, *map(str, sources), "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_mutated_blobs_are_refused_or_harmless(
    fuzzer: Path, layout: Layout, tmp_path: Path
) -> None:
    case = layout_case(np.random.default_rng(4), layout, 13, 301, zeros=0.8)
    (tmp_path / "blob").write_bytes(pack(case.layer, layout))
    (tmp_path / "options").write_bytes(case.options.to_bytes())
    done = subprocess.run(
        [str(fuzzer), str(tmp_path / "blob"), str(tmp_path / "options"), str(MUTATIONS), "5"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    accepted, refused = (int(word) for word in done.stdout.split()[1::2])
    assert accepted + refused == MUTATIONS
    # Both paths must have been walked: value bytes may change freely, the header may not.
    assert accepted > MUTATIONS // 20
    assert refused > MUTATIONS // 4
