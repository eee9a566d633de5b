"""The C sources that a device compiles, independent of include directories."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tflm_sparsesep.converters.selected_variants import HEADER_NAME, variants_header
from tflm_sparsesep.converters.targets import Target
from tflm_sparsesep.sources import has_code, source_dir

# Where an include is looked up: the include directories of a build.
_ROOTS = ("kernels/include", "kernels", "custom_ops")
_INCLUDE = re.compile(r'(#include |__has_include\()"([^"]+)"')
_GLUE = ("micro_host.h", "micro_registration.h", "sparsesep_ops.cc", "sparsesep_ops.h")


def device_sources(target: Target, variants: list[str]) -> dict[str, str]:
    """Return the text of each source by its path below the root of the export's copy.

    Includes become relative to the file that holds them: a build needs no include directory for
    them, and cannot confuse them with other libraries' files.

    Args:
        target: the core; other cores' kernels are left out.
        variants: the kernels to link; none for a model without sparse layers.
    """
    root = source_dir()
    files = {path: (root / path).read_text() for path in map(str, _device_paths(root, target))}
    if variants:
        files[HEADER_NAME] = variants_header(variants, target=target.name)
    return {path: _with_relative_includes(path, text, files) for path, text in files.items()}


def _device_paths(root: Path, target: Target) -> Iterable[PurePosixPath]:
    for folder in ("kernels", "custom_ops"):
        for file in sorted((root / folder).rglob("*")):
            path = PurePosixPath(file.relative_to(root).as_posix())
            if file.suffix in (".c", ".h", ".inc", ".cc") and _is_for(path, target):
                yield path


def _is_for(path: PurePosixPath, target: Target) -> bool:
    # Headers refer to those of other cores, under conditions.
    if path.suffix == ".c" and not has_code(path, target.isa):
        return False
    if path.parts[0] == "kernels" or len(path.parts) == 2:
        return True
    return path.parts[1] == "core" or (path.parts[1] == "tflm" and path.name in _GLUE)


def _with_relative_includes(path: str, text: str, files: dict[str, str]) -> str:
    folder = PurePosixPath(path).parent

    def relative(match: re.Match[str]) -> str:
        candidates = (str(folder / match[2]), *(f"{root}/{match[2]}" for root in _ROOTS), match[2])
        found = next((name for name in candidates if name in files), None)
        if found is None:
            return match[0]
        return f'{match[1]}"{os.path.relpath(found, folder)}"'

    return _INCLUDE.sub(relative, text)
