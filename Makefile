# The two commands are `make demo` and `make test`; each sets up .venv first if that is needed.

PY := .venv/bin/python
LUCIDGEN := .venv/bin/lucidgen
# Two processes, each on one core: threads of NumPy's would only wait for each other.
PYTEST := OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal

.PHONY: help setup demo test test-complete test-metal lint build pages record bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     build the optimizers and train a network with five of them"
	@echo "              (DEMO='--device gpu' trains on MLX arrays)"
	@echo "make test     check style, types, walls between rooms, generated files; run the tests"
	@echo "make test-complete   the checks of which \`make test\` runs a sample: every mutant kernel,"
	@echo "              every combination of static choices, every loop and kernel compiled"
	@echo "make test-metal   on a Mac: Apple's compiler and GPU run the Metal kernels"
	@echo "make setup    make or mend .venv (PYTHON=... chooses the interpreter)"
	@echo "make build    run the compiler: specs/ to generated/"
	@echo "make pages    write what README.md and docs/ show of the code and of recorded runs"
	@echo "make bench    measure the steps next to those of other libraries, for 10 minutes"
	@echo "              (BENCH='--python PATH' adds what another Python has installed)"
	@echo "make record   record the reference trajectories again"
	@echo "make clean    remove .venv and build/"

setup:
	@sh scripts/setup.sh

build: setup
	@$(LUCIDGEN) build

pages: build
	@$(PY) tests/conformance/tables.py
	@$(PY) scripts/architecture.py

demo: build
	@$(PY) demo/digits.py $(DEMO)

lint: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@walls=$$(.venv/bin/lint-imports --no-logo --no-cache) || { echo "$$walls"; exit 1; }
	@$(LUCIDGEN) build --check

test: lint
	@$(PYTEST) $(TESTS)

test-complete: setup
	@$(PYTEST) -m complete $(TESTS)

test-metal: setup
	@$(PY) -m pytest tests/metal/on_a_mac.py

bench: setup
	@$(PY) bench $(BENCH)

record: setup
	@$(PY) -m pip install --quiet --editable '.[record]'
	@$(PY) tests/conformance/record_torch.py
	@$(PY) tests/conformance/record_sparse.py
	@$(PY) tests/conformance/record_torch_around.py
	@$(PY) tests/conformance/record_torch_schedules.py
	@$(PY) tests/conformance/record_lucid2.py
	@$(PY) tests/conformance/record_pytorch_optimizer.py
	@$(PY) tests/conformance/record_elements.py
	@$(PY) tests/conformance/record_groups.py
	@$(PY) tests/conformance/record_more_optax.py
	@$(PY) tests/conformance/record_resume_pytorch_optimizer.py
	@$(PY) tests/conformance/record_resume_optax.py
	@$(PY) tests/conformance/record_adafactor.py torch
	@$(PY) tests/authors/record_transforms.py
	@$(PY) tests/randomness/record_optax.py

clean:
	rm -rf .venv build
