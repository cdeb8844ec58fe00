"""The stages of the GPU check on a CPU, at sizes that take a moment; what becomes of failures."""

import importlib.machinery
import json
import sys
import types
from pathlib import Path

import fake_torch_tensorrt as fake
import pytest
import torch
from checkpoints import TINY

from engines import gpu_measure, gpu_stage
from engines.cuda_engine import CudaEngine
from engines.engine import Embeddings
from engines.gpu_measure import Effort, matmul_tflops, repeat
from engines.gpu_report import GpuReport
from engines.gpu_stage import STAGES, Work, run_stage

QUICK = Effort(seconds=0.0, min_calls=2, min_calls_at_64=3, matmul_size=32)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """One small preset, few batch sizes."""
    monkeypatch.setattr(gpu_stage, "PRESETS", {"tiny-test": TINY})
    monkeypatch.setattr(gpu_stage, "BUCKETS", (1, 2))
    monkeypatch.setattr(gpu_stage, "WITHOUT_GRAPHS", (1,))
    return Work("tiny-test", tmp_path / "found.json", 1.0, "cpu", QUICK)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", fake)
    tensorrt = types.ModuleType("tensorrt")
    tensorrt.__version__ = "11.0.0"  # type: ignore[attr-defined]
    tensorrt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)


def written(work: Work) -> GpuReport:
    report = GpuReport("unknown", {}, None)
    report.absorb(json.loads(work.found.read_text()))
    return report


def test_torch_on_cuda(work: Work) -> None:
    report = run_stage("cuda", work)
    assert report.passed, report.details
    assert [(t.mode, t.batch, t.calls) for t in report.timings] == [
        ("graphs", 1, 2),
        ("graphs", 2, 2),
        ("no graphs", 1, 2),
    ]
    assert all(0 < p.max_cosine_error < 5e-3 for p in report.parities)
    assert {m.mode for m in report.memory} == {"graphs", "no graphs"}
    assert written(work) == report
    assert report.device == "cpu"
    assert report.versions["torch"] == torch.__version__


def test_the_plain_product(work: Work) -> None:
    report = run_stage("matmul", work)
    assert report.matmul_tflops is not None
    assert 0 < report.matmul_tflops != work.tflops


@pytest.mark.usefixtures("library")
def test_tensorrt_is_built_and_measured_where_it_is(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run_stage("tensorrt", work)
    assert report.tensorrt_executed, report.details
    assert report.build_s.keys() == {"tiny-test"}
    assert report.versions["tensorrt"] == "11.0.0"
    assert [p.mode for p in report.parities] == ["graphs", "no graphs"]
    monkeypatch.setattr(fake.dynamo, "error", RuntimeError("no kernel"))
    broken = run_stage("tensorrt", work)
    assert not broken.passed
    assert "no kernel" in broken.failures[0]
    assert "Traceback" in broken.details[0]
    assert broken.parities == []


def test_tensorrt_that_cannot_be_imported_is_skipped(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    report = run_stage("tensorrt", work)
    assert report.failures == []
    assert report.skipped[0].startswith("TensorRT: torch_tensorrt cannot be imported")


def test_an_engine_that_differs_fails_the_check(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gpu_measure.COSINE_LIMITS, "bf16", 1e-9)
    report = run_stage("cuda", work)
    assert not report.passed
    assert report.failures == []


def test_a_compiler_that_fails_fails_no_check(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(_tower: object) -> None:
        raise RuntimeError("no gcc\nand more")

    monkeypatch.setattr("engines.cuda_engine._compiled", no_compiler)
    report = run_stage("compiled", work)
    assert report.skipped == ["cuda, compiled, tiny-test: RuntimeError: no gcc"]
    assert "no_compiler" in report.details[0]
    assert report.failures == []


def test_one_batch_size_that_fails_leaves_the_others(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = CudaEngine.embed_faces

    def fails_at_two(self: CudaEngine, crops: object) -> Embeddings:
        if len(crops) == 2:  # type: ignore[arg-type]
            raise ValueError("odd")
        return embed(self, crops)  # type: ignore[arg-type]

    monkeypatch.setattr(CudaEngine, "embed_faces", fails_at_two)
    report = run_stage("cuda", work)
    assert [(t.mode, t.batch) for t in report.timings] == [("graphs", 1), ("no graphs", 1)]
    assert report.failures == [
        "cuda, graphs, tiny-test, 2 rows: ValueError: odd",
        "cuda, graphs, tiny-test, batch 2: ValueError: odd",
    ]
    assert len(report.parities) == 2
    assert not report.passed


def test_what_was_found_before_a_crash_is_there(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """Passes every handler, as the end of a process does."""

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(gpu_measure.Check, "_time", crash)
    with pytest.raises(Crash):
        run_stage("cuda", work)
    assert [p.mode for p in written(work).parities] == ["graphs"]


def test_measuring() -> None:
    taken: list[int] = []
    assert len(repeat(lambda: taken.append(1), 0.0, 4)) == 4
    assert len(taken) == 6  # two do not count
    assert len(repeat(lambda: taken.append(1), 0.0, 400, max_seconds=0.0)) == 3
    assert matmul_tflops(32, "cpu") > 0


def test_the_command_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Work] = []
    monkeypatch.setitem(STAGES, "cuda", lambda report, work: asked.append(work))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Test")
    found = tmp_path / "found.json"
    gpu_stage.main(["cuda", str(found), "--preset", "vgg", "--tflops", "800"])
    assert asked == [Work("vgg", found, 800.0)]
    assert json.loads(found.read_text())["device"] == "NVIDIA Test"
