"""Keras callbacks that train sparse models, and reports on their weights."""
