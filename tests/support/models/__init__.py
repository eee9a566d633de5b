"""Small .tflite and Keras models, and third-party ones."""
