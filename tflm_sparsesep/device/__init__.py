"""Emulated cores: firmware, instruction counts, kernels on random layers."""
