# Everything a reader or a developer does here; `make` alone lists it.

PROFILE ?= desk
TABLES ?= $(patsubst notebooks/table%.ipynb,%,$(sort $(wildcard notebooks/table*.ipynb)))
FIGURES ?= $(patsubst notebooks/fig%.ipynb,%,$(sort $(wildcard notebooks/fig*.ipynb)))
SET ?=
DATASETS ?=
SEEDS ?=
PYTHON ?= python3
VENV ?= .venv

py := $(VENV)/bin/python
ready := $(VENV)/.ready
# A slip must not start another job: what users may set is known, and used by what they ask for.
variables := PROFILE TABLES FIGURES SET DATASETS SEEDS CALIBRATE PYTHON VENV OMP_NUM_THREADS
given := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
near = import difflib, sys; name, *known = sys.argv[1:]; \
  print(*(f"did you mean {it}?" for it in difflib.get_close_matches(name.upper(), known, 1)))
$(foreach name,$(filter-out $(variables) MAKEFLAGS -%,$(given)),$(error $(name) is no variable: \
  $(shell $(PYTHON) -c '$(near)' '$(name)' $(variables)) There are $(variables). \
  Several settings go in quotes: SET='training.rounds=3 seeds=[0,1]'))
$(if $(filter report,$(MAKECMDGOALS)),$(foreach name,$(filter TABLES FIGURES,$(given)),$(error \
  make report makes all tables and figures; some of them are made by make tables TABLES=2)))
comma := ,
split = $(subst $(comma), ,$(1))
# The shell gets what users name through variables, so that it splits it and executes none of it.
export PROFILE SET DATASETS SEEDS TABLES FIGURES
export TABLE_NAMES = $(addprefix table,$(call split,$(TABLES)))
export FIGURE_NAMES = $(addprefix fig,$(call split,$(FIGURES)))
settings = --profile "$$PROFILE" $(if $(DATASETS),--datasets $$DATASETS) \
  $(if $(SEEDS),--seeds $$SEEDS) $(if $(SET),--set $$SET)
supported := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
# Notebooks and tests import regl_core from wherever they run, without installing it.
link := import os, sysconfig; open(sysconfig.get_path("purelib") + "/regl_core.pth", "w").write(os.getcwd())

# Two set-ups at once would spoil each other: one holds the pins locked until the last process of it
# has ended, the other waits and finds all of it made. Not by flock(1), which macOS lacks.
hold := import fcntl, os, sys; pins = os.open("requirements.lock", os.O_RDWR); \
  fcntl.flock(pins, fcntl.LOCK_EX); os.set_inheritable(pins, True); \
  os.execvp(sys.argv[1], sys.argv[1:])

export OMP_NUM_THREADS ?= 1

.PHONY: help setup data models tables figures report plan status clean-store test rehearsal \
  test-faults test-mutations lab foundation bench bench-gpu clean-env

help:  ## print this list
	@echo 'Begin with `make lab`: the method step by step. `make report` computes everything.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "PROFILE=$$PROFILE  settings in params/$$PROFILE.yaml: smoke, desk or paper"
	@echo "TABLES='$$TABLES', FIGURES='$$FIGURES'  which tables and figures; or make table2 fig5"
	@echo "DATASETS='$$DATASETS', SEEDS='$$SEEDS'  these alone, as DATASETS='cub folder:/my/photos' SEEDS=0"
	@echo "SET='$$SET'  single settings to alter, as SET='training.rounds=3 seeds=[0,1]'"
	@echo 'PYTHON=$(PYTHON)  the Python, 3.11 to 3.14, to make the environment with'
	@echo 'VENV=$(VENV)  the environment, as VENV=$$CONDA_PREFIX in an active conda environment'

setup: $(ready)  ## make the environment in .venv: 6 GB, some minutes, once

$(ready): requirements.lock
	@if $(PYTHON) -c '$(supported)' 2>/dev/null; then by='$(PYTHON)'; \
	elif $(py) -m pip --version >/dev/null 2>&1; then by='$(py)'; \
	else echo 'error: $(PYTHON) is not Python 3.11 to 3.14; name one: make PYTHON=python3.13 ...' >&2; \
	  exit 2; fi; \
	exec $$by -c '$(hold)' sh -ec "$$install"

