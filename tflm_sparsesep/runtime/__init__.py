"""Models on samples in TFLM and LiteRT, and the files that they come from."""
