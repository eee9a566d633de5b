"""OpenCL kernels compile as plain OpenCL C 1.2 for a GPU, without any extension."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels/opencl"
# pocl depends on a clang of one version, which it does not link to `clang`.
NAMES = ("clang", *(f"clang-{version}" for version in range(22, 13, -1)))
CLANG = next(filter(None, map(shutil.which, NAMES)), None)
SHARED = {
    "fully_connected": "rows",
    "sparse_fully_connected": "rows",
    "conv_2d": "window",
    "depthwise_conv_2d": "window",
}
TILES = [(1, 1), (1, 4), (4, 1), (2, 4), (4, 4), (1, 16)]
LAUNCHES = ["-DLANES=1", "-DLANES=4 -DVECTORS=2", "-DLANES=8 -DVECTORS=4", "-DLANES=64"]


def builds(name: str) -> list[str]:
    """Options with which the host builds a source: all that change what is compiled."""
    if name == "sparse_fully_connected":
        tiles = [f"-DR={r} -DC={c} -DALIGNED={a}" for (r, c), a in itertools.product(TILES, (0, 1))]
        return [f"{launch} {tile}" for launch, tile in itertools.product(LAUNCHES, tiles)]
    if name == "fully_connected":
        return [f"{launch} -DALIGNED={a}" for launch, a in itertools.product(LAUNCHES, (0, 1))]
    if name == "training_products":
        sizes = itertools.product((4, 16), (1, 8), TILES)
        return [
            f"-DSAMPLES={s} -DLANES={n} -DBLOCK_ROWS={r} -DBLOCK_COLS={c}" for s, n, (r, c) in sizes
        ]
    if name == "training_update":
        return [f"-DBLOCK_ROWS={r} -DBLOCK_COLS={c}" for r, c in TILES]
    return [""]


@pytest.mark.skipif(CLANG is None, reason="no clang: sudo apt install clang")
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (len(builds(path.stem)) > 8))
        for path in sorted(KERNELS.glob("*.cl"))
    ],
)
def test_compiles_without_extensions(path: Path) -> None:
    parts = [path.read_text()]
    halves = [""]
    if not path.stem.startswith("training_") and path.stem != "common":
        before = ["common", *filter(None, [SHARED.get(path.stem)])]
        parts = [*((KERNELS / f"{name}.cl").read_text() for name in before), *parts]
        halves = ["-DHALF=0", "-DHALF=1"]
    for half, options in itertools.product(halves, builds(path.stem)):
        done = subprocess.run(
            [
                *(str(CLANG), "-x", "cl", "-cl-std=CL1.2", "-target", "spir64", "-fsyntax-only"),
                # The header, since clang 14's own table of functions lacks vload_half.
                "-cl-no-stdinc",
                *("-Xclang", "-finclude-default-header", "-Xclang", "-cl-ext=-all"),
                *("-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter"),
                *(*half.split(), *options.split(), "-"),
            ],
            input="\n".join(parts),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (options, done.stderr[:2000])
