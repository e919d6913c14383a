# Everything a fresh machine needs: `make reports` and `make test`. `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCE ?=
OUT    ?= reports
BENCH  ?=
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help reports lab docs test verify lint format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

reports: $(VENV)/.run ## execute the notebooks and write reports/*.html (SOURCE=path for your own cards)
	$(BIN)/cardlab report $(SOURCE) --out $(OUT)

lab: $(VENV)/.run ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

docs: $(VENV)/.dev ## build the book: docs/_build/html/index.html
	rm -rf docs/reference/generated # a page of a name that has gone would break the build
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/cardlab report --notebook 03 --notebook 06 --out docs/_build/html/reports

test: $(VENV)/.dev ## lint, check types, run every test (two files at once)
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

verify: $(VENV)/.dev ## run the tests that are too long for every run
	status=0; \
	$(BIN)/python -m pytest -m 'verify and not alone' -n 2 --dist loadfile || status=$$?; \
	$(BIN)/python -m pytest -m 'verify and alone' || status=$$?; \
	exit $$status

lint: $(VENV)/.dev ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## time the package side by side with the alternatives (BENCH=name or all)
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## remove the virtual environment and the reports
	rm -rf $(VENV) $(OUT)/*.html docs/_build docs/reference/generated

$(VENV)/bin/python:
	@echo "The first run installs what is needed, in exact versions, into $(VENV): some minutes, about 1 GB."
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.run
