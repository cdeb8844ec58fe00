"""The arithmetic and the words of the GPU report."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from engines.gpu_report import GpuParity, GpuReport, Memory, Timing, timing_of, write_report

PARITY = GpuParity("cuda", "graphs", "base", "bf16", 1e-3, 5e-3)


def report_of(*timings: Timing) -> GpuReport:
    return GpuReport("NVIDIA Test", {"torch": "2.11.0"}, 800.0, list(timings), [PARITY])


def timing(p50_s: float = 0.02, batch: int = 64, parity: GpuParity = PARITY) -> Timing:
    """A hundred calls, of which one takes twice as long."""
    call_s = [p50_s] * 99 + [2 * p50_s]
    return timing_of(parity, batch, call_s, p50_s / 2, 100e9, 800.0)


def test_a_timing_is_of_the_median_call() -> None:
    found = timing()
    assert found.p50_ms == pytest.approx(20)
    assert found.p99_ms == pytest.approx(20.2, abs=0.3)
    assert found.ms_per_window == pytest.approx(20 / 64)
    assert found.windows_per_s == pytest.approx(3200)
    assert found.floor_fraction == pytest.approx(64 * 100e9 / 800e12 / 0.02)
    assert found.device_floor_fraction == pytest.approx(2 * found.floor_fraction)
    assert (found.calls, found.batch, found.max_cosine_error) == (100, 64, 1e-3)


def test_goals_are_met_missed_or_not_measured() -> None:
    assert list(report_of().goals().values()) == [None, None]
    tiny = dataclasses.replace(PARITY, preset="tiny")
    assert list(report_of(timing(parity=tiny)).goals().values()) == [None, None]
    assert list(report_of(timing(p50_s=0.05)).goals().values()) == [False, False]
    assert list(report_of(timing(p50_s=0.05), timing(p50_s=0.015)).goals().values()) == [True, True]
    # A large batch may reach the rate; the p99 is that of 64 rows alone.
    assert list(report_of(timing(0.05, batch=256)).goals().values()) == [True, None]


@pytest.mark.parametrize("error", [6e-3, math.nan])
def test_a_difference_fails_the_check(error: float) -> None:
    report = report_of()
    assert report.passed
    report.parities.append(dataclasses.replace(PARITY, max_cosine_error=error))
    assert not report.passed


def test_without_the_rate_of_the_gpu_nothing_is_said_of_a_fraction(tmp_path: Path) -> None:
    row = timing_of(PARITY, 64, [0.01] * 9, 0.01, 100e9, None)
    assert row.floor_fraction is row.device_floor_fraction is None
    report = dataclasses.replace(report_of(row), matmul_tflops=None)
    assert list(report.goals().values()) == [None, True]
    write_report(tmp_path, report)
    text = (tmp_path / "gpu.md").read_text()
    assert "random data: not measured." in text
    assert "| 9 | - | - |" in text


def test_findings_of_another_process_are_added() -> None:
    other = report_of(timing())
    other.memory.append(Memory("cuda", "graphs", "base", 3.25))
    other.build_s["base"], other.versions["tensorrt"] = 71.4, "11.0"
    other.failures.append("broke")
    other.details.append("where")
    report = GpuReport("unknown", {"python": "3.12"}, None)
    report.absorb(json.loads(json.dumps(other.as_dict())))
    assert report == dataclasses.replace(other, versions={"python": "3.12"} | other.versions)


def test_what_breaks_fails_the_check_and_what_is_left_out_does_not() -> None:
    report = report_of()
    report.skipped.append("TensorRT: not installed")
    assert report.passed
    report.failures.append("cuda, graphs, vgg: no")
    assert not report.passed
    assert not GpuReport("any", {}, 1.0).passed  # nothing was compared


def test_tensorrt_counts_as_executed_once_it_said_the_same() -> None:
    report = report_of()
    assert not report.tensorrt_executed
    ours = dataclasses.replace(PARITY, engine="tensorrt")
    report.parities.append(ours)
    assert report.tensorrt_executed
    report.parities.append(dataclasses.replace(ours, max_cosine_error=0.1))
    assert not report.tensorrt_executed


def test_both_files(tmp_path: Path) -> None:
    report = report_of(timing())
    report.memory.append(Memory("cuda", "graphs", "base", 3.25))
    report.build_s["base"] = 71.4
    report.skipped.append("TensorRT: it is not installed")
    report.details.append("Traceback: there")
    report.stage_s["matmul"] = 12.3
    folder = tmp_path / "reports"
    write_report(folder, report)
    written = json.loads((folder / "gpu.json").read_text())
    assert written["tensorrt_executed"] is False
    assert written["timings"][0]["windows_per_s"] == pytest.approx(3200)
    assert {"engine", "preset", "precision", "batch", "ms_per_window"} <= written["timings"][
        0
    ].keys()
    assert sorted(p.name for p in folder.iterdir()) == ["gpu.json", "gpu.md"]
    text = (folder / "gpu.md").read_text()
    for words in (
        "# GPU check: NVIDIA Test",
        "torch 2.11.0",
        "800 TFLOP/s. TensorRT: lowered and checked, not executed.",
        "- base: at least 0.5 of the matmul rate from batch 64 on: MISSED",
        "- base: p99 of a batch of 64 below 40 ms: met",
        "| cuda | graphs | base | bf16 | 1.0e-03 | 5e-03 | passed |",
        "| cuda | graphs | base | 64 | 0.312 | 3200 | 20.00 | 20.20 | 100 | 0.40 | 0.80 |",
        "| cuda | graphs | base | 3.25 |",
        "- TensorRT built base in 71 s",
        "## Did not run\n\nNothing.",
        "- TensorRT: it is not installed",
        "```\nTraceback: there\n```",
        "| matmul | 12 |",
    ):
        assert words in text, words
    assert "Nothing was measured" in _markdown_of_nothing(tmp_path)


def _markdown_of_nothing(folder: Path) -> str:
    write_report(folder, GpuReport("any", {}, 1.0))
    return (folder / "gpu.md").read_text()
