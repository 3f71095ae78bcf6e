# Everything a fresh machine needs is Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST_SKLEARN ?= 1.6.0
FIND_BROWSER := { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: venv demo test browser-test lint check matrix docs bench clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ensemblekit needs Python >= 3.11; $(PYTHON) is older. Set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $(STAMP)

demo: venv
	$(BIN)/ensemblekit demo --output demo_output

test: venv
	$(BIN)/python -m pytest -q --durations=15

# Reports in a real browser, which is installed where there is none (Debian, Ubuntu).
# `make check` runs the same tests where a browser is there.
browser-test: venv
	@$(FIND_BROWSER) || \
	  { $(SUDO) apt-get update -q && \
	    $(SUDO) apt-get install -q -y --no-install-recommends chromium; } || \
	  { echo "No Chromium, and apt-get cannot install one; install it by hand."; exit 1; }
	$(BIN)/python -m pytest -q tests/report/test_browser.py

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What continuous integration runs, after `browser-test`.
check: lint test

# Every Python >= 3.11 on the machine, with the newest and the oldest supported scikit-learn.
matrix:
	OLDEST_SKLEARN=$(OLDEST_SKLEARN) bash tests/matrix.sh

docs: venv
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html

bench: venv
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) docs/_build docs/api docs/gallery docs/pictures demo_output dist .pytest_cache .mypy_cache .ruff_cache
