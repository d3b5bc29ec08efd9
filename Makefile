# Waybill. `make demo` and `make test` set up all they need in .venv/ beside this file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# LocalStack asks for another boto3 than Waybill.
LOCALSTACK := .venv-localstack
LOWEST := .venv-lowest
# Tools of a release ask for another `packaging` than Snakemake.
RELEASE := .venv-release

# The clone is used as it stands; only what it needs is installed.
export PYTHONPATH := scripts

# What pyproject.toml asks for: the dependencies, and the extras named as arguments.
NEEDS = $(BIN)/python -c 'import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*p["dependencies"], *sum((p["optional-dependencies"][e] for e in sys.argv[1:]), []), sep="\n")'

# The extra alone: tools that do not go into one environment with Waybill.
EXTRA = $(BIN)/python -c 'import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*p["optional-dependencies"][sys.argv[1]], sep="\n")'

# Installs what pyproject.toml asks for with the extras $(1), and says how far it is. All that pip
# says is in pip.log.
define INSTALL
@$(NEEDS) $(1) > $(VENV)/needs.txt
@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
	-r $(VENV)/needs.txt 2>&1; echo $$? > $(VENV)/pip.code; } | tee $(VENV)/pip.log | \
	while read -r word rest; do case $$word in \
		Collecting | Processing) n=$$((n + 1)); [ $$((n % 20)) -ne 0 ] || \
			echo "waybill: $$n packages fetched" ;; \
		Installing) echo "waybill: installing $$n packages into $(VENV)/" ;; \
		ERROR:) echo "pip: $$rest" >&2 ;; \
	esac; done
@exit $$(cat $(VENV)/pip.code)
endef

define CHECK_PYTHON
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "waybill: $(PYTHON) is missing or older than 3.11; install Python, or name one: make PYTHON=python3.12" >&2; exit 2; }
@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	echo "waybill: $(PYTHON) has no venv module; on Debian: apt install python3-venv" >&2; exit 2; }
endef

.PHONY: help demo test test-pages test-lowest pin test-slurm test-stores record-stores storm bench \
	lint docs pictures newcomer release-check clean

help:
	@echo "make demo   upload sample .h5ad files to an embedded S3 server, twice"
	@echo "make test   the whole test suite"
	@echo "make test PYTHON=python3.13 VENV=.venv-3.13  the same with another Python, beside .venv/"
	@echo "make test-lowest  the whole test suite with the lowest versions that pyproject.toml allows"
	@echo "make test-pages  opens the report in a headless Chromium, which must be installed"
	@echo "make pin    the versions that conda finds for environment.yml; writes $(PIN)"
	@echo "make test-slurm  the suite on a real SLURM on this machine; needs root on Debian"
	@echo "make test-stores  uploads, downloads and probes on Ceph, SeaweedFS, LocalStack and rclone"
	@echo "make record-stores  the probes alone; writes docs/stores/*.json, for make docs"
	@echo "make storm  random kills, faults and damage, ROUNDS=1000 SEED=1; writes benchmarks/storm.md"
	@echo "make bench  Waybill beside s5cmd, aws, rclone: over an hour; writes benchmarks/peers.md"
	@echo "make lint   ruff, import-linter, pyright, snakefmt, codespell, snakemake --lint"
	@echo "make docs   the pages that are generated from the code, and the site of all pages in site/"
	@echo "make pictures  records the terminal of README.md, draws the diagrams; writes docs/first-transfer.svg, docs/pictures/"
	@echo "make newcomer  does what README.md says, literally, in an empty home"
	@echo "make release-check  builds sdist and wheel, and tries the wheel where nothing else is"
	@echo "make clean  remove .venv/, demo/ and site/"

demo: $(VENV)/.ready
	@$(BIN)/python -m waybill.demo

test: $(VENV)/.ready
	@$(BIN)/python -m pytest -n 4 --dist worksteal
	@TEST_ENGINE=boto3 TEST_ONE_JOB=true $(BIN)/python -m pytest -n 4 --dist worksteal -m engine tests/workflow

test-lowest: $(LOWEST)/.ready
	@$(LOWEST)/bin/python -m pytest -n 4 --dist worksteal

test-pages: $(VENV)/.pages
	@$(BIN)/python -m pytest tests/pages

CONDA := conda
PIN := environment.linux-64.pin.txt

# Each package with its checksum, as `conda create --file` reads it.
pin:
	@command -v $(CONDA) >/dev/null || { echo "waybill: $(CONDA) is missing; install conda," \
		"or name another: make pin CONDA=/opt/conda/bin/conda" >&2; exit 2; }
	@echo "waybill: making .venv-conda/, this takes some minutes"
	@CONDA_SUBDIR=linux-64 $(CONDA) env create --yes --quiet --prefix .venv-conda -f environment.yml
	@$(CONDA) list --prefix .venv-conda --explicit --md5 > $(PIN).tmp && mv $(PIN).tmp $(PIN)

test-slurm: $(VENV)/.slurm
	@tests/slurm/cluster.sh run $(BIN)/python -m pytest -n 6 tests/slurm

# What cannot be installed is skipped, with the reason in the summary.
test-stores: $(VENV)/.stores
	@$(MAKE) --no-print-directory $(LOCALSTACK)/.ready || echo "waybill: goes on without LocalStack" >&2
	@LOCALSTACK_PYTHON=$(LOCALSTACK)/bin/python $(BIN)/python -m pytest tests/stores

