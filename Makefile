# make train   a trained, evaluated, registered model    make test   every test    make check   the whole gate
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data/clinc150
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Two processes, each on one core; a file's tests stay together, since they share what is slow to make.
PYTEST := OMP_NUM_THREADS=1 pytest --numprocesses 2 --dist loadfile
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: train test test-services check format bench bench-serving fuzz prove-promotion mlproject install

train: install
	mlflow run . -e train_bert --env-manager local
	@echo 'for these commands, once in each shell: source $(VENV)/bin/activate'

test: install
	$(PYTEST)

test-services: install
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,e5,minilm,postgresql,spark]'
	pytest -m services

check: install
	ruff format --check src registry tests bench
	ruff check src registry tests bench
	mypy
	$(PYTEST)

format: install
	ruff format src registry tests bench
	ruff check --fix src registry tests bench

bench: install
	PYTHONPATH=src python -m bench.training.training_speed --data $(DATA)
	PYTHONPATH=src python -m bench.training.textcnn
	PYTHONPATH=src python -m bench.data.readers

bench-serving: install
	PYTHONPATH=src python -m bench.serving.serving --data $(DATA)
	PYTHONPATH=src python -m bench.serving.scoring --data $(DATA)

prove-promotion: install
	PYTHONPATH=src python -m bench.promotion.promotion
	pytest tests/registry/test_damaged_versions.py --verbose
	pytest tests/registry --deselect tests/registry/test_damaged_versions.py

fuzz: install
	PYTHONPATH=src python -m bench.data.fuzz_readers

mlproject: install
	PYTHONPATH=src python -m intents.parameters.mlproject > MLproject

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "needs Python 3.11: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo 'installing into $(VENV): one to a few minutes, about 2 GB'
	@$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,e5,minilm]'
	touch $@
