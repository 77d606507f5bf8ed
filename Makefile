# `make demo` and `make test` do all their own set-up: a virtual environment, the pinned packages, whitecrow itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: demo test lint docs bench reproduce clean

demo: $(VENV)/.installed
	$(BIN)/whitecrow demo --out demo-output

# One thread for each of the two processes: more threads than cores wait for one another most of the time.
test: $(VENV)/.installed-test lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

docs: $(VENV)/.installed
	$(BIN)/python docs/detector_table.py

bench: $(BENCH)/.installed
	$(BENCH)/bin/python benchmarks/peers.py --out docs/results/peers.md
	$(BENCH)/bin/python benchmarks/methods.py
	$(BENCH)/bin/python benchmarks/kinds.py --out docs/results/kinds.md

# PUBLISHED is a CSV file with the published AUROC: a row per data set, a column per method.
reproduce: $(VENV)/.installed
	$(BIN)/python benchmarks/published.py
	$(BIN)/python benchmarks/soundness.py
	$(BIN)/python benchmarks/selection.py
	$(BIN)/python benchmarks/evidence.py
	$(BIN)/python benchmarks/adbench.py $(if $(PUBLISHED),--published $(PUBLISHED))

clean:
	rm -rf $(VENV) $(BENCH) demo-output

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

# An environment of its own: DeepOD declares an old torch, though it runs with ours.
$(BENCH)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip --disable-pip-version-check --quiet install --constraint constraints.txt --editable '.[bench]'
	$(BENCH)/bin/pip --disable-pip-version-check --quiet install --no-deps 'deepod>=0.4,<0.5'
	touch $@
