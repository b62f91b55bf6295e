# Everything installs into .venv at the repository's root; the first call of any target does it.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bootstrap/bin/uv)
# One thread a model: spinning pools starve small machines.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: install demo test test-cluster lint bench clean

install: $(STAMP)

$(UV):
	$(PYTHON) -m venv $(VENV)/bootstrap
	$(VENV)/bootstrap/bin/pip install --quiet uv

$(STAMP): pyproject.toml setup.py constraints.txt lensmith/no_deps.txt | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --allow-existing --python 3.11 $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable '.[all,dev]'
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --requirements lensmith/no_deps.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/lensmith demo

test: $(STAMP)
	$(BIN)/python -m pytest -q --ignore tests/cluster

test-cluster: $(STAMP)
	$(BIN)/python -m pytest -q tests/cluster

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo-output build *.egg-info