record-stores: export RECORD_STORES := true
record-stores: $(VENV)/.stores
	@$(MAKE) --no-print-directory $(LOCALSTACK)/.ready || echo "waybill: goes on without LocalStack" >&2
	@LOCALSTACK_PYTHON=$(LOCALSTACK)/bin/python $(BIN)/python -m pytest tests/stores/test_probes.py

ROUNDS := 1000
SEED := 1
WORKERS := 2

storm: $(VENV)/.ready $(LOCALSTACK)/.ready
	@PYTHONPATH=scripts:tests $(BIN)/python -m storm --rounds $(ROUNDS) --seed $(SEED) \
		--workers $(WORKERS) --localstack $(LOCALSTACK)/bin/python \
		$(if $(WORLD),--world $(WORLD),--write benchmarks/storm.md)

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/peers.py --write $(BENCH)

lint: $(VENV)/.lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-cache \
		&& $(BIN)/pyright && $(BIN)/snakefmt --check Snakefile workflow \
		&& $(BIN)/codespell && $(BIN)/snakemake --lint

# Without -q: mkdocs counts only the warnings that it shows.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/.docs
	@$(BIN)/python -m waybill.config.docs --write
	@$(BIN)/python -m waybill.s3.permissions_page --write
	@$(BIN)/python -m waybill.cli.probe.page --write
	@$(BIN)/python -m waybill.messages.page --write
	@$(BIN)/python -m waybill.cli.options_page --write
	@$(BIN)/mkdocs build --strict

pictures: $(VENV)/.pictures
	@$(BIN)/python packaging/pictures.py
	@for drawing in docs/pictures/*.d2; do \
		$(BIN)/d2 --dark-theme=200 --pad=16 --omit-version $$drawing $${drawing%.d2}.svg && \
		chmod 644 $${drawing%.d2}.svg || exit 1; done

newcomer: $(VENV)/.ready
	@$(BIN)/python tests/newcomer/walk.py

# W002: the wheel has the profiles twice, as the clone has a link to them.
release-check: $(RELEASE)/.ready
	@rm -rf dist
	@$(RELEASE)/bin/python -m build --outdir dist >$(RELEASE)/build.log 2>&1 \
		|| { tail -n 20 $(RELEASE)/build.log >&2; exit 1; }
	@$(RELEASE)/bin/twine check --strict dist/*
	@$(RELEASE)/bin/check-wheel-contents --ignore W002 dist/*.whl
	@$(RELEASE)/bin/hadolint packaging/Containerfile
	@$(RELEASE)/bin/python packaging/release_check.py dist

clean:
	rm -rf $(VENV) $(LOCALSTACK) $(LOWEST) $(RELEASE) .venv-conda demo dist site

# The environment is made anew when the dependencies change.
$(VENV)/.ready: pyproject.toml
	$(CHECK_PYTHON)
	@echo "waybill: making $(VENV)/ beside this file, in a minute or two"
	@$(PYTHON) -m venv $(VENV)
	$(call INSTALL,demo report test docs)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.lint: $(VENV)/.ready
	$(call INSTALL,demo report test docs lint)
	@touch $@

$(VENV)/.docs: $(VENV)/.ready
	$(call INSTALL,demo report test docs)
	@touch $@

$(VENV)/.bench: $(VENV)/.ready
	$(call INSTALL,demo report test docs bench)
	@touch $@

$(VENV)/.pictures: $(VENV)/.ready
	$(call INSTALL,demo report test docs pictures)
	@touch $@

$(VENV)/.slurm: $(VENV)/.ready
	$(call INSTALL,demo report test docs slurm schedulers)
	@touch $@

$(VENV)/.pages: $(VENV)/.ready
	$(call INSTALL,pages)
	@touch $@

$(VENV)/.stores: $(VENV)/.ready
	@$(NEEDS) stores > $(VENV)/needs.txt && $(PIP) -r $(VENV)/needs.txt \
		|| echo "waybill: the packages of extra stores cannot be installed here" >&2
	@touch $@

# Reaches the lower bounds themselves; a bound that cannot be installed is an error.
$(LOWEST)/.ready: BIN := $(LOWEST)/bin
$(LOWEST)/.ready: pyproject.toml
	$(CHECK_PYTHON)
	@echo "waybill: making $(LOWEST)/, this takes a minute"
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(EXTRA) lowest > $(LOWEST)/needs.txt && $(PIP) -r $(LOWEST)/needs.txt
	@$(NEEDS) demo report test | sed 's/>=\([0-9.]*\).*/==\1/' > $(LOWEST)/needs.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r $(LOWEST)/needs.txt
	@touch $@

$(RELEASE)/.ready: pyproject.toml
	$(CHECK_PYTHON)
	@$(PYTHON) -m venv --clear $(RELEASE)
	@$(EXTRA) release > $(RELEASE)/needs.txt
	@$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check -r $(RELEASE)/needs.txt
	@touch $@

$(RELEASE)/.ready: BIN := $(RELEASE)/bin

$(LOCALSTACK)/.ready: tests/storm/localstack.txt
	@echo "waybill: making $(LOCALSTACK)/, this takes a minute"
	@$(PYTHON) -m venv $(LOCALSTACK)
	@$(LOCALSTACK)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
