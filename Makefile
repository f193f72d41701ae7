# Everything runs from a virtual environment that the first command makes. `make` alone lists the words.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RELEASE := $(VENV)/release
PAGES := api/dashboard
SPACE ?= abandit-mini
DATASET ?= digits
# What beats random search at equal steps, where that was measured; elsewhere the service's default, ABanditNAS as published.
STRATEGY ?= $(if $(filter 1 yes true,$(ADVERSARIAL)),,$(if $(filter abandit-mini,$(SPACE)),screen-and-train))
CONTROLS ?= $(if $(STRATEGY),4,0)
SEED ?= 0
WAVE ?= $(if $(STRATEGY),2,1)
EPOCHS ?= 20
EPS ?= $(if $(filter digits,$(DATASET)),0.1,0.0314)
export NAS_HOME ?= .nas

.DEFAULT_GOAL := help
.PHONY: help setup search serve test test-all test-faults test-outages test-team lock check check-dashboard dashboard fmt bench bench-deploy proof-deploy compare-methods docs notebook screenshots wheels test-lowest test-newest release clean

help: ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(BIN)/nas: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/nas
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[cluster,dev]'
	@touch $@ $(BIN)/nas $@

setup: $(VENV)/.dev ## make the virtual environment with everything in it

search: $(BIN)/nas ## search, train the winner, leave a bundle (SPACE, STRATEGY, DATASET, SEED, WAVE, EPOCHS, CONTROLS, ADVERSARIAL=1, EPS, KEEP=1)
	$(BIN)/nas search run --space $(SPACE) --dataset $(DATASET) --seed $(SEED) --wave $(WAVE) --epochs $(EPOCHS) \
		$(if $(STRATEGY),--strategy $(STRATEGY)) $(if $(filter-out 0,$(CONTROLS)),--set training.controls=$(CONTROLS)) \
		$(if $(filter 1 yes true,$(ADVERSARIAL)),--adversarial --eps $(EPS)) $(if $(filter 1 yes true,$(KEEP)),--keep)

serve: $(BIN)/nas ## run the service on http://127.0.0.1:8000
	$(BIN)/nas serve

test: $(VENV)/.dev ## run the tests but the slow ones and those of make check, of products a diagonal, of many alike a few; those that start Ray beside the others
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist worksteal --ignore tests/architecture

test-all: $(VENV)/.dev ## run all tests but the faults, also the slow ones: whole products, every method compiled, services under stress
	$(BIN)/python -m pytest -m "not ray and not faults" --numprocesses 2 --dist worksteal
	$(BIN)/python -m pytest -m "ray and not faults"

test-faults: $(VENV)/.dev ## kill and freeze what the service stands on, at random moments, and see that every job ends the same
	$(BIN)/python -m tests.faults

test-outages: $(VENV)/.dev ## take away what the service stands on for as long as it takes, and see what people are told
	$(BIN)/python -m pytest -m faults tests/faults

test-team: $(VENV)/.dev ## run docker-compose.yml's own processes without an engine, beside a service on one machine: every result has to be equal (takes root)
	$(BIN)/python -m tests.team

check: $(VENV)/.dev check-dashboard ## ruff, mypy, import-linter, size limits, imports of the search core, and the pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

check-dashboard: $(PAGES)/node_modules/.done $(VENV)/.dev ## types, linter and unit tests of the pages, and that what is committed is what they make
	$(BIN)/python -m docs.openapi $(PAGES)/openapi.json --pages
	cd $(PAGES) && npm run --silent types -- --output .made/types.ts && npm run --silent check && npm run --silent lint \
		&& npm run --silent test && npm run --silent build -- --outDir .made/built --logLevel warn
	@cd $(PAGES) && diff -q src/api/types.ts .made/types.ts && diff -r -q built .made/built \
		|| { echo "what is committed is not what the sources make: run \`make dashboard\` and commit $(PAGES)"; exit 1; }

dashboard: $(PAGES)/node_modules/.done $(VENV)/.dev ## build the pages anew (needs Node; only who changes them does)
	$(BIN)/python -m docs.openapi $(PAGES)/openapi.json --pages
	cd $(PAGES) && npm run --silent types -- --output src/api/types.ts && npm run --silent check && npm run --silent build

$(PAGES)/node_modules/.done: $(PAGES)/package-lock.json
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' && npm --version >/dev/null \
		|| { echo "the pages are built and checked with Node 20.19 or later and npm, which are not on PATH; make setup, search, serve and test need neither"; exit 1; }
	cd $(PAGES) && npm ci --no-audit --no-fund
	@touch $@

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-deploy: $(VENV)/.dev ## generated C: speed beside ONNX Runtime, instructions on a Cortex-M4, every method in every space
	$(BIN)/python -m benchmarks.deploy_speed
	$(BIN)/python -m benchmarks.chip_instructions
	$(BIN)/python -m benchmarks.deploy_table

