# The two commands a newcomer needs are `make up` and `make test`; both install what they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SHELL  := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: compose-up compose-down compose-roll compose-rotate images sbom help up down test test-all test-unit browser tools check bench soak constraints wheel
# Containers often set it. A stack has a dozen processes, and each would compile Prefect anew: twice the time to start.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make up     set up, start the stack, run the four sample jobs, print results and addresses"
	@echo "make down   stop everything, keep data"
	@echo "make test   all but the slow tests, the same as CI"
	@echo "make test-all   the slow tests as well"
	@echo "make test-unit  the tests that need no server: a minute"
	@echo "make check  lint, types, layers"
	@echo "make bench  the benchmark tables (JSON in .redrive/bench/)"
	@echo "make images, sbom, compose-up, compose-down, compose-roll, compose-rotate   container images; an installation on one host with them"
	@echo "make soak   the fault suites, and the metrics against the truth, at full size"

up: $(BIN)/.installed
	@$(BIN)/redrive up --samples

down: $(BIN)/.installed
	@$(BIN)/redrive down

test: $(BIN)/.installed-dev check browser tools
	@$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-all: $(BIN)/.installed-dev check browser tools
	@$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow" $(PYTEST_ARGS)

# Files that share a stack go to one process: tests/support/order.py.
PARALLEL := -n 2 --dist loadscope --no-loadscope-reorder

test-unit: $(BIN)/.installed-dev
	@$(BIN)/python -m pytest -q $(PARALLEL) tests/unit $(PYTEST_ARGS)

# One test clicks through Prefect's UI. The browser is the system's, which only root may install; without it that test is skipped.
browser:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing chromium ..."; \
	    { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >/dev/null && exit 0; \
	fi; \
	echo "chromium is missing, so the test in the browser is skipped; as root: apt-get install chromium"

check: $(BIN)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/python tests/support/types.py

# The images, by your docker; and one host's installation with them. infra/compose/README.md
IMAGES   := server worker keeper exporter console
COMPOSE  ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
COMPOSE_PROFILES ?=
export COMPOSE_PROFILES

images:
	@for image in $(IMAGES); do \
	  DOCKER_BUILDKIT=1 docker build -q $(BUILD_ARGS) -f infra/docker/Dockerfile --target $$image -t redrive/$$image:latest . || exit 1; \
	done

# The bills of materials of the images, as files in build/sbom.
sbom:
	@DOCKER_BUILDKIT=1 docker build -q $(BUILD_ARGS) -f infra/docker/Dockerfile --target sbom --output build/sbom .
	@ls build/sbom

# TLS=1: between all of them. TLS_NAMES: names under which people reach it. LOGS=1: what containers print goes to the collector.
TLS          ?=
TLS_NAMES    ?=
LOGS         ?=
INSTALLATION := -p redrive -f infra/compose/compose.yaml $(if $(TLS),-f infra/compose/tls.yaml) $(if $(LOGS),-f infra/compose/logs.yaml)

compose-up: images
	@$(PYTHON) infra/docker/secrets_folder.py infra/compose/secrets
	@$(if $(TLS),$(PYTHON) infra/docker/certificates.py infra/compose/tls $(TLS_NAMES))
	@$(COMPOSE) $(INSTALLATION) up -d --remove-orphans
	@for left in $$(seq 100); do \
	  bad=$$(docker ps -a --filter label=com.docker.compose.project=redrive --format '{{.Names}}: {{.Status}}' | \
	    grep -E 'starting|unhealthy|Restarting|Created|Exited \([1-9]' || true); \
	  if test -z "$$bad"; then echo "all is healthy; console: http://127.0.0.1:$${REDRIVE_CONSOLE_PORT:-4300}"; exit 0; fi; \
	  sleep 3; \
	done; echo "not healthy after five minutes: $$bad" >&2; exit 1

compose-down:
	@$(COMPOSE) $(INSTALLATION) down

# Every part of ours anew, one after the other: an update (REDRIVE_VERSION=…), or a restart.
compose-roll:
	@$(PYTHON) infra/docker/roll.py $(COMPOSE) $(INSTALLATION)

# A new password, while it runs: SECRET=database, redis or prefect.
compose-rotate:
	@$(PYTHON) infra/docker/rotate.py infra/compose/secrets "$(SECRET)" $(COMPOSE) $(INSTALLATION)

bench: $(BIN)/.installed-dev
	@$(BIN)/python -m tests.benchmarks

soak: $(BIN)/.installed-dev tools
	@$(BIN)/python -m pytest -m soak -p no:cacheprovider tests/chaos tests/e2e tests/integration $(PYTEST_ARGS)

# Prometheus and Alertmanager, which test the alert rules and dashboards, and libfaketime, which steps clocks. Unpacked here, not installed: installing Debian's packages
# would start both as services of the machine. Without them those tests are skipped, and say so.
tools:
	@for need in promtool:prometheus amtool:prometheus-alertmanager; do \
	  tool=$${need%%:*} package=$${need##*:}; \
	  if command -v $$tool > /dev/null || test -x build/tools/usr/bin/$$tool; then continue; fi; \
	  mkdir -p build/tools; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq > /dev/null 2>&1 || true; fi; \
	  if (cd build/tools && apt-get download -qq $$package && dpkg -x $${package}_*.deb . && rm $${package}_*.deb) > /dev/null 2>&1; \
	  then echo "unpacked $$package into build/tools"; \
	  else echo "no $$tool here: the tests that need it are skipped (on Debian: apt-get update, then make tools)"; fi; \
	done; \
	if ! ls build/tools/usr/lib/*/faketime/libfaketimeMT.so.1 > /dev/null 2>&1; then \
	  mkdir -p build/tools; \
	  if (cd build/tools && apt-get download -qq libfaketime && dpkg -x libfaketime_*.deb . && rm libfaketime_*.deb) > /dev/null 2>&1; \
	  then echo "unpacked libfaketime into build/tools"; \
	  else echo "no libfaketime here: the tests that step clocks are skipped (on Debian: apt-get update, then make tools)"; fi; \
	fi

wheel: $(BIN)/.installed-dev
	@$(BIN)/python -m build --wheel --outdir dist .

# uv installs in seconds what takes pip half a minute; where uv cannot reach an index that pip is set up for, pip does it.
define install
	@started=$$(date +%s); echo "installing Redrive$(if $(findstring dev,$(1)), and what its tests need) into $(VENV) ..."; \
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv 2>/dev/null || true; \
	$(BIN)/python -m uv pip install -q --python $(BIN)/python -c constraints.txt -e '.$(1)' 2>/dev/null || \
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.$(1)'; \
	echo "installed in $$(( $$(date +%s) - started )) s"; touch $@
endef

$(BIN)/.installed: pyproject.toml constraints.txt
	$(call install,[all])

$(BIN)/.installed-dev: pyproject.toml constraints.txt
	$(call install,[dev])
	@touch $(BIN)/.installed

constraints:
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints && build/constraints/bin/pip install -q '.[dev,kubernetes]' && \
	(echo "# Every package Redrive and its tests run with, as tried together. Made with \`make constraints\`."; \
	 build/constraints/bin/pip freeze --exclude redrive | grep -v '@'; grep -E '^(setuptools|uv)==' constraints.txt) > build/constraints.txt && \
	mv build/constraints.txt constraints.txt && rm -rf build/constraints
