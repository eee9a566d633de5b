"""The tables of results.json."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGES = (HERE / "README.md", HERE.parents[1] / "docs/compression.md")
TITLES = {
    "lenet_300_100": "LeNet-300-100",
    "lenet_5": "LeNet-5",
    "watch_dnn": "watch DNN",
    "watch_cnn": "watch CNN",
}

Row = dict[str, Any]


def write(document: Row) -> None:
    """Tables between their marks in all pages."""
    _write_tables({"nets": nets_table(document["nets"]), "forms": forms_table(document["nets"])})


def write_finetuned(rows: list[Row]) -> None:
    """The table of finetuned.json in all pages."""
    _write_tables({"finetuned": finetuned_table(rows)})


def write_third_party(rows: list[Row]) -> None:
    """The table of third_party.json in all pages."""
    _write_tables({"third party": third_party_table(rows)})


def write_anomaly_limits(rows: list[Row]) -> None:
    """The table of anomaly_limits.py in all pages."""
    _write_tables({"anomaly limits": anomaly_limits_table(rows)})


def _write_tables(tables: dict[str, str]) -> None:
    for page in PAGES:
        if not page.exists():
            continue
        text = page.read_text()
        for name, table in tables.items():
            pattern = rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)"
            text = re.sub(pattern, partial(_instead, f"{table}\n"), text, count=1, flags=re.DOTALL)
        page.write_text(text)


def _instead(table: str, _: re.Match[str]) -> str:
    """A function, as `re.sub` would read backslashes in a string."""
    return table


def nets_table(nets: Row) -> str:
    lines = [
        "| network | file | SQNR | float | ours, int8 in TFLM | weights + arena | M0 | M3 | M4 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, net in nets.items():
        before = net["float_weights"] + net["float_arena"]
        for row in net["compressed"]:
            ratios = " | ".join(f"{ratio:.0f}x" for ratio in row["instruction_ratios"].values())
            after = row["weights"] + row["arena"]
            lines.append(
                f"| {TITLES[name]} | {_budget(row)} | {row['sqnr_db']:.1f} dB "
                f"| {net['float_accuracy']:.2f} "
                f"| {row['accuracy']:.2f}, {-row['points_lost']:+.2f} "
                f"| {before:,} -> {after:,}, {row['memory_ratio']:.0f}x | {ratios} |"
            )
    return "\n".join(lines)


def _budget(row: Row) -> str:
    """Parts of the float32 file and of its instructions."""
    fewer = f", 1/{row['fewer']:g} of instructions" if row.get("fewer") else ""
    return f"1/{row['part']}{fewer}"


def forms_table(nets: Row) -> str:
    lines = ["| network | SQNR | layer by layer |", "|---|---|---|"]
    for name, net in nets.items():
        for row in net["compressed"]:
            forms = "; ".join(form.rsplit(": ", 1)[-1] for form in row["forms"])
            lines.append(f"| {TITLES[name]} | {row['sqnr_db']:.1f} dB | {forms} |")
    return "\n".join(lines)


def finetuned_table(rows: list[Row]) -> str:
    """Means over seeds, with the largest file of them."""
    lines = [
        "| network | file | float | compressed, no labels | 3 epochs more | file, bytes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        before, found = row["before"], row["after"]["accuracy"]
        after = sum(found) / len(found)
        changes = [accuracy - row["float_accuracy"] for accuracy in (before["accuracy"], after)]
        spread = f"{min(found):.2f} to {max(found):.2f}"
        lines.append(
            f"| {TITLES[row['net']]} | {_budget(row)} | {row['float_accuracy']:.2f} "
            f"| {before['accuracy']:.2f}, {changes[0]:+.2f} "
            f"| {after:.2f} ({spread}), {changes[1]:+.2f} "
            f"| {before['file']:,} -> {max(row['after']['file']):,} |"
        )
    return "\n".join(lines)


def third_party_table(rows: list[Row]) -> str:
    """What was published -> converted without loss -> compressed; one line where nothing pays."""
    lines = [
        "| model | asked | SQNR in TFLM (plain) | file, bytes | weights | arena "
        "| instructions, M4 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        changes = " | ".join(
            " -> ".join(f"{row[stage][key]:,}" for stage in ("before", "converted", "after"))
            for key in ("file", "weights", "arena", "instructions")
        )
        quality = "nothing pays"
        if not row["is_unchanged"]:
            quality = f"{row['sqnr_db']:.1f} dB ({row['plain_sqnr_db']:.1f})"
        asked = f"{row['asked_db']:g} dB" + (", speed" if row.get("prefer") else "")
        lines.append(f"| {row['model']} | {asked} | {quality} | {changes} |")
    return "\n".join(lines)


def anomaly_limits_table(rows: list[Row]) -> str:
    lines = [
        "| layer | outputs x inputs, used | rounded once | rank for 20 dB | bytes | entropy |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        shapes = " -> ".join(" x ".join(map(str, row[key])) for key in ("shape", "used"))
        lines.append(
            f"| {row['layer']} | {shapes} | {row['rounded_once_db']:.1f} dB "
            f"| {row['rank'] or 'none'} | {row['bytes']:,} | {row['entropy_bytes']:,} |"
        )
    total, least = (sum(row[key] for row in rows) for key in ("bytes", "entropy_bytes"))
    lines.append(f"| all | | | | {total:,} | {least:,} |")
    return "\n".join(lines)
