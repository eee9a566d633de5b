"""Print line coverage per package from slipcover's JSON report.

    python tools/coverage_summary.py build/coverage.json

Lines that run only in a subprocess of a test do not count.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    covered: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for name, file in json.loads(Path(sys.argv[1]).read_text())["files"].items():
        # Resolved, so that a file reached through a symlink counts once, where it is.
        package = str((ROOT / name).resolve().relative_to(ROOT).parent)
        covered[package] += file["summary"]["covered_lines"]
        missing[package] += file["summary"]["missing_lines"]
    rows = [(name, covered[name], missing[name]) for name in sorted(covered | missing)]
    rows.append(("total", covered.total(), missing.total()))
    print(f"{'line coverage':32} {'lines':>6} {'missed':>6} {'covered':>8}")
    for name, hit, missed in rows:
        lines = hit + missed
        print(f"{name:32} {lines:6} {missed:6} {hit / max(lines, 1):8.1%}")


if __name__ == "__main__":
    main()
