"""Compress trained models without training: factorizations, fits, search and cache."""
