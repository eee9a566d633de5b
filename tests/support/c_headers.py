"""Values of C expressions, for tests that compare Python mirrors with headers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import tflm_sparsesep


def evaluate(expressions: list[str], folder: Path) -> list[int]:
    """Return the values of C expressions that use the public headers; compile in `folder`."""
    lines = "\n".join(f'printf("%llu\\n", (unsigned long long)({e}));' for e in expressions)
    source = folder / "mirror.c"
    source.write_text(
        '#include <stdio.h>\n#include "op_options.h"\n#include "op_names.h"\n'
        '#include "sparsesep/paged_weights.h"\n#include "sparsesep/depthwise_conv.h"\n'
        '#include "sparsesep/sparse_conv.h"\n'
        f"int main(void) {{ {lines} return 0; }}\n"
    )
    root = tflm_sparsesep.source_dir()
    includes = [f"-I{root / 'kernels/include'}", f"-I{root / 'custom_ops'}"]
    program = folder / "mirror"
    subprocess.run(["cc", *includes, str(source), "-o", str(program)], check=True)
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in printed.split()]


def offset_of(struct: np.dtype[Any], name: str) -> int:
    """Return the offset of a field of a structured dtype in bytes."""
    assert struct.fields is not None
    return struct.fields[name][1]


def check_struct(struct: str, mirror: np.dtype[Any], folder: Path) -> None:
    """Assert that a C struct has the fields of `mirror` at their offsets, in their sizes."""
    names = list(mirror.names or ())
    expressions = [f"offsetof({struct}, {name})" for name in names]
    expressions += [f"sizeof((({struct}*)0)->{name})" for name in names]
    expected = [offset_of(mirror, name) for name in names]
    expected += [mirror[name].itemsize for name in names]
    assert evaluate(expressions, folder) == expected
