# The two commands of a newcomer are `make run` and `make test`; `make` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests mostly wait for processes, so two processors carry three of them.
WORKERS := 3

# What is installed is remembered by a stamp for each set of packages. A stamp is
# younger than setup.py, so a start with nothing to install does not ask pip.
# What the service itself runs on comes from requirements.lock, by version and hash.
LOCK := requirements.lock
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
INSTALLED_CHECK := $(VENV)/.installed-check
INSTALLED_BENCH := $(VENV)/.installed-bench
INSTALLED_HA := $(VENV)/.installed-ha
INSTALLED_LOCK := $(VENV)/.installed-lock

# A virtual environment is made anew where it can't be used: making or filling it
# was cut off (.half-done), the folder was moved (its scripts name the old place),
# or the Python that it was made with has gone. One made by hand is used.
VENV_STATE := $(shell \
    [ ! -e $(VENV)/.half-done ] \
    && { if [ -e $(VENV)/.made-in ]; then [ "$$(cat $(VENV)/.made-in)" = "$$(pwd)" ]; \
         else $(BIN)/python -c 'import pip'; fi; } 2>/dev/null \
    && $(BIN)/python -c '' 2>/dev/null && echo usable)

.DEFAULT_GOAL := help
.PHONY: help install run test check docs lock audit verify burst chaos storm ha alerts bench failover growth control page screenshots clean venv

help:
	@echo 'make run       install what is needed and run everything here, until Ctrl-C'
	@echo 'make test      install what tests need and run all of them'
	@echo 'make check     ruff, mypy and import-linter'
	@echo 'make docs      docs/configuration.md, from the settings'
	@echo 'make lock      $(LOCK): the newest versions that setup.py allows (ARGS="--upgrade-package tornado")'
	@echo 'make audit     asks whether a locked version has a known vulnerability; needs the internet'
	@echo 'make verify    the model of the lease protocol, with spin (DEPTH=3 or 4: longer)'
	@echo 'make burst     10,000 withdrawals at one moment, against the running service'
	@echo 'make chaos     money and tasks while things die (ROUNDS=10; RUNS=2000 SEED=7: longer)'
	@echo 'make storm     the part of chaos about tasks alone (ARGS=--help)'
	@echo 'make ha        six nodes on two PostgreSQL under Patroni, the primary killed in a burst'
	@echo 'make alerts    the alert rules of deploy/prometheus, by promtool'
	@echo 'make bench     Ringfence beside other servers, an hour (ARGS=--quick: minutes)'
	@echo 'make failover  Ringfence beside other schedulers when a worker dies, 45 minutes (ARGS=--quick)'
	@echo 'make growth    reads from ten million runs and entries, ten minutes (ARGS="--rows 200000")'
	@echo 'make control   10 to 200 nodes that do nothing else, on one PostgreSQL, five minutes (ARGS=--help)'
	@echo 'make page      the page in a large cluster: smooth, and its memory flat, ten minutes (ARGS="--seconds 60")'
	@echo 'make screenshots  the pictures in docs/screenshots, from a cluster of its own'
	@echo 'make install   only install, into $(VENV)'
	@echo 'make clean     remove $(VENV) and what builds left; the data in var/ stays'

# Ctrl-C reaches make and ringfence alike: make waits, and says nothing as long as
# ringfence ends with 0. `exec`, so that no shell stands between them.
run: $(INSTALLED)
	@exec $(BIN)/ringfence up

install: $(INSTALLED)

# The browser is asked for where its tests are among those that run.
test: $(INSTALLED_TEST)
	@$(if $(ARGS),$(if $(findstring browser,$(ARGS)),tests/browser/install-chromium),tests/browser/install-chromium)
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup $(ARGS)

check: $(INSTALLED_CHECK)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Into another file first: a failure leaves the page as it was.
docs: $(INSTALLED)
	@$(BIN)/python -m server.web.metrics.document
	@$(BIN)/ringfence config document >$(VENV)/configuration.md && mv $(VENV)/configuration.md docs/configuration.md

