"""Projections by hand, and the input pipeline really measured."""

import json
from pathlib import Path

import pytest

from tests.shards import finished, written
from training.capacity import (
    MEASURED_STEPS,
    Gpu,
    InputRate,
    Plan,
    input_rate,
    project,
    sample_tflop,
)
from training.capacity_report import Capacity, markdown
from training.cli import main
from training.clips import Clip
from training.provenance import Machine
from vfd.cost import flops, parameters
from vfd.model_config import PRESETS

BASE = Plan("base", clips=1000, epochs=2, batch=128)


def test_a_sample_costs_three_forward_passes() -> None:
    cost = flops(PRESETS["base"])
    assert sample_tflop(BASE) == pytest.approx(3 * cost.total / 1e12)
    two_faces = Plan("base", faces_each=2)
    assert sample_tflop(two_faces) == pytest.approx(3 * (cost.voice + 2 * cost.face) / 1e12)


def test_one_gpu_by_hand() -> None:
    gpu = Gpu(tflops=1000, utilisation=0.5, fixed_s=0.0, price_per_hour=2.0)
    found = project(BASE, 1, InputRate(100.0, 90.0, 1, "toys"), gpu)
    per_s = 500 / sample_tflop(BASE)
    assert found.samples_per_s == pytest.approx(per_s)
    assert found.hours == pytest.approx(2000 / per_s / 3600)
    assert found.cost == pytest.approx(2 * found.hours)
    assert found.waiting == pytest.approx(0)
    assert found.cores_per_gpu == -(-1.25 * per_s // 100)


def test_gradients_cross_a_slower_wire_between_machines() -> None:
    gpu = Gpu(fixed_s=0.0, hidden=0.0)
    within, beyond = (project(BASE, n, None, gpu) for n in (8, 32))
    computing_s = BASE.batch / 32 * sample_tflop(BASE) / (gpu.tflops * gpu.utilisation)
    exchange_s = 2 * 31 / 32 * parameters(PRESETS["base"]).total * 4 / 1e9 / gpu.network_gb_s
    assert BASE.batch / beyond.samples_per_s == pytest.approx(computing_s + exchange_s)
    assert beyond.waiting > within.waiting
    assert within.cores_per_gpu is None


@pytest.mark.parametrize("preset", ["nano", "vgg"])
def test_the_input_pipeline_is_measured_for_every_family(tmp_path: Path, preset: str) -> None:
    clips = [Clip("set", str(k), f"id{k}") for k in range(2)]
    written(tmp_path, clips, lines=("recorded", "train-1"))
    rate = input_rate(finished(tmp_path), preset)
    assert rate.samples == 2 * MEASURED_STEPS
    assert rate.clips == "2 clips of set"
    assert 0 < rate.slowest_per_s <= rate.samples_per_s


def test_a_small_batch_wastes_many_gpus_and_the_report_says_so() -> None:
    quiet = Machine("a processor", 2, 0.1)
    text = markdown(
        Capacity(Plan(), (1, 4, 32), InputRate(40.0, 30.0, 128, "toys"), quiet, "typed")
    )
    few, many = (project(Plan(), n, None) for n in (1, 32))
    assert many.samples_per_s < 16 * few.samples_per_s
    assert "not measured on a GPU" in text
    assert "1,100,000 clips" in text
    assert text.count("| 32 |") == 2
    assert "Other work" not in text
    with pytest.raises(ValueError, match="128 does not divide among 3"):
        project(Plan(), 3, None)


def test_the_report_says_when_other_work_ran() -> None:
    busy = Machine("a processor", 2, 1.6)
    asked = Capacity(Plan(), (1,), InputRate(40.0, 30.0, 128, "toys"), busy, "vfd-train capacity")
    assert "Other work ran beside it" in markdown(asked)
    assert "`vfd-train capacity` on a processor, 2 cores, load 1.6" in markdown(asked)


def test_a_report_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "reports"
    words = ["capacity", "--preset", "nano", "--gpus", "1", "8", "--report", str(out)]
    assert main(words) == 0
    assert (out / "capacity.md").read_text() == capsys.readouterr().out
    found = json.loads((out / "capacity.json").read_text())
    assert [p["gpus"] for p in found["same_batch"]] == [1, 8]
    assert [p["batch"] for p in found["batch_on_every_gpu"]] == [128, 1024]
    assert found["input"] is None
    assert found["same_batch"][0]["cores_per_gpu"] is None
    assert found["versions"].keys() >= {"python", "torch", "vfd-monitor"}
