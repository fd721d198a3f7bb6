# Everything here needs Python 3.11 or newer, make and the package index, nothing else.
# On Windows run the plain commands of CONTRIBUTING.md.

PYTHON ?= python3
VENV ?= .venv
CUDA_VENV ?= .venv-cuda
ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXAMPLES := $(VENV)/.examples
CHECK_VERSION := import sys; v = sys.version_info; \
	sys.exit(0 if v >= (3, 11) else f"autodiff-engine needs Python 3.11 or newer, but {sys.executable} is {v[0]}.{v[1]}. Say which to use: make PYTHON=python3.12 ...")

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-cuda check-examples lint format types coverage bench peers oracle wheel clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12
	@echo 'Arguments for the tool: make test ARGS="tests/test_tree.py -x"'

# The environment is made once, and brought up to date whenever pyproject.toml changes; `run` needs less of it.
$(STAMP): EXTRA := dev
$(EXAMPLES): EXTRA := examples
$(STAMP) $(EXAMPLES): pyproject.toml
	@$(PYTHON) -c '$(CHECK_VERSION)'
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA)]'
	@touch $@

run: $(EXAMPLES)  ## Train a convolutional network on handwritten digits
	@$(BIN)/python -m examples.mnist $(ARGS)

test: $(STAMP)  ## Run the tests and the examples in docstrings
	$(BIN)/python -m pytest -n auto --maxprocesses 8 $(ARGS)

# The GPU kernels have an environment of their own, with a compiler to PTX and an assembler: no GPU is needed.
$(CUDA_VENV)/.installed: pyproject.toml
	@$(PYTHON) -c '$(CHECK_VERSION)'
	@echo 'Installing into $(CUDA_VENV) ...'
	@$(PYTHON) -m venv $(CUDA_VENV)
	@$(CUDA_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[cuda-test]'
	@touch $@

test-cuda: export AUTODIFF_REQUIRE_PTX := $(filter Linux,$(shell uname))
test-cuda: CUDA_SPREAD := $(if $(filter cuda,$(CUDA_TARGET)),,-n auto --maxprocesses 4 --dist loadfile)
test-cuda: export NUMBA_ENABLE_CUDASIM := $(if $(filter cuda,$(CUDA_TARGET)),0,1)
test-cuda: $(CUDA_VENV)/.installed  ## Simulate the GPU kernels, compile and assemble them (CUDA_TARGET=cuda: run them)
	$(CUDA_VENV)/bin/python -m pytest $(CUDA_SPREAD) tests/cuda tests/kernels $(ARGS)

check-examples: $(STAMP)  ## Check the programs of the texts: exact figures, ten steps of everything else
	$(BIN)/python -m examples check $(ARGS)

lint: $(STAMP)  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)  ## Repair what the linter and the formatter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)  ## Check the types
	$(BIN)/mypy $(ARGS)

coverage: $(STAMP)  ## Run the tests in one process and list the lines that none of them reached
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

bench: $(STAMP)  ## Time the engine beside every peer that is installed (see peers)
	$(BIN)/python benchmarks/autodiff.py $(ARGS)

peers: $(STAMP)  ## Install the peers of the benchmarks: autograd, JAX, PyTorch (large)
	$(BIN)/python -m pip install --disable-pip-version-check '.[bench]'

oracle: $(STAMP)  ## Compare 10,000 random programs with JAX and PyTorch (see peers; takes long)
	$(BIN)/python -m tests.oracle $(ARGS)

wheel: $(STAMP)  ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .

clean:  ## Remove the environment, caches and build products
	rm -rf $(VENV) $(CUDA_VENV) build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
