"""The .tflite file: verify, read, edit, write."""
