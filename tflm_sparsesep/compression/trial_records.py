"""What `compress` computes as entries of the cache, and back: equal, floats to the last bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tflm_sparsesep.compression.budget_search import Point
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.compression.layer_compressor import Built
from tflm_sparsesep.compression.layer_forms import Form
from tflm_sparsesep.compression.trial_cache import Entry
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.rewrite import RewriteResult


def options_entry(options: Sequence[Option]) -> Entry:
    """What one layer can become."""
    return Entry({"options": [dataclasses.asdict(option) for option in options]})


def options_of(entry: Entry) -> list[Option]:
    """Inverse of `options_entry`."""
    return [
        Option(**{**fields, "form": _form(fields["form"])}) for fields in entry.values["options"]
    ]


def model_entry(built: Built, rewritten: RewriteResult, points: Sequence[Point]) -> Entry:
    """A compressed model before and after the rewriting, and points of the search."""
    values = {
        "input_zeros": built.input_zeros,
        "layers": [layer.to_json() for layer in rewritten.layers],
        "points": [dataclasses.asdict(point) for point in points],
    }
    return Entry(values, {"built": built.tflite, "rewritten": rewritten.tflite})


def model_of(entry: Entry) -> tuple[Built, RewriteResult, list[Point]]:
    """Inverse of `model_entry`."""
    values = entry.values
    layers = [LayerDecision(**fields) for fields in values["layers"]]
    return (
        Built(entry.blobs["built"], values["input_zeros"]),
        RewriteResult(entry.blobs["rewritten"], layers),
        [Point(**{**fields, "forms": tuple(fields["forms"])}) for fields in values["points"]],
    )


def _form(fields: dict[str, Any]) -> Form:
    return Form(**{**fields, "block": tuple(fields["block"])})
