"""Conversion of .tflite files: dense layers become packed layers; one file in, one file out."""