proof-deploy: $(VENV)/.dev ## generated C: the same bits on every build, under sanitizers, and CIFAR's size; PEERS=folder: beside the open peers there
	$(BIN)/python -m benchmarks.deploy_bits
	$(BIN)/python -m benchmarks.deploy_sanitizers
	$(BIN)/python -m benchmarks.deploy_cifar
	$(if $(PEERS),$(BIN)/python -m benchmarks.peer_kernels $(PEERS))

bench: $(BIN)/nas ## measure what the README quotes
	$(BIN)/python -m benchmarks.sign
	$(BIN)/python -m benchmarks.step_time
	$(BIN)/python -m benchmarks.search_engine
	$(BIN)/python -m benchmarks.service_cost

compare-methods: $(BIN)/nas ## train every method on one architecture, 3 seeds, and print the table
	$(BIN)/python -m benchmarks.compare_methods

docs: $(VENV)/.dev ## write what is generated anew: tables, examples in guides, docs/openapi.json, the client without an event loop
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.openapi
	$(BIN)/python -m docs.synchronous

notebook: $(VENV)/.dev ## run docs/guides/notebook.ipynb anew, beside a service of its own, and keep what it showed
	$(BIN)/python -m docs.notebook

screenshots: $(VENV)/.dev ## take pictures of every page in light, dark and on a phone (docs/pictures); needs Chromium
	$(BIN)/python -m docs.screenshots

$(RELEASE)/.done: packages/requirements.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --requirement packages/requirements.txt
	@touch $@

# The newest or lowest versions that pyproject.toml allows, in an environment of their own (2 GB), which goes when the tests pass.
# Of torch only one build may be at hand: TORCH=torch says any. What is tested stands on others' packages.
TORCH ?= $(shell grep '^torch==' constraints.txt)
VERSIONS_TESTED ?= tests/architecture/test_imports.py tests/nas_service/storage/test_engines.py tests/nas_service/storage/test_migrations.py \
	tests/nas_service/data/test_parquet.py tests/nas_service/data/test_loader.py tests/nas_service/export/test_bundle.py \
	tests/nas_service/deploy/test_onnx_file.py tests/api/test_client.py tests/api/test_server.py tests/api/test_openapi.py \
	tests/e2e/test_search.py::test_waves_of_one_equal_the_engine_without_ray
define test-versions
	echo '$(TORCH)' > $(RELEASE)/torch.txt
	$(RELEASE)/bin/uv pip compile --quiet pyproject.toml --all-extras --resolution $(1) --constraint $(RELEASE)/torch.txt --upgrade \
		--python $(PYTHON) --no-annotate --no-header --output-file $(VENV)/$(1).txt
	$(if $(filter lowest%,$(1)),$(RELEASE)/bin/python -m packages.bounds $(VENV)/$(1).txt torch)
	rm -rf $(VENV)/$(1) && $(PYTHON) -m venv $(VENV)/$(1)
	$(VENV)/$(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(VENV)/$(1).txt --editable '.[cluster,dev]'
	$(VENV)/$(1)/bin/python -m pytest -m 'not slow' $(VERSIONS_TESTED)
	rm -rf $(VENV)/$(1)
endef

test-lowest: $(RELEASE)/.done ## install the lowest versions that pyproject.toml allows (TORCH, VERSIONS_TESTED), and run tests of what stands on them
	$(call test-versions,lowest-direct)

test-newest: $(RELEASE)/.done ## the same with the newest versions that it allows
	$(call test-versions,highest)

lock: $(RELEASE)/.done ## write requirements.lock anew: what the image installs, in the versions of constraints.txt, with the digests of PyPI's files
	$(RELEASE)/bin/uv pip compile --quiet pyproject.toml --extra cluster --constraint constraints.txt --generate-hashes --universal \
		--python-version 3.11 --no-config --default-index https://pypi.org/simple --upgrade --no-annotate --no-header --output-file requirements.lock

wheels: $(RELEASE)/.done ## build what others install into dist/: the service's wheel and sdist, and the wheel of the client alone
	$(RELEASE)/bin/python -m packages.wheels dist

release: $(RELEASE)/.done ## make a release of the last commit in dist/: wheels, sdist, SBOMs, news, checked (VERSION=1.2.0; TAG=1 commits and tags it, too)
	$(RELEASE)/bin/python -m packages.release '$(VERSION)' $(if $(filter 1 yes true,$(TAG)),--tag)

clean: ## remove the virtual environment and what an embedded service keeps here, in .nas
	rm -rf $(VENV) .nas
