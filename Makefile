# The two commands of the README, and no logic.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-slurm bench lint image format clean

train: .venv/ready  ## train the default experiment and print its scores
	@$(BIN)/genexp train experiment=digits_dcgan $(ARGS)

test: .venv/ready lint  ## format, lint, types, tests
	@$(BIN)/pytest -n 2 --dist worksteal -m "not slow" $(ARGS)

lint: .venv/ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test-slurm: .venv/ready  ## the tests on a real SLURM of this machine's own, as root on Debian; docs/slurm.md
	@$(BIN)/pytest -m slurm --durations 0 tests/slurm $(ARGS)

image:  ## the container image, run for real; docs/containers.md
	@docker/build.sh cpu test
	@docker/check.sh

format: .venv/ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/ready  ## measured ratios against a hand-written loop, and the slow tests
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/pytest -m slow

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps sweeps==0.3.0  # W&B's sweep engine: it names numpy<2 but runs with 2
	@touch $@

clean:
	rm -rf .venv
