# `make demo` and `make test` on a fresh clone need python3 (>= 3.11), make and a package index; nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export WAREHOUSE_HOME ?= $(CURDIR)/.warehouse
export DAGSTER_DISABLE_TELEMETRY := yes
export DO_NOT_TRACK := 1
# uv trusts what the machine trusts, as pip does.
export UV_SYSTEM_CERTS := 1
SIZE ?= 1M

.PHONY: help setup demo dev test test-deep test-data lint format bench backtest clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed ## Make .venv from requirements.lock

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Real sample data in, release published, what to look at next
	$(BIN)/warehouse demo

dev: setup ## The Dagster web UI on this warehouse, at http://localhost:3000
	$(BIN)/warehouse init
	DAGSTER_HOME=$(WAREHOUSE_HOME)/dagster $(BIN)/dagster dev

lint: setup ## ruff and sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/warehouse init --quiet
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar models tests/dbt

format: setup ## Let ruff and sqlfluff mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --processes 2 --disable-progress-bar models tests/dbt

# A file's tests stay together, because they share warehouses. One thread for trees: workers that share cores wait for each other's.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: setup ## Everything but what takes minutes and the foreign data sets
	$(PYTEST)

test-deep: setup ## What takes minutes: real data, 500 histories, planted mistakes in the touched dates, faults
	$(PYTEST) -m deep

test-data: setup ## The data sets that are not ours to ship: make test-data DATA=path
	$(BIN)/pytest -m data --data $(DATA) tests

bench: setup ## Time and memory of builds and days, of segments, of predictions of 1 M: make bench SIZE=10M
	$(BIN)/python benchmarks/run.py --size $(SIZE)
	$(BIN)/python benchmarks/segments.py --size $(SIZE)
	$(BIN)/python benchmarks/predictions.py

backtest: setup ## Predictions against the reference on seven splits of public logs, and month by month: make backtest DATA=path
	$(BIN)/python benchmarks/backtest.py --data $(DATA)
	$(BIN)/python benchmarks/monthly.py --data $(DATA)

clean: ## Remove the environment and everything built, but not your raw files
	rm -rf $(VENV) target logs
