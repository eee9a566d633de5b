"""Mutated blobs through the op core under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep
from tflm_sparsesep.converters.pack_separable import pack
from tflm_sparsesep.converters.separable_format import Order
from tflm_sparsesep.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_separable,
)

MUTATIONS = 15_000  # for each kind of blob
SHAPE = SeparableShape(8, 8, (5, 6, 9), (3, 4))


@pytest.fixture(scope="session")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tflm_sparsesep.source_dir()
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_separable_conv"
    sources = [
        Path(__file__).with_name("fuzz_separable_conv.c"),
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    flags = ["-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    includes = [f"-I{root / 'kernels/include'}", f"-I{root / 'custom_ops'}"]
    subprocess.run(["cc", *flags, *includes, *map(str, sources), "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("kind", ["natural", "woven", "float32"])
def test_mutated_blobs_are_refused_or_harmless(fuzzer: Path, kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    if kind == "float32":
        blob = pack(random_float_separable(rng, SHAPE))
    else:
        blob = pack(random_separable(rng, SHAPE), Order[kind.upper()])
    (tmp_path / "blob").write_bytes(blob)
    done = subprocess.run(
        [str(fuzzer), str(tmp_path / "blob"), str(MUTATIONS), "5"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    accepted, refused = (int(word) for word in done.stdout.split()[1::2])
    assert accepted + refused == MUTATIONS
    # Both paths must have been walked: weights may change freely, the header may not.
    assert accepted > MUTATIONS // 20
    assert refused > MUTATIONS // 4
