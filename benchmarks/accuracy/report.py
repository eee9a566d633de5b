"""results.json and the tables of README.md, from runs.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean

import store
from models import MODELS
from settings import METHOD_VERSIONS, PATTERNS, goals
from store import Row
from summary import Group, Spread, differences, groups

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
# Ours first, then what it is compared with.
_METHODS = ("ours", "tfmot", "lee_lee_debias", "lee_lee", "l1_threshold")
# A method that landed further than this from its goal has its zeros in the table.
_FAR_FROM_GOAL = 0.0025

Groups = dict[tuple[str, str, float | None], Group]


def write(folder: Path) -> list[Row]:
    """Writes results.json and README.md into `folder`; gives the rows."""
    assert set(_METHODS) | {"dense"} == set(METHOD_VERSIONS)
    rows = store.results()
    (folder / "results.json").write_text(store.results_text(rows))
    page = (store.FOLDER / "README.md").read_text()
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    sections = "\n\n".join(_sections(rows))
    (folder / "README.md").write_text(f"{before}{_BEGIN}\n{sections}\n{_END}{after}")
    return rows


def _sections(rows: list[Row]) -> Iterator[str]:
    for model in MODELS:
        found = groups(rows, model)
        if found:
            yield from _model_sections(model, found)
    yield from _comparison(rows, "ours", "tfmot", "Ours against TFMOT")
    yield from _comparison(
        rows, "lee_lee_debias", "l1_threshold", "Proximal and debiased against L1 and threshold"
    )
    yield _choices()


def _model_sections(model: str, found: Groups) -> Iterator[str]:
    dense = found.get(("dense", "1x1", None))
    title = f"### {model}, {MODELS[model].epochs} epochs"
    if dense is not None:
        floats = Spread.of(100 * row["float_accuracy"] for row in dense.rows)
        int8 = Spread.of(100 * row["int8_tflm_accuracy"] for row in dense.rows)
        title += (
            f"\n\nDense: float {floats} %, int8 in TFLM {int8} %, "
            f"{dense.packed_bytes:,.0f} bytes of weights; {len(dense.rows)} seed(s)."
        )
    yield title
    if all(method == "dense" for method, *_ in found):
        return
    yield f"![loss against zeros](figures/{model}.svg)"
    yield "Points of accuracy lost:"
    yield _table(model, found, _loss)
    yield "Bytes of weights as `convert` stores them:"
    yield _table(model, found, lambda group, _: f"{group.packed_bytes:,.0f}")


def _table(model: str, found: Groups, cell: Callable[[Group, float], str]) -> str:
    methods = [method for method in _METHODS if any(key[0] == method for key in found)]
    lines = [
        f"| pattern | zeros | {' | '.join(f'`{method}`' for method in methods)} |",
        "|---|---|" + "---|" * len(methods),
    ]
    for pattern in PATTERNS:
        for goal in goals(model):
            some = [found.get((method, pattern, goal)) for method in methods]
            if any(some):
                cells = ["" if group is None else cell(group, goal) for group in some]
                lines.append(f"| {pattern} | {goal:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _loss(group: Group, goal: float) -> str:
    text = str(group.loss)
    if abs(group.zeros - goal) > _FAR_FROM_GOAL:
        text += f" (at {group.zeros:.1%})"
    return text


def _comparison(rows: list[Row], better: str, worse: str, title: str) -> Iterator[str]:
    found = differences(rows, better, worse)
    if not found:
        return
    yield f"### {title}"
    lines = [
        f"Points of int8 accuracy by which `{better}` is above `{worse}`, seed by seed:",
        "",
        "| model | pattern | zeros | points |",
        "|---|---|---|---|",
    ]
    for (model, pattern, goal), spread in found.items():
        lines.append(f"| {model} | {pattern} | {goal:.0%} | {spread.mean:+.2f}{_after(spread)} |")
    means = [spread.mean for spread in found.values()]
    lines.append(f"\nMean over these {len(means)} settings: {mean(means):+.2f}; ")
    lines[-1] += f"lowest {min(means):+.2f}, highest {max(means):+.2f}."
    yield "\n".join(lines)


def _after(spread: Spread) -> str:
    return "" if spread.deviation is None else f" ± {spread.deviation:.2f}"


def _choices() -> str:
    """What was chosen on the validation split, with the accuracy of each candidate."""
    lines = [
        "### Choices on the validation split",
        "",
        "Mean accuracy of each candidate in per cent (`tuning.json` has the seeds):",
        "",
        "| model | what | candidates |",
        "|---|---|---|",
    ]
    document = json.loads((store.FOLDER / "tuning.json").read_text())
    for model, choices in document.items():
        for what, candidates in choices.items():
            means = {value: 100 * mean(found) for value, found in candidates.items()}
            best = max(means, key=lambda value: means[value])
            shown = ", ".join(
                f"**{value}: {means[value]:.2f}**" if value == best else f"{value}: {found:.2f}"
                for value, found in means.items()
            )
            lines.append(f"| {model} | {what.replace('_', ' ')} | {shown} |")
    return "\n".join(lines)
