# The commands of this project; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
# Half as many again as there are processors: a quarter of the time they wait for servers and commands.
PARALLEL := -n $(shell expr $$(nproc) \* 3 / 2) --dist loadfile --no-loadscope-reorder
.NOTPARALLEL:
# The tests start hundreds of commands: each would compile all of the program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show the whole journey; against a test server: EHR=https://…/fhir TEST_PATIENT=yes
ifdef EHR
ifneq ($(TEST_PATIENT),yes)
	@echo "The demo writes a synthetic patient to $(EHR). Say that this is a test server: make demo EHR=$(EHR) TEST_PATIENT=yes" >&2; exit 64
endif
endif
	@$(MAKE) venv
	@$(BIN)/fhirbridge demo $(if $(EHR),--ehr '$(EHR)' --test-patient)

.PHONY: test
test: venv test-tools check ## install what the tests need, check, and run every test
	@$(BIN)/pytest $(PARALLEL)

.PHONY: test-unit
test-unit: venv ## the tests that need nothing but Python; seconds
	@$(BIN)/pytest $(PARALLEL) -m "not hapi and not browser and not slow and not postgres"

.PHONY: test-hapi
test-hapi: venv test-tools ## the tests against a real HAPI server and the HL7 validator
	@$(BIN)/pytest -m hapi

.PHONY: prove
prove: venv test-tools ## the full proofs: 10,000 generated records, thousands of typos, every missing field, 10,000 simulated storms, a hundred kills against HAPI; hours
	@$(BIN)/pytest -q tests/prove/prove_*.py

.PHONY: check
check: venv ## format, lint, types, import rules, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

.PHONY: dead-code
dead-code: venv ## functions that nothing calls; a list to judge, not a gate
	$(BIN)/vulture

.PHONY: docs
docs: venv ## write docs/mappings.html, docs/settings.md and mappings/schema again from what they are made of
	@$(BIN)/fhirbridge settings --markdown > docs/settings.md
	@$(BIN)/fhirbridge map doc mappings --output docs/mappings.html
	@$(BIN)/fhirbridge map schema mappings

.PHONY: bench
bench: venv test-tools ## how long the program takes to start, to translate, to sync (HAPI on H2 and PostgreSQL) and to take in, in ratios
	@$(BIN)/python benchmarks/startup.py
	@$(BIN)/python -m benchmarks.translate
	@$(BIN)/python -m benchmarks.sync
	@$(BIN)/python -m benchmarks.intake

.PHONY: venv
venv: ## make .venv from requirements.lock, when it is missing or old
	@cat requirements.lock setup.cfg pyproject.toml | sha256sum | cmp -s - .venv/made-from || scripts/install-environment

.PHONY: test-tools
test-tools: ## install the JDK, Maven, PostgreSQL and Node where they are missing (asks for root only then)
	@scripts/install-test-tools

.PHONY: lock
lock: ## choose the versions again and write requirements.lock with hashes
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
		setup.cfg -o requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --extra postgres --extra worker --extra traces --extra build \
		--constraint requirements.lock --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' setup.cfg -o deploy/requirements.lock

.PHONY: sbom
sbom: venv ## write dist/sbom.json, a CycloneDX list of every locked distribution
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements --output-reproducible --of JSON -o dist/sbom.json requirements.lock

.PHONY: audit
audit: venv ## look each locked distribution up in the advisory database, which must be reachable
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements.lock
