"""Names of the custom operators in a .tflite file (`custom_ops/op_names.h`)."""

from __future__ import annotations

SPARSE_FULLY_CONNECTED = "SPARSE_FULLY_CONNECTED"
SEPARABLE_CONV_2D = "SEPARABLE_CONV_2D"
SPARSE_CONV_2D = "SPARSE_CONV_2D"

ALL = (SPARSE_FULLY_CONNECTED, SEPARABLE_CONV_2D, SPARSE_CONV_2D)
