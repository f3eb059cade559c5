SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# images say PYTHONDONTWRITEBYTECODE=1: here a thousand processes would compile the same files, each for itself
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv run test check fmt bench bench-scaling bench-pricing bench-failover bench-remediation bench-scale docs e2e e2e-again e2e-long soak lock proto manifests smoke clean

help: ## say what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(STAMP) ## make the virtual environment from the lock file

$(STAMP): requirements.lock pyproject.toml
	@scripts/venv $(VENV)
	@touch $(STAMP)

run: $(STAMP) ## run the daemon on an embedded simulated cluster (page on http://127.0.0.1:8080)
	@$(VENV)/bin/aiops run --config config/demo.yaml

test: $(STAMP) ## run the tests (installs Debian's prometheus and alertmanager when they are missing)
	@for package in prometheus prometheus-alertmanager; do scripts/need $$package; done
	@$(PY) -m pytest -n 3 --ignore tests/smoke --ignore tests/e2e

check: $(STAMP) ## lint, types, contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

fmt: $(STAMP) ## format the code
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

bench: $(STAMP) ## print the benchmark tables
	@for b in $(filter-out benchmarks/bench_scaling.py benchmarks/bench_sites.py benchmarks/bench_pricing.py benchmarks/bench_scale.py,$(wildcard benchmarks/bench_*.py)); do OMP_NUM_THREADS=1 PYTHONPATH=. $(PY) $$b || exit 1; done

bench-scaling: $(STAMP) ## contests of autoscalers on recorded load, against the clairvoyant optimum (half an hour)
	@PYTHONPATH=. $(PY) benchmarks/bench_scaling.py $(ARGS)

bench-pricing: $(STAMP) ## scaling by price against scaling by SLO (a quarter of an hour)
	@PYTHONPATH=. $(PY) benchmarks/bench_pricing.py $(ARGS)

bench-failover: $(STAMP) ## failover of two sites by two daemons and by other rules (a quarter of an hour)
	@PYTHONPATH=. $(PY) benchmarks/bench_sites.py $(ARGS)

bench-remediation: $(STAMP) ## remediation by policies and by other rules (a quarter of an hour)
	@PYTHONPATH=. $(PY) benchmarks/bench_remediation.py $(ARGS)

bench-scale: $(STAMP) ## how far one daemon goes: series, policies, clusters, beside the bare download (a quarter of an hour)
	@PYTHONPATH=. $(PY) benchmarks/bench_scale.py $(ARGS)

docs: $(STAMP) ## build the manual into out/manual; a broken link or a page in no section is an error
	@$(VENV)/bin/mkdocs build
	@echo "the manual is out/manual/index.html"

smoke: $(STAMP) ## a minute of `make run` under two seeds, judged by its journal
	@$(PY) -m pytest -q tests/smoke --timeout 300 -n 2 --maxschedchunk 1

e2e: $(STAMP) ## the tests on a real control plane; builds it once with Go 1.26 (10 to 20 minutes)
	@for package in etcd-server prometheus prometheus-alertmanager victoria-metrics postgresql libfaketime openssl chromium curl; do scripts/need $$package; done
	@$(PY) -m tests.e2e.binaries >/dev/null
	@$(PY) -m pytest tests/e2e -m "not long" -p no:randomly -n 3 --dist loadfile --durations=15

e2e-again: $(STAMP) ## the tests of the last `make e2e` that failed, one after the other
	@$(PY) -m pytest tests/e2e -m "not long" -p no:randomly --last-failed --last-failed-no-failures none

e2e-long: $(STAMP) ## full-length outages, distributions and a day of turns on a real control plane (half an hour)
	@for package in etcd-server prometheus postgresql libfaketime; do scripts/need $$package; done
	@$(PY) -m tests.e2e.binaries >/dev/null
	@$(PY) -m pytest tests/e2e -m long -p no:randomly -s

SEED ?= 1
MINUTES ?= 30

soak: $(STAMP) ## half an hour of random faults on a real control plane (SEED=1 MINUTES=30)
	@for package in etcd-server prometheus postgresql; do scripts/need $$package; done
	@$(PY) -m tests.e2e.binaries >/dev/null
	@$(PY) -m tests.e2e.soak --seed $(SEED) --minutes $(MINUTES)

lock: ## resolve requirements.lock anew
	@$(VENV)/bin/uv pip compile -q --generate-hashes --no-annotate --no-header --no-emit-package aiops --extra dev pyproject.toml -o requirements.lock

proto: $(STAMP) ## make the Python code of aiops/grpc/externalscaler.proto anew
	@cd aiops/grpc && $(abspath $(PY)) -m grpc_tools.protoc -I . --python_out=. --pyi_out=. externalscaler.proto

manifests: $(STAMP) ## write the plain manifests out of the Helm chart (builds Helm once)
	@$(PY) scripts/render_deploy.py $$($(PY) -m tests.e2e.binaries --helm)

clean: ## remove what was made
	@rm -rf $(VENV) var out .mypy_cache .ruff_cache .pytest_cache
