"""Accuracy of sparse networks by several methods, each setting trained once and kept in runs.jsonl.

    python benchmarks/accuracy/run.py                       what is missing of the whole sweep
    python benchmarks/accuracy/run.py --model lenet_300_100 --method ours --seed 0
    python benchmarks/accuracy/run.py --evaluate-again      new converter, weights as trained
    python benchmarks/accuracy/run.py --report-only         results.json, README.md and figures

Stop it whenever you like: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

import figures
import report
import store
from models import MODELS
from settings import METHOD_VERSIONS, PATTERNS, Setting, sweep


def main() -> int:
    arguments = _parse()
    failed = 0
    if not arguments.report_only:
        chosen = [setting for setting in sweep() if _wanted(setting, arguments)]
        kept = store.kept()
        missing = [setting for setting in chosen if setting not in kept]
        print(f"{len(chosen)} settings, {len(missing)} to run", flush=True)
        if arguments.list:
            print("\n".join(setting.name for setting in missing))
            return 0
        if arguments.evaluate_again:
            _evaluate_again([setting for setting in chosen if setting not in missing])
        else:
            failed = _run_all(missing)
    _report(arguments.output)
    return 1 if failed else 0


def _report(folder: Path) -> None:
    rows = report.write(folder)
    figures.write(rows, folder / "figures")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", choices=list(MODELS))
    parser.add_argument("--method", action="append", choices=list(METHOD_VERSIONS))
    parser.add_argument("--pattern", action="append", choices=PATTERNS)
    parser.add_argument("--goal", action="append", type=float, help="fraction of zeros")
    parser.add_argument("--seed", action="append", type=int)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--list", action="store_true", help="print what is missing, run nothing")
    mode.add_argument(
        "--evaluate-again",
        action="store_true",
        help="convert and judge kept weights again, after a change of the converter",
    )
    mode.add_argument("--report-only", action="store_true", help="train nothing")
    parser.add_argument(
        "--output", type=Path, default=store.FOLDER, help="where the report goes; default: here"
    )
    return parser.parse_args()


def _wanted(setting: Setting, arguments: argparse.Namespace) -> bool:
    """Options that are not given accept everything."""
    return all(
        accepted is None or value in accepted
        for value, accepted in (
            (setting.model, arguments.model),
            (setting.method, arguments.method),
            (setting.pattern, arguments.pattern),
            (setting.zeros_goal, arguments.goal),
            (setting.seed, arguments.seed),
        )
    )


def _run_all(settings: list[Setting]) -> int:
    """Runs what is missing, whatever becomes of the others; the number of those that failed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sweep_worker import run

    failed = 0
    for number, setting in enumerate(settings, 1):
        if store.load(setting) is not None:  # another process was faster
            continue
        start = time.monotonic()
        try:
            row = run(setting)
        except Exception:  # one bad setting must not cost the night
            traceback.print_exc()
            failed += 1
            continue
        store.save(setting, row)
        _report(store.FOLDER)  # so that what is there fits together whenever this is stopped
        print(
            f"{time.strftime('%H:%M:%S')} {number}/{len(settings)} {setting.name}: "
            f"zeros {row['zeros']:.4f}, float {row['float_accuracy']:.4f}, "
            f"int8 {row['int8_tflm_accuracy']:.4f}, {row['packed_bytes']} bytes, "
            f"{row['seconds']:.0f} CPU s, {time.monotonic() - start:.0f} s in all",
            flush=True,
        )
    return failed


def _evaluate_again(settings: list[Setting]) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sweep_worker import run_evaluation

    for setting in settings:
        before = store.load(setting)
        row = None if before is None else run_evaluation(setting, before)
        if row is None:
            print(f"{setting.name}: its weights are not in build/, left as it is", flush=True)
            continue
        store.save(setting, row)
        changed = {key: value for key, value in row.items() if value != (before or {}).get(key)}
        print(f"{setting.name}: {changed or 'unchanged'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
