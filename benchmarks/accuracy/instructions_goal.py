"""`ProximalL1(instructions=)` against `zeros=`: the same accuracy for fewer instructions?

    python benchmarks/accuracy/instructions_goal.py watch_cnn --seeds 5
    python benchmarks/accuracy/instructions_goal.py lenet_5 --seeds 1

For each fraction of zeros and each seed it trains with `zeros=`, counts the instructions of the
converted model on Cortex-M4, and trains the same network again with `instructions=`, at 85% of
them. Both are judged in TFLM, in int8. Rows go into pairs/instructions_goal.json and a table of
README.md; a pair that has a row is not run again.
"""

from __future__ import annotations

import argparse
import os
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import store
import training
import tuning
from evaluate import TARGET, convert, int8_accuracy
from jobs import Job, zeros
from settings import Setting
from store import Row

import tflm_sparsesep as ts

ROWS = store.FOLDER / "pairs/instructions_goal.json"
_ZEROS = {"watch_cnn": (0.8, 0.9, 0.95), "lenet_5": (0.95, 0.98)}
# Of the instructions that `zeros=` takes.
SHARE = 0.85


def main() -> None:
    arguments = _parse()
    training.prepare_tensorflow()
    for seed in range(arguments.seeds):
        for share in _ZEROS[arguments.model]:
            if not any(_key(row) == (arguments.model, share, seed) for row in load()):
                row = pair(Setting(arguments.model, "ours", "1x1", share, seed))
                _save([*load(), row])  # another process may have added rows meanwhile


def pair(setting: Setting) -> Row:
    """Train a setting with `zeros=` and again with `instructions=`."""
    job = Job(setting, tuning.recipe(setting.model))
    by_zeros = _trained(job, ts.ProximalL1(zeros=job.goal, target=TARGET))
    budget = round(SHARE * by_zeros["instructions"])
    by_instructions = _trained(job, ts.ProximalL1(instructions=budget, target=TARGET))
    row = {
        "model": setting.model,
        "zeros_goal": job.goal,
        "seed": setting.seed,
        "budget": budget,
        "by_zeros": by_zeros,
        "by_instructions": by_instructions,
    }
    print(row, flush=True)
    return row


def _trained(job: Job, callback: Any) -> Row:
    model = job.new_model()
    job.fit(model, [callback])
    converted = convert(model, job.data)
    return {
        "zeros": round(zeros(model), 4),
        "instructions": converted.instructions,
        "dense_instructions": converted.dense_instructions,
        "file_bytes": len(converted.tflite),
        "accuracy": int8_accuracy(converted.tflite, job.data),
    }


def load() -> list[Row]:
    """Return all rows."""
    return store.read_rows(ROWS)


def _save(rows: list[Row]) -> None:
    rows = sorted(rows, key=_key)
    store.write_rows(ROWS, rows)
    store.write_table("instructions", table(rows))


def table(rows: list[Row]) -> str:
    """Return one line for each network and fraction of zeros: means over seeds."""
    lines = [
        "| model | seeds | `zeros=` | M4 | accuracy | `instructions=` | M4 | accuracy | points |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model, share in sorted({(row["model"], row["zeros_goal"]) for row in rows}):
        found = [row for row in rows if (row["model"], row["zeros_goal"]) == (model, share)]
        cells = " | ".join(_cells(found, side) for side in ("by_zeros", "by_instructions"))
        gains = [_points(row) for row in found]
        spread = f" ± {stdev(gains):.2f}" if len(gains) > 1 else ""
        lines.append(f"| {model} | {len(found)} | {cells} | {mean(gains):+.2f}{spread} |")
    return "\n".join(lines) + "\n"


def _points(row: Row) -> float:
    return 100 * float(row["by_instructions"]["accuracy"] - row["by_zeros"]["accuracy"])


def _cells(rows: list[Row], side: str) -> str:
    share, count, accuracy = (
        mean(row[side][name] for row in rows) for name in ("zeros", "instructions", "accuracy")
    )
    return f"{share:.1%} | {round(count):,} | {accuracy:.2%}"


def _key(row: Row) -> tuple[str, float, int]:
    return row["model"], row["zeros_goal"], row["seed"]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", choices=_ZEROS)
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ...")
    return parser.parse_args()


if __name__ == "__main__":
    main()
