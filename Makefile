# Two commands do everything, set-up included: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.PHONY: setup run test chaos lint types bench kafka clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sluice needs Python 3.11 or newer; set PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

# Everything on the embedded broker, with a day of shop traffic. Ctrl-C drains; sluice then exits 0, and make as interrupted.
run: setup
	$(BIN)/sluice up --demo

# Most of its time is spent waiting for brokers: two at a time take little more than half of it.
test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# As long as you give it: make chaos CHAOS_EVENTS=1000000
chaos: CHAOS_EVENTS ?= 100000
chaos: setup
	CHAOS_EVENTS=$(CHAOS_EVENTS) $(BIN)/python -m pytest tests/chaos --timeout 3600 -o faulthandler_timeout=3700

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m bench

# A real Apache Kafka on loopback until Ctrl-C (Java and Maven needed).
kafka: setup
	$(BIN)/python -m tests.kafka

clean:
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
