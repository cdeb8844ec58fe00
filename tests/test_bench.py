"""A benchmark measures what it says: rows for every engine, a floor, what was skipped, a report."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import TINY, write_checkpoint
from numpy.typing import NDArray

from engines import bench_report
from engines.bench import Measured, Order, Row, bench
from engines.cli import main
from engines.engine import Embeddings, EngineError
from engines.floor import FLOP, Floor, floor_precisions
from engines.openvino_engine import OpenVinoEngine
from engines.random_weights import random_checkpoint
from engines.startup import Startup, measure_startup


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny.safetensors")


def test_the_floor_is_the_best_of_its_libraries() -> None:
    floor = Floor("f32")
    floor.measure()
    assert set(floor.rates()) >= {"openvino", "torch f32"}
    assert 1e9 < floor.rate < 1e13
    assert FLOP == 2 * 1218 * 768 * 3072
    assert floor_precisions()[0] == "f32"


def test_rows_of_all_engines_and_what_was_skipped(weights: Path, tmp_path: Path) -> None:
    order = Order(
        engines=("openvino", "torch", "cuda"),
        checkpoint=weights,
        precision="f32",
        batch=2,
        seconds=0,
        startup=False,
    )
    measured = bench(order, tmp_path)
    ours, reference = measured.rows[:2]
    assert (ours.engine, ours.preset, ours.precision, ours.batch) == (
        "openvino",
        TINY.preset,
        "f32",
        2,
    )
    assert ours.windows_per_s == pytest.approx(1e3 / ours.ms_per_window, rel=0.1)
    assert ours.floor_fraction is not None
    assert 0 < ours.floor_fraction < 1.2
    assert ours.max_cosine_error < 1e-5
    assert reference.engine == "torch"
    assert reference.max_cosine_error < 1e-9
    assert set(measured.spectrogram_ms) == {"stft512", "mel128"}
    assert "f32" in measured.floors
    if len(measured.rows) == 2:
        assert measured.skipped[0].startswith("cuda, tiny-test: ")


def test_the_command_prints_json_and_writes_a_report(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "reports"
    arguments = ["bench", "--checkpoint", str(weights), "--engine", "openvino", "--seconds", "0"]
    assert main([*arguments, "--no-startup", "--report", str(report), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed["rows"][0]) == [
        "engine",
        "preset",
        "precision",
        "batch",
        "ms_per_window",
        "windows_per_s",
        "floor_fraction",
        "max_cosine_error",
    ]
    assert printed["versions"]["openvino"] != "not installed"
    assert json.loads((report / "cpu.json").read_text())["rows"] == printed["rows"]
    assert "| openvino | tiny-test |" in (report / "cpu.md").read_text()


def test_a_report_says_which_goals_need_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Row("openvino", "tiny", "f32", 1, 70.0, 14.3, 0.8, 1e-7),
        Row("torch", "tiny", "f32", 1, 140.0, 7.1, 0.4, 0.0),
        Row("cuda", "tiny", "bf16", 1, 1.0, 1000.0, None, 1e-3),
    ]
    measured = Measured(
        rows=rows,
        floors={"f32": {"openvino": 200.0}},
        startups=[Startup("openvino", "tiny", "filled", 0.5, 200)],
        spectrogram_ms={"stft512": 0.8},
    )
    monkeypatch.setattr(bench_report, "capabilities", lambda: ["FP32"])
    monkeypatch.setattr("os.getloadavg", lambda: (1e3, 0.0, 0.0))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    text = bench_report.markdown(measured, "vfd-engine bench")
    assert "`base`: goal 0.85 not measured, this processor has no bf16" in text
    assert "OpenVINO f32 is 2.00 times as fast as torch f32" in text
    assert "**Other work ran beside it.**" in text
    assert "left unused" not in text
    assert "carries 14 participants, goal 20" in text
    assert "20 participants need 231 GFLOP/s of one core, more than the floor" in text
    assert "| openvino | tiny | filled | 0.5 | 200 |" in text
    assert "| cuda | tiny | bf16 | 1 | 1.0 | 1000.0 | - | 0.001 |" in text
    monkeypatch.setattr(bench_report, "capabilities", lambda: ["FP32", "BF16"])
    measured.rows = [Row("openvino", "tiny", "bf16", 1, 40.0, 25.0, 0.75, 1e-3)]
    measured.floors = {"bf16": {"openvino": 445.0}}
    monkeypatch.setattr("os.getloadavg", lambda: (0.5, 0.0, 0.0))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    text = bench_report.markdown(measured, "x")
    assert "Instructions beyond AVX512_CORE_BF16 were left unused (ONEDNN_MAX_CPU_ISA)." in text
    assert "Other work" not in text
    assert "`tiny`: 0.75 of the floor, goal 0.72" in text
    assert "GFLOP/s of one core" not in text


def test_start_up_is_measured_with_and_without_the_cache(weights: Path) -> None:
    empty, filled = measure_startup("openvino", TINY.preset, weights)
    assert (empty.cache, filled.cache) == ("empty", "filled")
    assert 0.1 < filled.ready_s < 60
    assert 50 < filled.peak_rss_mb < 1000


def test_a_start_up_that_fails_costs_no_row(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail(*arguments: object) -> None:
        asked.append(arguments)
        raise EngineError("no room")

    monkeypatch.setattr("engines.bench.measure_startup", fail)
    order = Order(engines=("openvino", "torch"), checkpoint=weights, precision="f32", seconds=0)
    measured = bench(order, tmp_path)
    assert [row.engine for row in measured.rows] == ["openvino", "torch"]
    assert measured.skipped == [
        "start-up of openvino, tiny-test: no room",
        "start-up of torch, tiny-test: no room",
    ]
    assert [(name, precision) for name, _, _, precision, _ in asked] == [
        ("openvino", "f32"),
        ("torch", "auto"),
    ]


def test_an_engine_that_fails_in_the_race_costs_its_row_alone(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed, calls = OpenVinoEngine.embed_faces, []

    def fail(engine: OpenVinoEngine, crops: NDArray[np.uint8]) -> Embeddings:
        calls.append(crops)
        if len(calls) == 2:
            raise EngineError("out of memory for 1 face")
        return embed(engine, crops)

    monkeypatch.setattr(OpenVinoEngine, "embed_faces", fail)
    order = Order(engines=("openvino", "torch"), checkpoint=weights, precision="f32", seconds=0)
    measured = bench(order, tmp_path)
    assert [row.engine for row in measured.rows] == ["torch"]
    assert [started.engine for started in measured.startups] == ["torch"]
    assert measured.skipped == ["openvino, tiny-test: out of memory for 1 face"]
    assert len(calls) == 2


def test_a_built_engine_is_measured_beside_the_others(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "built"
    assert main(["build", str(weights), "--out", str(folder), "--precision", "f32"]) == 0
    capsys.readouterr()
    arguments = ["bench", "--engine", "torch", "--seconds", "0", "--folder", str(folder), "--json"]
    assert main([*arguments, "--checkpoint", str(weights)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["engine"] for row in found["rows"]] == ["torch", "openvino"]
    assert [started["engine"] for started in found["startups"]] == ["torch", *["openvino"] * 2]
    assert main(arguments) == 2
    assert "name it with --checkpoint" in capsys.readouterr().err


def test_a_start_up_that_fails_says_why(weights: Path) -> None:
    with pytest.raises(EngineError, match=r"to be measured: .*there is no precision 'fp16'"):
        measure_startup("openvino", TINY.preset, weights, "fp16")


def test_random_weights_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = (random_checkpoint(tmp_path / f"{i}.safetensors", TINY) for i in range(2))
    assert first.sha256 == second.sha256
    assert first.info.synthetic


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--batch", "0"])
