# Every target works from a fresh clone with python3 >= 3.11 and make: it makes .venv when it has to.
PYTHON ?= python3
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TESTS ?= tests
WORKERS ?= 3 # for two cores: one of them waits for programs of frameworks, most of the time

.PHONY: help demo demo-notice docs test test-flower test-install lint format bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train one model across hospitals under secure aggregation; writes an HTML report"
	@echo "make test    run every test"
	@echo "make test-install    give every install line of the docs to pip, in a new environment"
	@echo "make test-flower VERSION=1.41.0    the tests of the Flower adapter, with that version of Flower"
	@echo "make lint    style, types and import direction"
	@echo "make format  put the code into the shape that make lint wants"
	@echo "make docs    the documentation as a site: open site/index.html"
	@echo "make bench   measure what a secure sum costs beside its raw cryptography; writes secagg-bench/"
	@echo "make clean   remove .venv and everything built"

demo: .venv/demo.stamp
	.venv/bin/secagg train --report report.html

test: .venv/dev.stamp
	.venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

# Asks an index for every package, and installs none.
test-install: .venv/dev.stamp
	SECAGG_TEST_INSTALL=1 .venv/bin/python -m pytest tests/test_install.py

# In an environment of its own; `make test` has the version that constraints.txt says.
test-flower:
	@test -n "$(VERSION)" || { echo "say which: make test-flower VERSION=1.41.0" >&2; exit 1; }
	test -x .venv-flower-$(VERSION)/bin/python || $(PYTHON) -m venv .venv-flower-$(VERSION)
	grep -v '^flwr==' constraints.txt > .venv-flower-$(VERSION)/constraints.txt
	.venv-flower-$(VERSION)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c .venv-flower-$(VERSION)/constraints.txt -e '.[dev,train,he]' 'flwr==$(VERSION)'
	.venv-flower-$(VERSION)/bin/python -m pytest tests/adapters/flower

lint: .venv/dev.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/unit/test_imports.py

format: .venv/dev.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

docs: .venv/docs.stamp
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet

bench: .venv/bench.stamp
	.venv/bin/secagg bench overhead --quick

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "secagg needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Not quiet: it is long enough that one wants to see it move.
.venv/demo.stamp: pyproject.toml constraints.txt | demo-notice .venv/bin/python
	.venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

demo-notice:
	@test -e .venv/demo.stamp || { \
	  echo "The first time, this makes .venv here and downloads about 300 MB into it, two thirds of them torch (1.2 GB once"; \
	  echo "unpacked): one to five minutes, by your connection and disk. The demo itself takes less than one."; }

.venv/bench.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[bench]'
	@touch $@

.venv/docs.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[docs]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[all,dev]'
	@touch $@

clean:
	rm -rf .venv .venv-flower-* build dist site report.html secagg-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis
