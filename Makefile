# Everything a developer or a user of the checkout runs. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of Python processes: they read what the first one compiled, even in containers
# that ask Python to keep nothing.
unexport PYTHONDONTWRITEBYTECODE
# Parallel test processes: a number, or `auto` for one per core.
JOBS ?= auto
# Lists of variants and layouts (*.inc) are tables of one row a line, OpenCL C (*.cl) holds names
# that clang-format takes for C++: both are formatted by hand.
C_FILES = $(shell git ls-files '*.c' '*.h' '*.cc')
SHELL_SCRIPTS = .ci/run $(shell git ls-files '*.sh')
PYTEST_OPTIONS := -n $(JOBS) --dist loadgroup
# Each of the parallel test processes has a core: the threads that BLAS starts in each of them for every
# core would spin where they wait for one. Tests that are about threads set their own number.
test quick soak: export OMP_NUM_THREADS := 1
# What the installed package is built from: a change asks for a reinstall.
NATIVE_SOURCES := pyproject.toml CMakeLists.txt $(shell find kernels custom_ops -name '*.[ch]' -o -name '*.inc' -o -name '*.cl')

.DEFAULT_GOAL := help
.PHONY: help setup runtimes demo test quick soak fuzz fuzz-coverage lint docs format cost-model kernel-log accuracy wheels first-build clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.debian .venv/.installed ## Make .venv and install what is missing

runtimes: setup ## Runtimes and data that some tests load
	sh tools/make_runtimes.sh $(BIN)/python
	-$(BIN)/python benchmarks/accuracy/environment.py
	-test -d ../shared/models || $(BIN)/python tools/fetch_models.py build/models

demo: setup ## Train, convert, run in TFLM, count on a Cortex-M4
	$(BIN)/tflm-sparsesep demo

test: setup runtimes ## The whole test suite, with line coverage
	@mkdir -p build
	$(BIN)/python -m slipcover --source tflm_sparsesep,converters --json --out build/coverage.json \
		-m pytest $(PYTEST_OPTIONS)
	@$(BIN)/python tools/coverage_summary.py build/coverage.json

quick: setup ## The fast tests: no training, no emulated cores
	$(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "not slow"

soak: setup runtimes ## Random tests with new seeds and many more cases: an hour
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest $(PYTEST_OPTIONS) -m "hypothesis or sweep"

SECONDS ?= 60
fuzz: setup ## Coverage-guided fuzzing: make fuzz SECONDS=n for each target
	$(BIN)/python tests/fuzz/libfuzzer.py build/fuzz --seconds $(SECONDS)

fuzz-coverage: setup ## Lines of the validators that the corpora of make fuzz reach
	$(BIN)/python tests/fuzz/libfuzzer.py build/fuzz --coverage

lint: setup docs ## ruff, mypy, clang-format, clang-tidy, shellcheck, the documentation site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tflm_sparsesep -p tests
	for folder in benchmarks/*/; do MYPYPATH=benchmarks/accuracy:benchmarks/compression $(BIN)/mypy $$folder*.py || exit 1; done
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/python tools/run_clang_tidy.py
	$(BIN)/shellcheck $(SHELL_SCRIPTS)

docs: setup ## The documentation site, into build/site; broken links fail
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: setup ## Format Python and C
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

cost-model: setup ## Measure the cost model's coefficients again
	$(BIN)/python benchmarks/cost_model/fit.py
	$(BIN)/python benchmarks/cost_model/fit_separable.py
	$(BIN)/python benchmarks/cost_model/fit_depthwise.py

accuracy: setup ## Accuracy against zeros, several methods: hours, goes on where it was stopped
	$(BIN)/python benchmarks/accuracy/run.py

kernel-log: setup ## Log code size and instructions of every kernel again
	$(BIN)/python benchmarks/kernels/log.py

wheels: setup ## Source distribution and wheels into build/dist: make wheels REPOSITORY=URL
	$(BIN)/python tools/build_wheels.py build/dist $(if $(REPOSITORY),--repository $(REPOSITORY))

first-build: setup ## Follow the README's first steps in a new environment
	$(BIN)/python tools/first_build.py

clean: ## Remove what was built, .venv included
	rm -rf .venv build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.debian: tools/install_debian_packages.sh | .venv/bin/python
	sh tools/install_debian_packages.sh
	@touch $@

.venv/.installed: $(NATIVE_SOURCES) | .venv/bin/python
	$(BIN)/python -m pip install --quiet "scikit-build-core>=0.11" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation \
		--config-settings=cmake.define.SPARSESEP_WERROR=ON --editable ".[dev]"
	@touch $@
