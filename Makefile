# make demo, make test: on a fresh machine these two do everything.
PYTHON ?= python3
BIN := .venv/bin
TORCH := torch>=2.11,<2.14

.PHONY: demo test check bench-demo bench-engines bench-scoring bench-delivery bench-speaker bench-receiver bench-receiver-accuracy gpu-check clean

demo: .venv/.demo  ## a live call of four people, one of whom is swapped (SEED=, JSON=, KEEP=1)
	$(BIN)/vfd-monitor demo $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON)) $(if $(KEEP),--keep)

test: .venv/.dev  ## every test; PYTEST="-k name" narrows
	$(BIN)/python -m pytest $(PYTEST)

check: .venv/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-engines: .venv/.dev  ## engines on this processor; writes engines/reports/cpu.md
	$(BIN)/vfd-engine bench --report engines/reports

gpu-check:  ## the GPU engines, with the torch of $(PYTHON); writes engines/reports/gpu.md
	$(PYTHON) -m engines.gpu_check

bench-demo: .venv/.dev  ## ten demonstrations and a long one, into monitor/reports/demo.md
	$(BIN)/python tests/bench_demo.py

bench-scoring: .venv/.dev  ## participants on one engine thread, into monitor/reports/scoring.md
	$(BIN)/python -m tests.bench_scoring

bench-delivery: .venv/.dev  ## alerts to disk and receiver, and kill -9 between, into monitor/reports/delivery.md
	$(BIN)/python -m tests.bench_delivery

bench-speaker: .venv/.dev  ## who speaks in mixed streams, into training/reports/speaker.md
	$(BIN)/python -m tests.bench_speaker

bench-receiver: .venv/.dev  ## the receiver alone on a core, into monitor/reports/receiver.md
	$(BIN)/python -m tests.bench_receiver

bench-receiver-accuracy: .venv/.dev  ## full decoding against keyframes, in accuracy
	$(BIN)/python -m tests.receiver_accuracy

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/.demo: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[demo]'
	touch $@

# torch first: a build for this machine must be chosen before anything else asks for one.
.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet --editable '.[demo,training,ray,bench,int8,dev]'
	touch $@ .venv/.demo
