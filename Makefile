# `make demo` and `make test` are all a new clone needs; both use plain pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo benchmark-quick test test-portable test-offline faults check docs install install-dev clean

demo: install
	$(BIN)/grn train

# DATA is a folder of benchmark sets; without it only the bundled one is used.
DATA ?= $(wildcard ../shared/data)
benchmark-quick: install
	$(BIN)/grn benchmark suite=quick $(if $(DATA),data.root=$(DATA))

# One thread each: two test processes share the cores.
test: export OMP_NUM_THREADS = 1
test: export MPLBACKEND = Agg
test: install-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup --nbmake --nbmake-timeout=300 tests notebooks

# The numeric tests with other instructions, threads and seeds; PORTABLE=whole for all combinations.
test-portable: install-dev
	$(BIN)/python tests/portable.py

# Every GPU kernel compiled without a GPU, for these generations; `make test` compiles the widest for one.
CAPABILITIES ?= 80 90 100
test-offline: export GRN_OFFLINE = $(CAPABILITIES)
test-offline: export OMP_NUM_THREADS = 1
test-offline: install-dev
	$(BIN)/python -m pytest -q tests/kernels/gpu/test_offline.py

# What `make test` tries in part: kills, signals, a full disk, damaged files. The figures go to benchmarks/results.
faults: export OMP_NUM_THREADS = 1
faults: export MPLBACKEND = Agg
faults: export GRN_FAULTS = whole
faults: export GRN_FAULTS_RESULTS = benchmarks/results
faults: install-dev
	$(BIN)/python -m pytest -q tests/faults

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, from docs/_build/index.html on. Warnings are errors, as in the tests.
docs: install-dev
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/notebooks *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
