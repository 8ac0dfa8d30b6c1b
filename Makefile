# A few words, each calling one tool. `.venv` is made by itself and refreshed when pyproject.toml changes.
# Options pass through: make demo ARGS=--exit · make test PYTEST_ARGS="-k spool" · make bench ARGS=--json
# On real servers instead of SQLite and limits in the process: make test BACKEND=postgres,redis

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
UI_TOOLS := query-api/ui-tools
CONFORMANCE := tests/conformance
PEERS := $(CONFORMANCE)/peers/bin
KAFKA := tests/kafka
ARGS ?=
PYTEST_ARGS ?=
BACKEND ?=

.PHONY: help demo up test captures lint types bench docs screenshots soak fuzz peers clean

help: ## Say what each word does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/demo ## Start Ecomind, send it a real app's calls and 30 days of history, print a summary and the URL
	@$(BIN)/ecomind demo $(ARGS)

up: .venv/demo ## Start Ecomind on this machine
	@$(BIN)/ecomind up $(ARGS)

test: lint types browser-tools js-sdk kafka-jars ## Run everything that must pass: lint, types, then every test
	@ECOMIND_TEST_BACKEND=$(BACKEND) $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

captures: .venv/dev ## Count 82 captures of real instrumentations and print how many are exact
	@$(BIN)/pytest --numprocesses 2 --dist loadfile tests/captures $(PYTEST_ARGS)

lint: .venv/dev ## Check style and who imports whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports

types: .venv/dev ## Check types
	@$(BIN)/mypy

bench: .venv/demo ## Measure ingest on this machine, then Ecomind beside the peers if they are built
	@$(BIN)/ecomind bench ingest $(ARGS)
	@if [ -x $(PEERS)/otelcol ] && [ -x $(PEERS)/rotel ]; \
		then $(BIN)/python tests/bench/peers.py $(filter --json,$(ARGS)); \
		else echo "Not compared with a Collector and Rotel, which are not built: make peers" >&2; fi

docs: .venv/dev ## Build the documentation into site/
	@$(BIN)/mkdocs build --strict

screenshots: .venv/dev browser-tools ## Look at the page in Chromium at every width and theme
	@$(BIN)/python $(UI_TOOLS)/screenshots.py $(ARGS)

soak: .venv/dev ## Run the long tests, print the failure table, write it to build/failures.json
	@ECOMIND_TEST_BACKEND=$(BACKEND) $(BIN)/pytest -m soak --numprocesses 2 --dist load --failure-table build/failures.json $(PYTEST_ARGS)

peers: .venv/dev ## Build k6 and a Collector and install Rotel, which tests and make bench run beside Ecomind
	@$(CONFORMANCE)/peers/build

fuzz: .venv/fuzz ## Send a million damaged bodies, first to the framing alone, then to a whole receiver
	@$(BIN)/python tests/fuzz/atheris_frame.py $(or $(ARGS),-runs=1000000)
	@$(BIN)/python tests/fuzz/receiving.py

clean: ## Remove .venv and everything that was built; data directories stay
	@rm -rf .venv build dist site $(UI_TOOLS)/node_modules $(CONFORMANCE)/js/node_modules $(CONFORMANCE)/peers/bin $(KAFKA)/jars .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

# What demo and up need is fewer downloads than what the tests need; the second holds the first.
.venv/demo: pyproject.toml
	@.ci/install demo
	@touch $@

.venv/dev: pyproject.toml
	@.ci/install dev
	@touch .venv/demo $@

.venv/fuzz: .venv/dev
	@.ci/install fuzz
	@touch $@

# Node comes with the dev extra, because Debian 12 has one that is too old. Without Chromium the tests that
# need it are skipped, each with its reason.
.PHONY: browser-tools
browser-tools: .venv/dev
	@.ci/system-packages test && $(MAKE) --silent $(UI_TOOLS)/node_modules/.package-lock.json || \
		echo "Going on without: the tests that need them are skipped."

# Real exporters for the conformance tests, which are skipped without them.
.PHONY: js-sdk
js-sdk: .venv/dev
	@$(MAKE) --silent $(CONFORMANCE)/js/node_modules/.package-lock.json || \
		echo "Going on without: the tests of the JavaScript SDK are skipped."

# A real Kafka for tests/kafka. Its jars come from Maven's repository, once.
.PHONY: kafka-jars
kafka-jars:
	@$(MAKE) --silent $(KAFKA)/jars/.done || echo "Going on without: the tests of Kafka are skipped."

$(KAFKA)/jars/.done: $(KAFKA)/pom.xml
	@mvn --quiet --batch-mode --file $< dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
	@touch $@

%/node_modules/.package-lock.json: %/package-lock.json
	@npm ci --prefix $* --no-audit --no-fund --fetch-retries 1 --no-update-notifier --loglevel error >/dev/null
	@touch $@
