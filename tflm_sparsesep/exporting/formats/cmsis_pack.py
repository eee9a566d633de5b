"""The contents of a CMSIS-Pack, ready for `packchk` and zip."""

from __future__ import annotations

from html import escape
from pathlib import PurePosixPath

from tflm_sparsesep.exporting import about
from tflm_sparsesep.exporting.device_model import DeviceModel
from tflm_sparsesep.exporting.example import example_text
from tflm_sparsesep.exporting.library import library_files
from tflm_sparsesep.exporting.templates import fill

VENDOR = "tflm_sparsesep"
_CATEGORIES = {".c": "sourceC", ".cc": "sourceCpp", ".h": "header"}
_MAIN = "int main() { return RunSample(); }"


def files(model: DeviceModel) -> dict[str, str]:
    """Return the text of every file by its path."""
    sources = library_files(model, "src")
    template = {"template/main.cc": example_text(model, entry=_MAIN)}
    values = {
        "vendor": VENDOR,
        "name": model.name,
        "sentence": about.sentence(model.name, model.target.name),
        "url": about.URL,
        "version": about.version(),
        "sources": "\n".join(filter(None, map(_entry, sources))),
    }
    return {
        f"{VENDOR}.{model.name}.pdsc": fill("cmsis_pack/pack.pdsc.in", **values),
        "README.md": fill("cmsis_pack/README.md.in", **values),
        **template,
        **sources,
    }


def _entry(path: str) -> str:
    category = _CATEGORIES.get(PurePosixPath(path).suffix)
    return f'        <file category="{category}" name="{escape(path)}"/>' if category else ""
