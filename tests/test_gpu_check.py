"""The GPU check itself: its stages on a CPU, at sizes that take a moment."""

import importlib.machinery
import json
import subprocess
import sys
import types
from pathlib import Path

import fake_torch_tensorrt as fake
import pytest
import torch
from checkpoints import TINY

from engines import gpu_check, gpu_measure
from engines.gpu_check import NO_DEVICE, main, run
from engines.gpu_measure import Effort, matmul_tflops, repeat

QUICK = Effort(seconds=0.0, min_calls=2, min_calls_at_64=3, matmul_size=32)
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One small preset, two batch sizes, nothing compiled."""
    monkeypatch.setattr(gpu_check, "PRESETS", {"tiny-test": TINY})
    monkeypatch.setattr(gpu_check, "BUCKETS", (1, 2))
    monkeypatch.setattr(gpu_check, "WITHOUT_GRAPHS", (1,))
    monkeypatch.setattr(gpu_check, "COMPILE_SECONDS", 1e9)


@pytest.mark.usefixtures("small")
def test_what_is_not_installed_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    report = run(("tiny-test",), 1e6, tmp_path, "cpu", QUICK)
    assert report.passed
    assert [(t.mode, t.batch, t.calls) for t in report.timings] == [
        ("graphs", 1, 2),
        ("graphs", 2, 2),
        ("no graphs", 1, 2),
    ]
    assert all(0 < p.max_cosine_error < 5e-3 for p in report.parities)
    assert len(report.skipped) == 2
    assert "torch_tensorrt cannot be imported" in report.skipped[0]
    assert report.skipped[1] == "torch.compile, tiny-test: the time was up"
    assert json.loads((tmp_path / "gpu.json").read_text())["tensorrt_executed"] is False


@pytest.mark.usefixtures("small")
def test_tensorrt_is_built_and_measured_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", fake)
    tensorrt = types.ModuleType("tensorrt")
    tensorrt.__version__ = "11.0.0"  # type: ignore[attr-defined]
    tensorrt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    report = run(("tiny-test",), 1e6, tmp_path, "cpu", QUICK)
    assert report.tensorrt_executed
    assert report.build_s.keys() == {"tiny-test"}
    assert {(p.engine, p.mode) for p in report.parities} == {
        (engine, mode) for engine in ("cuda", "tensorrt") for mode in ("graphs", "no graphs")
    }
    monkeypatch.setattr(fake.dynamo, "error", RuntimeError("no kernel"))
    broken = run(("tiny-test",), 1e6, tmp_path, "cpu", QUICK)
    assert not broken.passed
    assert "no kernel" in broken.failures[0]


@pytest.mark.usefixtures("small")
def test_an_engine_that_differs_or_breaks_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    monkeypatch.setitem(gpu_measure.COSINE_LIMITS, "bf16", 1e-9)
    assert not run(("tiny-test",), 1e6, tmp_path, "cpu", QUICK).passed
    monkeypatch.setattr(gpu_check, "PRECISION", "int3")
    broken = run(("tiny-test",), 1e6, tmp_path, "cpu", QUICK)
    assert broken.failures[0].startswith("cuda, graphs, tiny-test: there is no precision 'int3'")


@pytest.mark.usefixtures("small")
def test_time_that_is_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    report = run(("tiny-test",), 0.0, tmp_path, "cpu", QUICK)
    assert report.skipped[0] == "torch on CUDA, tiny-test: the time was up"
    assert not report.passed


def test_measuring() -> None:
    taken: list[int] = []
    assert len(repeat(lambda: taken.append(1), 0.0, 4)) == 4
    assert len(taken) == 6  # two do not count
    assert matmul_tflops(32, "cpu") > 0


def test_presets_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--presets", "huge"])
    assert "there is no preset 'huge': choose of nano" in capsys.readouterr().err


BARE = """
import sys
for name in ("openvino", "webrtcvad", "aiortc", "av", "fastapi", "rich"):
    sys.modules[name] = None
from engines.gpu_check import main
status = main(["--out", sys.argv[1]])
assert not {m for m in sys.modules if m.split(".")[0] == "monitor"}
sys.exit(status)
"""


@no_gpu
def test_a_machine_without_a_gpu_or_the_service_s_libraries(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == NO_DEVICE, done.stderr
    assert "finds no CUDA device" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.timeout(500)
def test_the_check_passes_on_a_gpu(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--presets", "nano", "--seconds", "200"]) == 0
