# make demo, make test: on a fresh machine these two do everything.
PYTHON ?= python3
BIN := .venv/bin
TORCH := torch>=2.11,<2.14

.PHONY: demo test check bench-engines bench-alerting bench-scrape gpu-check bench-demo bench-scoring bench-delivery bench-speaker bench-mixed bench-cross-talk bench-receiver bench-receiver-accuracy ops bench-room bench-streams bench-decision bench-delays clean

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

bench-alerting: .venv/.dev  ## from a swap to the webhook, into monitor/reports/alerting.md
	$(BIN)/python -m tests.bench_alerting

bench-scrape: .venv/.dev  ## a scrape of a thousand participants, into monitor/reports/scrape.md
	$(BIN)/python -m tests.bench_scrape

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

bench-mixed: .venv/.dev  ## the same through the whole monitor, into monitor/reports/mixed.md
	$(BIN)/python -m tests.bench_mixed

bench-cross-talk: .venv/.dev  ## the loudspeaker of others, by its level, into training/reports/cross-talk.md
	$(BIN)/python -m tests.bench_cross_talk

bench-receiver: .venv/.dev  ## the receiver alone on a core, into monitor/reports/receiver.md
	$(BIN)/python -m tests.bench_receiver

bench-receiver-accuracy: .venv/.dev  ## full decoding against keyframes, in accuracy
	$(BIN)/python -m tests.receiver_accuracy

ops: .venv/.dev  ## METRICS.md and the Grafana dashboards, into monitor/ops
	$(BIN)/python -m monitor.ops.dashboards

bench-room: .venv/.dev  ## thirty people in a Janus room, into monitor/reports/rooms.md
	$(BIN)/python -m tests.bench_rooms

bench-streams: .venv/.dev  ## RTMP and HLS for five minutes, into monitor/reports/streams.md
	$(BIN)/python -m tests.bench_streams

bench-decision: .venv/.dev  ## false alarms and swaps caught; CALLERS= is a folder to embed people in
	$(BIN)/python -m tests.embed_callers $(CALLERS)
	$(BIN)/python -m tests.bench_decision $(CALLERS)

bench-delays: .venv/.dev  ## how soon each detector is at the same false alarms, where theory can be checked
	$(BIN)/python -m tests.bench_delays

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
	$(BIN)/pip install --quiet --editable '.[demo,training,ray,bench,int8,livekit,ops,dev]'
	touch $@ .venv/.demo
