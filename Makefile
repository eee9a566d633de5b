# Everything a developer or a user of the checkout runs. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
# Lists of variants and layouts (*.inc) are tables of one row a line, OpenCL C (*.cl) holds names
# that clang-format takes for C++: both are formatted by hand.
C_FILES = $(shell git ls-files '*.c' '*.h' '*.cc')
# What the installed package is built from: a change asks for a reinstall.
NATIVE_SOURCES := pyproject.toml CMakeLists.txt $(shell find kernels custom_ops -name '*.[ch]' -o -name '*.inc' -o -name '*.cl')

.DEFAULT_GOAL := help
.PHONY: help setup runtimes demo test quick lint format cost-model accuracy clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.debian .venv/.installed ## Make .venv and install what is missing

runtimes: setup ## Older LiteRT runtimes, which some tests load the delegate into
	sh tools/make_runtimes.sh $(BIN)/python

demo: setup ## Train, convert, run in TFLM, count on a Cortex-M4
	$(BIN)/tflm-sparsesep demo

test: setup ## The whole test suite
	$(BIN)/python -m pytest

quick: setup ## The fast tests: no training, no emulated cores
	$(BIN)/python -m pytest -m "not slow"

lint: setup ## ruff, mypy, clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	sh tools/typecheck.sh
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

format: setup ## Format Python and C
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

cost-model: setup ## Measure the cost model's coefficients again
	$(BIN)/python benchmarks/cost_model/fit.py
	$(BIN)/python benchmarks/cost_model/fit_separable.py

accuracy: setup ## Accuracy against zeros, several methods: hours, goes on where it was stopped
	$(BIN)/python benchmarks/accuracy/run.py

clean: ## Remove what was built, .venv included
	rm -rf .venv build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.debian: tools/install_debian_packages.sh | .venv/bin/python
	sh tools/install_debian_packages.sh
	@touch $@

.venv/.installed: $(NATIVE_SOURCES) | .venv/bin/python
	$(BIN)/python -m pip install --quiet "scikit-build-core>=0.11" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	@touch $@
