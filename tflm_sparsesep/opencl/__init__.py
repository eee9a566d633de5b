"""Training of sparse fully-connected layers in their packed form, on an OpenCL device.

mlp = CompressedMLP.from_tflite("model.tflite")
mlp.fit(x, y, epochs=3)
Path("model.tflite").write_bytes(mlp.to_tflite())

It follows Lee and Lee (Applied Sciences 2019, arXiv 1905.07931). Only kept weights are stored, also
during training. pocl and TensorFlow crash if they are loaded into the same process.
"""

from __future__ import annotations

from tflm_sparsesep.opencl.blob import Deployment, read_blob, write_blob
from tflm_sparsesep.opencl.compressed_mlp import CompressedMLP
from tflm_sparsesep.opencl.device import Device
from tflm_sparsesep.opencl.sparse_layer import SparseLayer

__all__ = ["CompressedMLP", "Deployment", "Device", "SparseLayer", "read_blob", "write_blob"]
