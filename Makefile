# make sweep   sets everything up, then runs examples/digits.yaml and prints the front
# make test    sets everything up (if not yet), then runs the whole suite
# make check   what CI runs besides the tests: lint, types, import directions
# make bench   all benchmarks, one table at the end (QUICK=1: small sizes)
# make docs    the document site in site/, from docs/ and the code; needs no network
# make lowest  the quick tests of the four rooms with the lowest versions that pyproject.toml promises
# make faults  kills, stops, takeovers, lost folders and bad disks in one long sweep, and counts what was lost

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup sweep test check bench docs lowest faults clean

help:
	@sed -n 's/^# //p' Makefile

# The environment is made anew whenever what it is made of changes.
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: .venv/.ready

sweep: .venv/.ready
	$(BIN)/shrinksweep launch examples/digits.yaml

test: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.ready
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

docs: .venv/.ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'site/index.html; with search: $(BIN)/python -m http.server --directory site'

# Without the extras: their tests are left out. Warnings of old versions are no errors.
LOWEST := tests/orchestrator tests/results tests/search_space tests/trials \
  --ignore tests/results/sinks --ignore tests/orchestrator/cli/test_integrations.py

lowest: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable . pytest pytest-timeout hypothesis 'moto[server]' polars duckdb
	.venv-lowest/bin/python -m pytest -q -m 'not slow' -W default $(LOWEST)

faults: .venv/.ready
	$(BIN)/python -m benchmarks.faults

clean:
	rm -rf .venv .venv-lowest build site *.egg-info
