# Every target makes the environment first: .venv from requirements.lock, with uv.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
STAMP := $(VENV)/.lock-stamp
PY := $(VENV)/bin/python
# The Python that .venv is made from: a version range or a path. uv finds it, or fetches one where none is installed.
PYTHON_FOR_VENV ?= >=3.11,<3.14
# Two test processes with one thread each beat one with two: most tests spend their time outside of BLAS.
TEST_JOBS ?= $(shell nproc)
# Sizes of the quickstart: about six minutes on two cores.
QUICKSTART := runs/quickstart
QUICKSTART_WINDOWS ?= 800
QUICKSTART_PANORAMAS ?= 8
# A CPU without bfloat16 units imitates them, at nearly twice the time of float32.
QUICKSTART_BF16 ?= $(shell grep -qsE 'amx_bf16|avx512_bf16' /proc/cpuinfo && echo true || echo false)

.PHONY: help setup quickstart test test-slow test-slurm check format lock bench family-gpu cards clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP)  ## Make or update .venv from requirements.lock; at once when it is up to date.

# Bytecode is made here once, as pip does; else each start pays for it where PYTHONDONTWRITEBYTECODE is set.
# uv from PATH, else a private copy: in its own environment, or in a plain folder where Python comes without venv.
$(STAMP): requirements.lock pyproject.toml
	@uv=uv; \
	if ! uv --version >/dev/null 2>&1; then \
	  uv=.venv-uv/bin/uv; \
	  if ! $$uv --version >/dev/null 2>&1; then \
	    echo "uv is not on PATH; installing it into .venv-uv"; \
	    rm -rf .venv-uv; \
	    { python3 -m venv .venv-uv >/dev/null 2>&1 && .venv-uv/bin/python -m pip install --quiet uv; } \
	      || { rm -rf .venv-uv && python3 -m pip install --quiet --target .venv-uv uv; }; \
	  fi; \
	fi; \
	export UV_PROJECT_ENVIRONMENT= VIRTUAL_ENV=; \
	if [ ! -x $(PY) ]; then $$uv venv --quiet --allow-existing --python '$(PYTHON_FOR_VENV)' $(VENV); fi; \
	echo "Installing requirements.lock into $(VENV)"; \
	$$uv pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements.lock; \
	$$uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

quickstart: setup  ## Write shards, fine-tune, outpaint held-out panoramas, print the scores (about six minutes).
	rm -rf $(QUICKSTART)
	$(PY) -m data_prep all --source scapes --out $(QUICKSTART)/data --windows $(QUICKSTART_WINDOWS) \
	  --val-windows 32 --eval-windows 0 --directions left,right --bf16 $(QUICKSTART_BF16) --panoramas $(QUICKSTART_PANORAMAS) \
	  --captioner lit_outpaint.captions.language_model.LanguageModelCaptioner \
	  --captioner.chat lit_outpaint.chat.local_chat.LocalChat --captioner.chat.path models/scapes/lm \
	  --captioner.chat.batch_size 128
	$(PY) -m lit_outpaint fit -c experiments/quickstart.yaml --trainer.precision $(if $(filter true,$(QUICKSTART_BF16)),bf16-mixed,32-true)
	$(PY) -m eval run --checkpoint $(QUICKSTART)/last.ckpt --data $(QUICKSTART)/data --out $(QUICKSTART) \
	  --panoramas $(QUICKSTART_PANORAMAS) --steps 8 --figures few --loss_csv $(QUICKSTART)/metrics.csv
	@echo "The panoramas, with captions and the loss curve: $(QUICKSTART)/report.html"

# Tests start some hundred Pythons: where bytecode may not be kept, each would compile this code again.
# tests/conftest.py puts long files first; xdist's own order would put them last, and one process would end alone.
test: setup  ## Run the fast test suite.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

test-slow: setup  ## Run the slow tests alone.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -q -m slow

test-slurm: setup  ## Submit, sweep, pre-empt and collect on a real SLURM of one node, started and stopped for it.
	$(PY) -m pytest -q -m slurm tests/slurm

check: setup  ## Check format, lint, types and the direction of imports.
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: setup  ## Format the code and mend what ruff can mend.
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: setup  ## Time our steps against plain diffusers code of the same work.
	$(PY) -m benchmarks.train_step
	$(PY) -m benchmarks.outpaint_step

# A GPU machine brings its own Python with torch. Where it reaches no registry, carry .whl there, made before by
# python3 -m data_prep.scapes.gpu_packages --download .whl
GPU_PY ?= python3
GPU_WORK ?= runs/family_gpu
OUT ?= $(GPU_WORK)/out
export PYTHONUNBUFFERED = 1
family-gpu:  ## On a GPU machine: train the family (8 minutes), then time the training step at SD 1.5 size (4).
	$(GPU_PY) -m data_prep.scapes.gpu_packages --wheels .whl
	timeout 480 $(GPU_PY) -m data_prep.scapes.train_family --work $(GPU_WORK) --device cuda --ship $(OUT) \
	  || $(GPU_PY) -m data_prep.scapes.train_family --work $(GPU_WORK) --parts none --ship $(OUT)
	timeout 240 $(GPU_PY) -m benchmarks.ladder --size sd15 --batch_size 16
	cp benchmarks/reports/ladder.json $(OUT)/

# Everything that the model card and the tables of docs/figures.md say of the shipped weights.
CARDS := runs/cards
cards: setup  ## Score the shipped weights anew and rewrite the model card and every marked table (hours on two cores).
	$(PY) -m data_prep all --source scapes --out $(CARDS)/data --windows 1 --val-windows 0 --panoramas 64 \
	  --panorama_directions right,left,up,down --eval_windows 1024 --bf16 $(QUICKSTART_BF16)
	$(PY) -m eval family --models models/scapes --data $(CARDS)/data --out $(CARDS)/family
	$(PY) -m eval run --checkpoint models/scapes/outpaint --data $(CARDS)/data --out $(CARDS)/outpaint
	for side in left up down; do $(PY) -m eval run --checkpoint models/scapes/outpaint --data $(CARDS)/data \
	  --out $(CARDS)/outpaint_$$side --direction $$side --panoramas 32 --figures few; done
	$(PY) -m eval run --checkpoint models/scapes/outpaint --data $(CARDS)/data --out $(CARDS)/outpaint_joint \
	  --method joint --panoramas 32 --figures few
	$(PY) -m data_prep.scapes.lm_eval --models models/scapes --out $(CARDS)/lm
	$(PY) -m data_prep.scapes.card --models models/scapes --scores $(CARDS)/{family,outpaint,lm}/metrics.md
	$(PY) -m data_prep.scapes.score_tables --models models/scapes --scores $(CARDS) docs/figures.md

lock:  ## Resolve requirements.lock anew from pyproject.toml (needs uv); versions move only where they must.
	uv pip compile pyproject.toml --quiet --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## Remove what runs and tools left behind; .venv stays.
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
