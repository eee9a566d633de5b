"""`python -m tflm_sparsesep.cli`."""

from tflm_sparsesep.cli import main

main()
