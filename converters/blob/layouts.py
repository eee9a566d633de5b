"""The blob layouts that have kernels.

A layout says how weights are stored, not which kernel reads them: the device picks the fastest
variant of its own list in `kernels/variants/` that runs it. The layouts themselves are the rows of
`kernels/sparse_fully_connected/layouts.inc`.
"""

from __future__ import annotations

import functools

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import layout_of, read_header

_HEADERS = {layout_of(read_header(header)): header for header in native.layout_headers()}
LAYOUTS: tuple[Layout, ...] = tuple(_HEADERS)


@functools.cache
def layouts_for(target: str) -> tuple[Layout, ...]:
    """Return the layouts that a target has kernels for.

    The host runs all of them, so that it can check any blob. Raises ConfigError for an unknown
    target.
    """
    return tuple(
        layout
        for layout, header in _HEADERS.items()
        if native.variant_name(header, target=target, is_header=True) is not None
    )
