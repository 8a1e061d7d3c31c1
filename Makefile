# Each of `make demo` and `make test` does all of its own set-up on a machine with Python 3.11.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: setup demo serve check test test-slow test-spark has-java bench build clean lock

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make setup PYTHON=python3.11" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[dev,postgresql,replay]'
	@touch $@

demo: setup
	$(BIN)/cds-engine demo --port $(PORT)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest -q --doctest-modules cds_engine adapters/cds_adapters \
		--ignore-glob "*/migrations/*" --ignore-glob "*/__main__.py"
	$(BIN)/pytest -q -n 2 -m "not slow"

test-slow: setup
	$(BIN)/pytest -q -m slow

# Spark is large and needs Java 17 or newer, so that it and its tests live by themselves.
test-spark: has-java .venv-spark/.installed
	.venv-spark/bin/pytest -q -m spark tests/cds_adapters/bulk

has-java:
	@"$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -version >/dev/null 2>&1 \
		|| { echo "Spark needs Java 17 or newer; install it, or set JAVA_HOME" >&2; exit 2; }

.venv-spark/.installed: pyproject.toml constraints.txt
	test -x .venv-spark/bin/python || $(PYTHON) -m venv .venv-spark
	PIP_CONSTRAINT=constraints.txt .venv-spark/bin/python -m pip install --quiet \
		--disable-pip-version-check --editable '.[dev,spark]'
	@touch $@

# The peer healthchain wants other versions of our own dependencies, so it lives by itself.
bench: setup
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[dev,postgresql,replay,bench]'
	test -x .venv-healthchain/bin/python || $(PYTHON) -m venv .venv-healthchain
	.venv-healthchain/bin/python -m pip install --quiet --disable-pip-version-check healthchain
	$(BIN)/python -m benchmarks

build: setup
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip wheel --quiet --disable-pip-version-check \
		--no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .venv-healthchain .venv-spark dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
