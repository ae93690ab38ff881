# Everything a person does with a checkout. Each target does the set-up it needs by itself.
SHELL := /bin/sh
PY := .venv/bin/python
export RINGBACK_DATA_DIR ?= data
# What is compiled is kept, so that the next start need not do it again.
export PYTHONDONTWRITEBYTECODE :=
# More words for the program: make run ARGS="--config ringback.toml"
ARGS ?=
# More words for the test runner: make test TESTS="tests/sip -k digest"
TESTS ?=

.PHONY: help setup run test test-long test-page lint lint-python lint-page format bench bench-media bench-quality bench-sip soak fuzz docs lock check-fresh clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: ## Install all that is needed to run: system packages and .venv/
	@scripts/setup run

run: ## Start the server on data in ./data (RINGBACK_DATA_DIR, ARGS)
	@scripts/setup run
	@exec .venv/bin/ringback serve $(ARGS)

lint: ## Check style and types
	@scripts/setup test
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint-python lint-page

lint-python:
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

lint-page:
	$(PY) hatch_build.py npm run --silent check

test-page: lint-page
	$(PY) hatch_build.py npm run --silent test

test: ## Check everything, with real phones where a test needs them (TESTS)
	@scripts/setup test
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint-python test-page
	@scripts/test $(TESTS)

test-long: ## Check what takes too long for every change (about 20 minutes)
	@scripts/setup test
	$(PY) -m pytest -m long --numprocesses 3 --dist worksteal

format: ## Put every file in the project's form
	@scripts/setup test
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	$(PY) hatch_build.py npm run --silent format

bench: ## Measure speed and size on this machine
	@scripts/setup test
	$(PY) -m bench $(ARGS)

bench-media: ## Measure the engine and Janus AudioBridge side by side, and the kernel alone (about 20 minutes)
	@scripts/setup bench
	$(PY) -m bench versus

bench-sip: ## Measure the SIP core beside aiosipua and sippy, and 50,000 registrations (about 15 minutes)
	@scripts/setup bench
	@$(PY) scripts/install-extra peers .venv/peers
	$(PY) -m bench sip registrations

soak: ## Half an hour of a call with skewed clocks (ARGS="--load 0.8 --hours 4": that load, with memory and lateness)
	@scripts/setup bench
	$(PY) -m bench soak $(ARGS)

bench-quality: ## Measure how speech sounds over bad lines, beside Janus AudioBridge (about 8 minutes)
	@scripts/setup bench
	@$(PY) scripts/install-extra bench
	$(PY) -m bench quality

fuzz: ## Look for input that breaks what reads the network (10 minutes; ARGS="--seconds 60 sdp digest": that alone)
	@scripts/setup test
	@$(PY) scripts/install-extra fuzz
	$(PY) -m fuzz $(ARGS)

docs: ## Print the pages that are made from the program: settings, verbs, transactions
	@scripts/setup run
	$(PY) -m ringback.cli.page > docs/command-line.md
	.venv/bin/ringback config docs > docs/settings.md
	$(PY) -m ringback.sip.transaction.page > docs/sip-transactions.md

lock: ## Choose the newest versions of all dependencies and write them down
	@scripts/setup test
	$(PY) scripts/lock.py

check-fresh: ## Try set-up, start and restart in a bare Debian 12 made for it (root, about 10 minutes)
	scripts/check-fresh-install

clean: ## Remove what was built; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist artifacts
	rm -rf ui/node_modules src/ringback/web/static/ui
	find src tests bench fuzz -name __pycache__ -type d -prune -exec rm -rf {} +
