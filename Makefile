# Everything a person, a hook and CI run. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
# Light: everything that needs no Ray, no long simulation and no minutes.
LIGHT := not slow and not ray
ARGS ?=
# What coverage is measured by: each line by the tests that are about it, not by whole simulations that pass over it.
COVERING := tests/unit tests/property tests/contract tests/security tests/integration tests/architecture
# Of `make simulate`: how many seeds, from which on, in how many processes.
SEEDS ?= 200
SEED ?= 1
JOBS ?= 2
# Trust what the machine trusts (a company's proxy, say), as pip does, where the machine keeps a store of certificates.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := 1
endif

.PHONY: help install up test coverage check lint fmt simulate golden crash bench heavy docs lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create or refresh .venv from requirements.lock (hash-checked)

# The environment is rebuilt when the lock or the package metadata changed, and only then.
# uv comes out of the lock itself, so that nothing unpinned is ever run.
$(STAMP): requirements.lock pyproject.toml
	@python=; for p in python3.11 python3 python3.12 python3.13; do \
	   if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$p; break; fi; done; \
	 if [ -z "$$python" ]; then \
	   echo "HedgeLock needs Python 3.11 or newer, and found none as python3.11 or python3." >&2; \
	   echo "Install one (Debian: apt-get install python3 python3-venv) and run make again." >&2; exit 1; fi; \
	 if [ ! -x $(BIN)/python ] || [ ! -x $(BIN)/pip ] || ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	   echo "creating $(VENV) with $$($$python --version)"; \
	   $$python -m venv --clear $(VENV) || { echo "python's venv module failed (Debian: apt-get install python3-venv)" >&2; exit 1; }; fi
	@if [ ! -x $(BIN)/uv ] || ! grep -q "^uv==$$($(BIN)/uv --version | cut -d' ' -f2) " requirements.lock; then \
	   awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock; \
	   $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock; fi
	@echo "installing requirements.lock"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

up: install ## run HedgeLock on the built-in crash: exchange, databases, actors, live view (ARGS="--help" for more)
	@$(BIN)/hedgelock up $(ARGS)

test: install ## the light tests: unit, property, contract, architecture, integration (under ten minutes)
	$(PYTEST) -m "$(LIGHT)" $(ARGS)

lint: install ## ruff, formatting, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: install ## the light tests with branch coverage: 100 % of domain/ and execution/, at least 90 % of the whole
	@$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -m "$(LIGHT)" $(COVERING) $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --include="hedgelock_actors/domain/*,hedgelock_actors/execution/*" --fail-under=100
	@$(BIN)/python -m coverage report --fail-under=90

check: lint test ## lint, then the light tests: what a commit must pass

fmt: install ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

simulate: install ## the six actors on virtual time under drawn faults (SEEDS=1000; SEED=17 SEEDS=1 runs one again)
	@$(BIN)/python -m tests.simulation.swarm --seeds $(SEEDS) --first $(SEED) --jobs $(JOBS)

golden: install ## write the golden journals anew: only when decisions have changed on purpose
	@$(BIN)/python -m tests.replay.golden

crash: install ## every schedule of up to two crashes, under every lag of the venue (ARGS="--help" for one of them)
	@$(BIN)/python -m tests.crash.matrix $(ARGS)

heavy: install ## the long suites: Ray, kill -9, whole crashes end to end
	$(PYTEST) -m "slow or ray" $(ARGS)

bench: install ## measure the hot paths
	@$(BIN)/python -m tests.benchmarks.hot_paths

docs: install ## write the pages that are generated from the code
	@$(BIN)/python -m hedgelock_actors.runtime.refusals_doc

lock: install ## pin the newest versions that pyproject.toml allows
	@env -u PIP_FIND_LINKS $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	   --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	   pyproject.toml --output-file requirements.lock

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
