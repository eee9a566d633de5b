"""Parts of `export`: a model as C++ sources, in the layouts of firmware build systems."""
