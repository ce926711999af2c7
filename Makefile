# Two commands do all the set-up they need: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
export PYTHONPATH := deploy/local
TESTS ?= tests

demo: tools ## Start a real control plane, let a load rise and fall, watch the roles follow (about 3 minutes)
	@$(PY) -m localplane demo

test: tools ## Run all tests, those on the real control plane included
	@$(PY) -m pytest $(TESTS) $(PYTEST_ARGS)

fast: setup ## Run the tests that need no control plane
	@$(PY) -m pytest tests -m "not cluster" $(PYTEST_ARGS)

bench: tools ## Measure a sync of 1 000, 5 000 and 10 000 roles, and the latency on the local control plane
	@$(PY) -m tests.bench $(BENCH_ARGS)

check: lint types ## Formatting, lint, import rules and types

lint: setup ## Check formatting, lint and the import rules
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/lint-imports --no-logo

types: setup ## Check types (mypy, strict)
	@$(VENV)/bin/mypy

generate: setup ## Write again what is made from the types: crds/, docs/reference.md, docs/configuration.md
	@$(PY) -m rbg_autoscaler.api.schema crds docs
	@$(PY) -m rbg_autoscaler.operate.settings_page docs/configuration.md

up: tools ## Start the local control plane and keep it until Ctrl-C
	@$(PY) -m localplane up $(UP_ARGS)

tools: setup ## Build etcd, kube-apiserver, kube-scheduler, kwok, Prometheus once (about 8 minutes), into a cache
	@$(PY) -m localplane build

setup: $(STAMP) ## Make the virtual environment with the pinned requirements

$(STAMP): requirements-dev.txt pyproject.toml
	@command -v python3 >/dev/null || { echo "Python is missing: install python3 (3.11 or newer) and python3-venv."; exit 1; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 1; }
	@echo "Setting up Python packages in $(VENV) (about a minute)"
	@[ -x $(PY) ] || python3 -m venv $(VENV) || { echo "No virtual environment could be made: install python3-venv."; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## Pin the development requirements again (after a change of pyproject.toml)
	@$(PY) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --universal --python-version 3.11 --group dev pyproject.toml --output-file requirements-dev.txt

clean: ## Remove the virtual environment and caches in the checkout (not the cache of built programs)
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo test fast bench check lint types generate up tools setup lock clean help
