"""Layers read out of operators as matrices, and matrices written as operators."""
