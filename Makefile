# Needs Python 3.11 or newer, git and make. Everything else goes into .venv and .cache. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A stamp a group of packages: a repeated run installs nothing.
BASE := $(VENV)/.base
TEST := $(VENV)/.test
LINT := $(VENV)/.lint
BENCH := $(VENV)/.bench
FUZZ := $(VENV)/.fuzz
RELEASE := $(VENV)/.release
PARTS := $(or $(MRE_PARTS_DIR),.cache/parts)
IMAGE ?= milvus-refresh-exporter
ENGINE ?= docker
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py)
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600
PROMTOOL := $(shell command -v promtool 2>/dev/null)

.DELETE_ON_ERROR:
.PHONY: help demo test check proto golden docs rules rules-test fuzz bench bench-scale screenshots parts image image-check systemd-check footprint deploy-check requirements build sbom clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: $(BASE) ## a simulated Milvus with a day of history, and the exporter on it
	$(BIN)/milvus-refresh-exporter demo

test: $(TEST) ## all tests; a real part that is missing skips its tests and says so
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(LINT) ## lint, format, types, import contract, dead code, generated documents, rules and dashboards
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/python tools/generate_configuration_docs.py --check
	$(BIN)/python tools/generate_metrics_docs.py --check
	$(BIN)/python tools/generate_dashboards.py --check
	$(BIN)/python tools/generate_rules.py --check
	$(BIN)/python tools/generate_chart.py --check
ifneq ($(PROMTOOL),)
	$(PROMTOOL) check rules deploy/prometheus/*.rules.yml
endif

proto: $(PARTS)/generator/.complete ## generated code from proto/
	$(PARTS)/generator/bin/python -m grpc_tools.protoc -Iproto --python_out=exporter/milvus/pb --pyi_out=exporter/milvus/pb \
	  milvus_refresh.proto listing_view.proto

golden: $(TEST) ## golden files anew, for you to read in git diff
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests -k golden $(PYTEST_ARGS)

docs: $(BASE) ## docs/metrics.md and docs/configuration.md from the code
	@for page in configuration metrics; do \
	  $(BIN)/python tools/generate_$${page}_docs.py > $(VENV)/$$page.md && mv $(VENV)/$$page.md docs/$$page.md || exit 1; \
	done

rules: $(TEST) ## alert rules, dashboards and what the Helm chart takes over, from tools/
	$(BIN)/python tools/generate_rules.py
	$(BIN)/python tools/generate_dashboards.py
	$(BIN)/python tools/generate_chart.py

rules-test: $(TEST) ## alert rules with every promtool that is here, and with faults put into them
	$(BIN)/python tools/rules/run_tests.py

fuzz: $(FUZZ) ## hostile input for FUZZ_SECONDS (600); fails where one is not stood, and keeps it
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

bench: $(BENCH) ## every performance goal, measured on this machine; fails where a gate is missed
	$(BIN)/python -m benchmarks --write

bench-scale: $(BENCH) ## how cost grows up to a million jobs, and the sizing table
	$(BIN)/python -m benchmarks --scale --write

screenshots: $(TEST) ## docs/images/page-*.png and terminal.svg anew, from the demo in Chromium and a terminal
	$(BIN)/python tools/screenshots.py
	$(BIN)/python tools/terminal_picture.py

parts: ## the real programs that integration tests run against, into .cache/parts
	PYTHON=$(PYTHON) tools/parts.sh

image: ## the container image, IMAGE:VERSION, with ENGINE (docker)
	$(ENGINE) build -t $(IMAGE):$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
	  --build-arg CREATED=$$(git log -1 --format=%cI) .

image-check: ## the image built without an engine and run with next to no rights; root on Debian
	$(PYTHON) tools/image_check.py

systemd-check: $(TEST) ## the unit under a real systemd in namespaces of its own; root on Linux
	$(BIN)/python tools/systemd_check.py

footprint: $(BENCH) ## size, start and memory beside other exporters; fetches them
	$(BIN)/python -m benchmarks.footprint

deploy-check: $(TEST) ## what is below deploy/, the image's files and the release, each with the tool that reads it
	$(BIN)/python -m pytest tests/deploy $(PYTEST_ARGS)

requirements: $(RELEASE) ## requirements/*.txt, what the image installs: versions and hashes, no addresses
	$(BIN)/uv pip compile --quiet $(PIN) --extra fast pyproject.toml --output-file requirements/image.txt
	$(BIN)/uv pip compile --quiet $(PIN) requirements/build.in --output-file requirements/build.txt

build: $(RELEASE) ## wheel and sdist in dist/, the same bytes whenever and wherever
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --outdir dist .

sbom: $(RELEASE) ## dist/sbom.cdx.json: what the image installs, as CycloneDX
	rm -rf $(VENV)/sbom && $(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/python -m pip install --quiet --require-hashes --only-binary :all: --requirement requirements/image.txt
	$(VENV)/sbom/bin/python -m pip uninstall --quiet --yes pip setuptools
	mkdir -p dist
	$(BIN)/cyclonedx-py environment $(VENV)/sbom/bin/python --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --of JSON --output-file dist/sbom.cdx.json

clean: ## everything that was made here
	rm -rf .venv .cache build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PARTS)/generator/.complete:
	PYTHON=$(PYTHON) tools/parts.sh
	@test -e $@ || { echo "the generator could not be installed, see above"; exit 1; }

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# --group needs pip 25.1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(BASE): pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(TEST): $(BASE)
	$(PIP) --group test
	@touch $@

$(BENCH): $(BASE)
	$(PIP) --editable '.[fast]'
	@touch $@

$(FUZZ): $(TEST)
	$(PIP) 'atheris>=3.0,<4'
	@touch $@

PIN := --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --custom-compile-command 'make requirements'

$(RELEASE): $(BASE)
	$(PIP) --group release
	@touch $@

$(LINT): $(TEST)
	$(PIP) --group lint
	@touch $@