# The stamp is touched last, so a set-up that was cut short is taken up again.
define install
[ ! $(ready) -nt requirements.lock ] || exit 0
$(py) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
$(py) -c '$(supported)' || {
  echo 'error: $(VENV) is not of Python 3.11 to 3.14; remove it and run make again' >&2; exit 2; }
echo '$(py) -m pip install --require-hashes -r requirements.lock'
$(py) -m pip install --require-hashes -r requirements.lock
$(py) -c '$(link)'
[ ! -e .git ] || git config filter.source-only.clean 'python3 tools/source_only.py' 2>/dev/null || :  # where git will
touch $(ready)
endef
export install

data: $(ready)  ## say which data sets are there, which are missing and where to get them
	@set -f; exec $(py) -m regl_core data $(settings)

models: $(ready)  ## say which models are there, and download the others from the hub
	@set -f; exec $(py) -m regl_core models $(settings)

tables: $(ready)  ## compute TABLES at PROFILE: figures/PROFILE/tableN.csv, .md, .tex
	@set -f; exec $(py) -m regl_core run $$TABLE_NAMES $(settings)

$(patsubst notebooks/%.ipynb,%,$(wildcard notebooks/table*.ipynb notebooks/fig*.ipynb)): $(ready)
	@set -f; exec $(py) -m regl_core run $@ $(settings)

figures: $(ready)  ## compute FIGURES at PROFILE: figures/PROFILE/figN.png, .pdf and .csv
	@set -f; exec $(py) -m regl_core run $$FIGURE_NAMES $(settings)

report: $(ready)  ## everything, and figures/PROFILE/index.html to see it: tables, figures, claims
	@set -f; exec $(py) -m regl_core report $(settings)

plan: $(ready)  ## say what `make tables` takes: time, disk, downloads; CALIBRATE=1 measures first
	@set -f; exec $(py) -m regl_core plan $$TABLE_NAMES $(settings) $(if $(CALIBRATE),--calibrate)

status: $(ready)  ## say of every table and figure whether it is fresh, stale (why) or missing
	@set -f; exec $(py) -m regl_core status $(settings)

clean-store: $(ready)  ## show what stored results could be deleted, unused ones first, and ask
	@set -f; exec $(py) -m regl_core clean-store $(settings)

test: $(ready)  ## lint, unit tests, and every notebook at the smoke profile
	$(py) -m ruff check
	$(py) -m ruff format --check
	$(VENV)/bin/lint-imports
	$(py) -m tools.at_smoke build/notebooks
	$(py) -m pytest -n auto --dist worksteal --nbmake --nbmake-timeout=300 tests build/notebooks

rehearsal: $(ready)  ## PROFILE=paper in small, all of it: replicas of data and models, no GPU, 6 minutes
	@exec $(py) -m tools.rehearsal

test-faults: $(ready)  ## kill `make report` 25 times and damage 1,000 stores: is anything lost?
	$(py) -m pytest -m faults -s tests/test_damaged.py tests/test_faults.py

test-mutations: $(ready)  ## break every method on purpose: do its tests notice?
	$(py) -m pytest -m mutation -n auto tests/test_mutations.py

lab: $(ready)  ## open JupyterLab at notebooks/start_here.ipynb
	$(py) -m jupyterlab notebooks/start_here.ipynb

foundation: $(ready)  ## train the shipped tiny models anew, with typefaces by npm: two hours on two cores
	npm ci --prefix tools/tiny/faces --no-audit --no-fund --ignore-scripts
	$(py) -m tools.tiny.build

bench: $(ready)  ## measure what a round costs, what methods keep, what another CPU changes
	@for name in rounds memory machines; do echo "tools/bench/$$name.py"; $(py) -m tools.bench.$$name || exit; done

bench-gpu: $(ready)  ## measure one GPU at true sizes, 10 minutes; without one a tiny version
	@$(py) -m tools.bench.gpu

clean-env:  ## remove .venv
	rm -rf .venv