# For every Python from 3.11 on and every processor at once, and from whichever index pip is
# told to use; the file names none, so that it can be installed from another. setuptools
# builds the package itself: from 70.1 on without wheel, and below 81 with the pkg_resources
# that pytest-tornado imports.
lock: $(INSTALLED_LOCK)
	@echo 'setuptools>=70.1,<81' | UV_DEFAULT_INDEX=$${PIP_INDEX_URL:-$${UV_DEFAULT_INDEX:-https://pypi.org/simple}} \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --custom-compile-command 'make lock' $(or $(ARGS),--upgrade) --output-file $(LOCK) setup.py -

# pip-audit ends with 1 for a vulnerability and for a service that can't be reached alike;
# only the first writes a report.
AUDIT := $(VENV)/.audit.json
audit: $(INSTALLED_LOCK)
	@rm -f $(AUDIT); \
	if $(BIN)/pip-audit --disable-pip --require-hashes --requirement $(LOCK) --progress-spinner off \
	    --format json --output $(AUDIT) $(ARGS) 2>$(VENV)/.audit.log; then echo '$(LOCK): no known vulnerability'; \
	elif [ -s $(AUDIT) ]; then cat $(AUDIT); echo; tail -n 1 $(VENV)/.audit.log; exit 1; \
	else tail -n 3 $(VENV)/.audit.log >&2; \
	    echo 'make: nothing was audited: the vulnerability service was not reached' >&2; exit 3; fi

# Needs no virtual environment: spin, gcc and the standard library.
verify:
	@$(PYTHON) spec/verify.py $(if $(DEPTH),--depth $(DEPTH)) $(ARGS)

burst: $(INSTALLED)
	@$(BIN)/ringfence burst $(ARGS)

# -s, so that a storm of many minutes says what it does. Its report stays in var/chaos.
chaos: $(INSTALLED_TEST)
	@RINGFENCE__CHAOS_ROUNDS=$(or $(ROUNDS),10) RINGFENCE__CHAOS_RUNS=$(or $(RUNS),0) \
	    RINGFENCE__CHAOS_SEED=$(or $(SEED),55) RINGFENCE__CHAOS_FOLDER=$(CURDIR)/var/chaos \
	    $(BIN)/python -m pytest -s tests/chaos $(ARGS)

storm: $(INSTALLED_TEST)
	@PYTHONPATH=$(CURDIR):$(CURDIR)/tests/chaos:$(CURDIR)/tests/cluster $(BIN)/python -m storm $(ARGS)

# Another PostgreSQL than the one that comes with the service: PROGRAMS=/usr/lib/postgresql/15/bin
ha: $(INSTALLED_HA)
	@deploy/patroni/install-etcd
	@$(if $(PROGRAMS),RINGFENCE__HA_PROGRAMS=$(PROGRAMS)) $(BIN)/python -m pytest deploy/patroni -rP $(ARGS)

alerts: | venv
	@deploy/prometheus/install-promtool
	@PATH="$$PATH:$(CURDIR)/$(VENV)/prometheus/usr/bin"; \
	    promtool check config deploy/prometheus/prometheus.yml && promtool test rules deploy/prometheus/rules*_test.yml

bench: $(INSTALLED_BENCH)
	@$(BIN)/python benchmarks/burst.py $(ARGS)

failover: $(INSTALLED_BENCH)
	@$(BIN)/python benchmarks/failover.py $(ARGS)

growth: $(INSTALLED)
	@$(BIN)/python benchmarks/growth.py $(ARGS)

control: $(INSTALLED)
	@$(BIN)/python benchmarks/control_plane.py $(ARGS)

page: $(INSTALLED_TEST)
	@tests/browser/install-chromium
	@$(BIN)/python benchmarks/page.py $(ARGS)

screenshots: $(INSTALLED_TEST)
	@tests/browser/install-chromium
	@$(BIN)/python benchmarks/screenshots.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

ifneq ($(VENV_STATE),usable)
.PHONY: $(INSTALLED) $(INSTALLED_TEST) $(INSTALLED_CHECK) $(INSTALLED_BENCH) $(INSTALLED_HA) $(INSTALLED_LOCK)
endif

$(INSTALLED): setup.py pyproject.toml $(LOCK) | venv
	@$(call install,locked,the service)
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	@$(call install,.[test],what the tests need)
	@touch $@

$(INSTALLED_CHECK): $(INSTALLED_TEST)
	@$(call install,.[check],what the checks need)
	@touch $@

$(INSTALLED_BENCH): $(INSTALLED)
	@$(call install,.[bench],what the peers of the benchmark need)
	@touch $@

$(INSTALLED_HA): $(INSTALLED_TEST)
	@$(call install,.[ha],Patroni)
	@touch $@

$(INSTALLED_LOCK): $(INSTALLED)
	@$(call install,.[lock],what locks and audits)
	@touch $@

venv:
	@if [ '$(VENV_STATE)' = usable ]; then exit 0; fi; \
	[ -w . ] || { echo "make: $$(id -un) may not write into $$(pwd): clone into a folder of your own" >&2; exit 1; }; \
	command -v $(PYTHON) >/dev/null || \
	    { echo 'make: $(PYTHON) is not here: apt install python3 python3-venv, or name another: make run PYTHON=/path/to/python3' >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1). Install a newer one beside it, and name it: make run PYTHON=python3.12" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo 'make: $(PYTHON) makes no virtual environments: apt install python3-venv' >&2; exit 1; }; \
	echo 'Making the virtual environment in $(VENV)'; \
	rm -rf $(VENV) && mkdir $(VENV) && touch $(VENV)/.half-done \
	    && $(PYTHON) -m venv $(VENV) && pwd > $(VENV)/.made-in || { $(call explain,); exit 1; }

# What a failed installation most often is, in a sentence; $(1): what was said, if anything. On a
# full disk even that could not be written.
DISK_KIB := 4096
define explain
	if grep -qs 'No space left on device' /dev/null $(1) || [ "$$(df -Pk . | tail -n 1 | sed 's/  */ /g' | cut -d ' ' -f 4)" -lt $(DISK_KIB) ]; \
	then echo "make: the disk is full: $$(pwd) takes 500 MB at most with its database (df -h .)" >&2; \
	elif grep -qsE 'establish a new connection|name resolution|Max retries|timed out|ProxyError' /dev/null $(1); \
	then echo 'make: no package index was reached: look at the network, or name one that is: PIP_INDEX_URL=https://... make run' >&2; \
	else echo 'make: the installation failed; the reason stands above' >&2; fi
endef

# $(1): what pip installs, or `locked`; $(2): what that is, for people. pip speaks only when it
# fails. It downloads before it changes anything, so a failure leaves a working
# environment as it was; an interruption may not, and leaves the mark. The lock has
# setuptools, so that no build fetches another. Packages that are there stay as they
# are, whatever is added to them.
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet
define install
	echo 'Installing $(2)$(if $(wildcard $(INSTALLED)),, (the first time takes a minute))'; \
	touch $(VENV)/.half-done; \
	if $(if $(filter locked,$(1)),$(PIP) --require-hashes --requirement $(LOCK) >$(VENV)/.pip.log 2>&1 \
	        && $(PIP) --no-deps --no-build-isolation --editable . >>$(VENV)/.pip.log 2>&1,\
	    $(PIP) --no-build-isolation --editable '$(1)' >$(VENV)/.pip.log 2>&1); \
	then rm -f $(VENV)/.half-done; \
	else cat $(VENV)/.pip.log >&2; $(call explain,$(VENV)/.pip.log); if [ -e $(INSTALLED) ]; then rm -f $(VENV)/.half-done; fi; exit 1; fi
endef
