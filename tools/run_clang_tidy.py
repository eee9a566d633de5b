"""Run clang-tidy on every C file of the host build, each with one compile command.

    python tools/run_clang_tidy.py [FILE ...]

The build compiles most files twice, once for each rounding. The database that CMake writes to
build/cmake is reduced to the first command of each file, which halves the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATABASE = ROOT / "build/cmake/compile_commands.json"
REDUCED = ROOT / "build/lint/compile_commands.json"
CLANG_TIDY = Path(sys.executable).parent / "clang-tidy"


def write_reduced_database() -> list[Path]:
    """Write the reduced database and return its files, without those that the build generates."""
    commands: dict[str, dict[str, str]] = {}
    for entry in json.loads(DATABASE.read_text()):
        commands.setdefault(entry["file"], entry)
    REDUCED.parent.mkdir(parents=True, exist_ok=True)
    REDUCED.write_text(json.dumps(list(commands.values())))
    generated = ROOT / "build"
    return [path for path in map(Path, commands) if not path.is_relative_to(generated)]


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Return the finished clang-tidy process of one file."""
    return subprocess.run(
        [CLANG_TIDY, "--quiet", "-p", REDUCED.parent, path], capture_output=True, text=True
    )


def main() -> int:
    if not DATABASE.is_file():
        print(f"no {DATABASE.relative_to(ROOT)}: run `make setup`", file=sys.stderr)
        return 1
    files = write_reduced_database()
    chosen = {Path(name).resolve() for name in sys.argv[1:]}
    files = [path for path in files if not chosen or path in chosen]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = [done for done in pool.map(check, files) if done.returncode != 0]
    for done in failed:
        # Standard error counts suppressed warnings, unless clang-tidy itself failed.
        print(done.stdout or done.stderr)
    print(f"clang-tidy: {len(files)} files, {len(failed)} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
