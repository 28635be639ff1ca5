# bench: train the digits CNN on the simulated board.   test: everything that needs no board.   lint: what CI checks first.
# Everything installed goes to .venv/, everything built to build/; neither step is repeated while its inputs stand.
# A torch that PYTHON can already import is kept. Otherwise pip takes the pinned one; for the small CPU-only wheel
# give its index: make bench TORCH_INDEX=<the index of CPU wheels>

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
BENCH_ARGS ?=
TEST_ARGS ?=

.PHONY: board-package board-test bench test lint synthesis reports ecp5 benchmark browser-test clean

bench: $(VENV)/.run
	$(VENV)/bin/joulegrad bench digits $(BENCH_ARGS)

test: $(VENV)/.test
	@case '$(CURDIR)' in *' '*) echo "the RTL tests need a checkout path without spaces (make bench does not): $(CURDIR)" >&2; exit 1;; esac
	$(PY) -m pytest -n 2 $(TEST_ARGS)

# Pages of joulegrad report in headless Chromium, which Debian has as chromium and chromium-driver; not part of test.
browser-test: $(VENV)/.browser
	$(PY) tests/browser_report.py $(if $(SCREENSHOTS),--screenshots $(SCREENSHOTS))

# An archive that installs joulegrad on a board without a network; and joules measured where only that archive is installed.
board-package: $(VENV)/.run
	@mkdir -p build
	$(VENV)/bin/joulegrad package -o build/joulegrad-board.zip

board-test: $(VENV)/.test
	$(PY) -m pytest -s tests/board_joules.py

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(PY) -m hw.lint

benchmark: $(VENV)/.run
	$(VENV)/bin/joulegrad bench speed

synthesis: $(VENV)/.test
	$(PY) -m hw.synthesis z7020

# Yosys' report of every configuration on its board: resources, memories, long paths; about 20 minutes of one core, once.
reports: $(VENV)/.test
	$(PY) -m hw.reports

# The bitstream for ULX3S, placed and routed for real with pip's packages; an error below 50 MHz.
ecp5: $(VENV)/.test
	$(PY) -m hw.reports --tool nextpnr --least-mhz 50 ulx3s-85f

# A venv sees the system's packages only where torch is among them.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "joulegrad needs Python 3.10 or newer, and $(PYTHON) is none: set PYTHON" >&2; exit 1; }
	$(PYTHON) -m venv $$($(PYTHON) -c 'import importlib.util as u; print("--system-site-packages" if u.find_spec("torch") else "")') $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: setup.cfg pyproject.toml constraints.txt | $(PY)
	$(PY) -c 'import torch' 2>/dev/null || $(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[train,sim,compare,report]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test,parquet,nvml,meters]'
	@touch $@

$(VENV)/.browser: $(VENV)/.test
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[browser]'
	@touch $@

clean:
	rm -rf build
