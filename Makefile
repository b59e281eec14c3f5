# What a person does with a clone. Needs Python 3.11 or later with pip, and make; nothing else is taken for granted.
# Packages come from wherever pip is set up to look, and are only accepted with the hashes in requirements/.

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
# Flags for the program behind a target, such as: make serve ARGS="--port 9000"
ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --quiet --no-deps --require-hashes

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install serve test check format wer bench bench-live bench-jobs bench-voices lock upgrade clean

help: ## Say what the targets are
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(STAMPS)/scriba ## Leave a working .venv/bin/scriba
	@echo "Scriba is in $(BIN)/scriba. Start the server with: make serve"

serve: $(STAMPS)/scriba ## Start the server; flags: make serve ARGS="--port 9000"
	@exec $(BIN)/scriba serve $(ARGS)

test: $(STAMPS)/scriba $(STAMPS)/dev ## Run every test; flags: make test ARGS="-k formats"
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMPS)/scriba $(STAMPS)/dev ## Lint, formatting, types, import contracts, locks
	@$(BIN)/python scripts/locks.py check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy src tests scripts benchmarks
	@$(BIN)/lint-imports

format: $(STAMPS)/dev ## Put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

wer: $(STAMPS)/scriba $(STAMPS)/bench ## Score recordings: make wer ARGS="FOLDER --model base"
	@$(BIN)/scriba bench wer $(ARGS)

bench: $(STAMPS)/scriba $(STAMPS)/benchmarks ## Measure speed against faster-whisper; hours; ARGS="--quick" for minutes
	@$(BIN)/python -m benchmarks $(ARGS)

bench-live: $(STAMPS)/scriba $(STAMPS)/benchmarks ## Measure live streams; ARGS="--quick" for minutes
	@$(BIN)/python -m benchmarks.live $(ARGS)

bench-jobs: $(STAMPS)/scriba $(STAMPS)/dev ## Measure queues, histories and uploads; ARGS="--quick" for a minute
	@$(BIN)/python -m benchmarks.jobs $(ARGS)

bench-voices: $(STAMPS)/scriba $(STAMPS)/benchmarks ## Measure speakers, separation, voice activity; ARGS="FOLDER"
	@$(BIN)/python -m benchmarks.voices_speakers $(ARGS)
	@$(BIN)/python -m benchmarks.voices_separation $(ARGS)
	@$(BIN)/python -m benchmarks.voices_activity $(ARGS)

lock: $(STAMPS)/uv ## Write requirements/*.txt again from pyproject.toml
	@$(BIN)/python scripts/locks.py write $(VENV)/uv/bin/uv

upgrade: $(STAMPS)/uv ## The same, with the newest versions that fit
	@$(BIN)/python scripts/locks.py write $(VENV)/uv/bin/uv --upgrade

clean: ## Remove what the targets made; models and settings stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that is new enough, unless PYTHON names one.
$(STAMPS)/venv:
	@new_enough() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
	  if new_enough "$$python"; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv --clear $(VENV) && mkdir -p $(STAMPS) && touch $@; exit; \
	  fi; \
	done; \
	echo "Scriba needs Python 3.11 or later. Install it, or name it: make install PYTHON=/path/to/python3" >&2; exit 1

$(STAMPS)/build: requirements/build.txt $(STAMPS)/venv
	@$(LOCKED) -r requirements/build.txt
	@touch $@

$(STAMPS)/runtime: requirements/runtime.txt $(STAMPS)/venv
	@echo "Installing what Scriba needs (about 200 MB; once)"
	@$(LOCKED) -r requirements/runtime.txt
	@touch $@

# Editable: a change of the code needs no installation, a change of the project file does.
$(STAMPS)/scriba: pyproject.toml $(STAMPS)/build $(STAMPS)/runtime
	@$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	@echo "Installing what the tests and checks need (once)"
	@$(LOCKED) -r requirements/dev.txt
	@touch $@

$(STAMPS)/bench: requirements/bench.txt $(STAMPS)/runtime
	@$(LOCKED) -r requirements/bench.txt
	@touch $@

$(STAMPS)/benchmarks: requirements/benchmarks.txt $(STAMPS)/runtime
	@echo "Installing what the benchmarks compare with (once)"
	@$(LOCKED) -r requirements/benchmarks.txt
	@touch $@

$(STAMPS)/uv: requirements/uv.txt $(STAMPS)/venv
	@$(BIN)/python -m venv $(VENV)/uv
	@$(VENV)/uv/bin/python -m pip --disable-pip-version-check install --quiet --quiet --no-deps --require-hashes -r requirements/uv.txt
	@touch $@
