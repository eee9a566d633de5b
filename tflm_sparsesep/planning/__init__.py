"""Shapes of layers, and what compression can gain on them."""
