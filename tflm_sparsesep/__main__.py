"""`python -m tflm_sparsesep`."""

from tflm_sparsesep.cli import main

main()
