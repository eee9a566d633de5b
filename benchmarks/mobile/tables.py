"""Tables of README.md from results.json: ratios to XNNPACK, and from which zeros sparse wins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SHOWN_ZEROS = (0.8, 0.9, 0.95)
DENSE = ("float32", "int8")

Layer = dict[str, Any]
"""`name`; `dense_ms`, milliseconds by type; `sparse`, at several `zeros` `ms` by name."""


def write_tables(results: dict[str, Any]) -> None:
    """Puts the tables between README.md's markers."""
    readme = FOLDER / "README.md"
    begin, end = "<!-- tables -->\n", "<!-- end of tables -->"
    head, rest = readme.read_text().split(begin)
    readme.write_text(head + begin + tables(results) + end + rest.split(end)[1])


def tables(results: dict[str, Any]) -> str:
    """The machine, and a table for each number of threads and layer."""
    machine = results["machine"]
    parts = [f"{machine['cpu']}; {machine['runtime']}.\n"]
    for run in results["runs"]:
        parts.append(f"\n## Threads: {run['threads']}\n")
        parts += [f"\n### {layer['name']}\n\n{layer_table(layer)}" for layer in run["layers"]]
    return "\n".join(parts)


def layer_table(layer: Layer) -> str:
    """Dense time over sparse time by zeros, and break-even zeros, for each kind of sparse model."""
    shown = " / ".join(f"{zeros:.0%}" for zeros in SHOWN_ZEROS)
    lines = [
        f"| sparse | over dense float32 at {shown} zeros | over dense int8 | break-even zeros, "
        "float32 | int8 |",
        "|---|---|---|---|---|",
    ]
    for name in layer["sparse"][0]["ms"]:
        ratios = [" / ".join(_shown_ratios(layer, name, dense)) for dense in DENSE]
        limits = [_percent(break_even(layer, name, dense)) for dense in DENSE]
        lines.append(f"| {' | '.join([name, *ratios, *limits])} |")
    times = [f"{dense} {1000 * layer['dense_ms'][dense]:.0f} us" for dense in DENSE]
    return "\n".join([*lines, "", f"Dense: {', '.join(times)}.", ""])


def ratios_of(layer: Layer, name: str, dense: str) -> tuple[list[float], list[float]]:
    """Shares of zeros, ascending, and there dense time over the time of model `name`."""
    runs = sorted(layer["sparse"], key=lambda run: run["zeros"])
    ratios = [layer["dense_ms"][dense] / run["ms"][name] for run in runs]
    return [run["zeros"] for run in runs], ratios


def break_even(layer: Layer, name: str, dense: str) -> float | None:
    """The zeros from which on `name` takes no longer than the dense model.

    On the line between the last share where it does and the next one; 0.0 where it never does,
    None where it does at the most zeros of all.
    """
    zeros, ratios = ratios_of(layer, name, dense)
    losses = [i for i, ratio in enumerate(ratios) if ratio < 1.0]
    if not losses:
        return 0.0
    last = losses[-1]
    if last == len(ratios) - 1:
        return None
    return _crossing(zeros[last : last + 2], ratios[last : last + 2])


def _crossing(zeros: Sequence[float], ratios: Sequence[float]) -> float:
    """Where sparse over dense time, which is near linear in zeros, passes 1 between two points."""
    first, second = (1.0 / ratio for ratio in ratios)
    return zeros[0] + (zeros[1] - zeros[0]) * (first - 1.0) / (first - second)


def _shown_ratios(layer: Layer, name: str, dense: str) -> list[str]:
    by_zeros = dict(zip(*ratios_of(layer, name, dense), strict=True))
    return [f"{by_zeros[zeros]:.2f}" for zeros in SHOWN_ZEROS]


def _percent(zeros: float | None) -> str:
    if zeros is None:
        return "never"
    return "always" if zeros == 0.0 else f"{zeros:.0%}"
