"""The kernels that a model needs on a target, and the C header that links only them.

A build links every kernel of its core by default. A build that defines SPARSESEP_SELECTED_VARIANTS
and has `sparsesep_variants.h` on its include path references only the kernels in that header, and
the linker drops the others (compile with -ffunction-sections, link with -Wl,--gc-sections). Prepare
rejects a layer whose kernel is not linked.
"""

from __future__ import annotations

from collections.abc import Sequence

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob import paged_format
from tflm_sparsesep.converters.blob.pack_depthwise import pointwise_weights
from tflm_sparsesep.converters.blob.pack_sparse_conv import has_residual
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.layers.packed import blob_of, is_depthwise, stored_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator

HEADER_NAME = "sparsesep_variants.h"
DEFINE = "SPARSESEP_SELECTED_VARIANTS"
RESIDUAL = "residual"
"""Beside kernels: what adds residuals to convolutions."""


def variants_of(data: bytes, *, target: str, name: str = "model") -> list[str]:
    """Return the names of the kernels that run a model's sparse layers, sorted.

    `RESIDUAL` is among them if a layer has one. `name` is that of the model in errors.

    Raises:
        ModelError: the bytes are not a usable model, or no kernel of the target runs a layer.
        ConfigError: the target is unknown.

    Example:
        >>> variants_of(model, target="cortex-m4")  # doctest: +SKIP
        ['1x1_gap4_int8_dsp', '4x4_delta8_int8_woven_dsp']
    """
    get_target(target)
    model = editor.read(data, name=name)
    found: set[str] = set()
    for op in (op for subgraph in model.subgraphs for op in subgraph.operators):
        if op.op_name not in op_names.ALL:
            continue
        try:
            weights = _weights_of(op)
            if weights is None:
                continue
            variant = _variant_of(weights, target)
        except ModelError as error:
            raise ModelError(f"{name}: layer {layer_name(op)!r}: {error}") from None
        if variant is None:
            raise ModelError(
                f"{name}: layer {layer_name(op)!r}: {target} has no kernel for its layout; "
                f"convert the dense model with target {target!r}"
            )
        found.add(variant)
        if op.op_name == op_names.SPARSE_CONV_2D and has_residual(blob_of(op)):
            found.add(RESIDUAL)
    return sorted(found)


def _weights_of(op: Operator) -> bytes | None:
    """Return packed weights, or the table of contents of their pages; None if there are none."""
    if op.op_name == op_names.SEPARABLE_CONV_2D:
        return pointwise_weights(blob_of(op)) if is_depthwise(op) else None
    return stored_weights(op)


def _variant_of(weights: bytes, target: str) -> str | None:
    """Return the kernel that runs packed weights, or a table of contents of their pages."""
    if not paged_format.is_table(weights):
        return native.variant_name(weights, target=target)
    try:
        header = paged_format.Table.from_bytes(weights).page_headers()[0]
    except ValueError as error:
        raise ModelError(str(error)) from None
    return native.variant_name(header, target=target, is_header=True)


def variants_header(variants: Sequence[str], *, target: str) -> str:
    """Return the text of `sparsesep_variants.h` for the kernels `variants` of `target`.

    Raises:
        ConfigError: `variants` is empty.
    """
    if not variants:
        raise ConfigError(
            "no kernels to link: the models have no sparse layers; `convert` makes them"
        )
    lines = [
        f"// Kernels to link for {target}, in builds that define {DEFINE}.",
        "// Written by `tflm-sparsesep variants`.",
        f"#define SPARSESEP_SELECTED_VARIANT_COUNT {len({*variants} - {RESIDUAL})}",
        *(f"#define SPARSESEP_LINK_{variant} 1" for variant in variants),
    ]
    return "\n".join(lines) + "\n"
