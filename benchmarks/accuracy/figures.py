"""figures/<model>.svg: accuracy lost against zeros, a line for each method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from models import MODELS
from settings import PATTERNS, goals
from store import Row
from summary import Group, groups

_COLOURS = {
    "ours": "#0072b2",
    "tfmot": "#d55e00",
    "lee_lee_debias": "#009e73",
    "lee_lee": "#56b4e9",
    "l1_threshold": "#999999",
}
_DASHES = {"1x1": "-", "1x4": "--", "4x1": "-.", "4x4": ":"}
_SIZE_INCHES = (9.0, 3.6)


def write(rows: list[Row], folder: Path) -> list[Path]:
    """Writes a figure for each model that has something to show."""
    folder.mkdir(exist_ok=True)
    # The same rows give the same file; text stays text, which keeps it small.
    mpl.rcParams |= {"svg.hashsalt": "accuracy", "svg.fonttype": "none"}
    written = []
    for model in MODELS:
        found = groups(rows, model)
        if any(method != "dense" for method, *_ in found):
            written.append(_draw(model, found, folder / f"{model}.svg"))
    return written


def _draw(model: str, found: dict[tuple[str, str, float | None], Group], path: Path) -> Path:
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    blocks = any(pattern != "1x1" for _, pattern, _ in found)
    axes = figure.subplots(1, 2 if blocks else 1, sharey=True, squeeze=False)[0]
    for method in _COLOURS:
        _line(axes[0], model, found, method, "1x1", label=method)
    axes[0].set_title(f"{model}, unstructured")
    axes[0].set_ylabel("points of accuracy lost (int8 in TFLM)")
    if blocks:
        for pattern in PATTERNS:
            for method in ("ours", "tfmot"):
                _line(axes[1], model, found, method, pattern, label=f"{method} {pattern}")
        axes[1].set_title("patterns")
    for one in axes:
        one.set_xlabel("zeros in %")
        one.grid(alpha=0.3)
        one.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})
    # Matplotlib leaves blanks at the ends of lines.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _line(
    axes: Any,
    model: str,
    found: dict[tuple[str, str, float | None], Group],
    method: str,
    pattern: str,
    *,
    label: str,
) -> None:
    some = [found[key] for goal in goals(model) if (key := (method, pattern, goal)) in found]
    if not some:
        return
    axes.errorbar(
        [100 * group.zeros for group in some],
        [group.loss.mean for group in some],
        yerr=[group.loss.deviation or 0.0 for group in some],
        color=_COLOURS[method],
        linestyle=_DASHES[pattern],
        marker="o",
        markersize=3,
        capsize=2,
        label=label,
    )
