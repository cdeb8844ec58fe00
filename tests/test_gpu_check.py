"""The GPU check: the order of its stages, its clock, and what one broken stage does to the rest."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from engines import gpu_check
from engines.gpu_check import NO_DEVICE, Stage, launch, main, ran, run, stages
from engines.gpu_report import GpuParity, GpuReport

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
ROOT = Path(__file__).parents[1]


@dataclass
class Stages:
    """Stands in for the processes: everyone finds one parity, except those that break."""

    broken: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    asked: list[tuple[str, float | None]] = field(default_factory=list)

    def __call__(
        self, stage: Stage, found: Path, tflops: float | None, limit_s: float
    ) -> str | None:
        self.asked.append((stage.name, tflops))
        assert 0 < limit_s <= stage.limit_s
        if not (self.silent and stage.name in self.broken):
            report = GpuReport("NVIDIA Test", {"torch": "2.11"}, tflops or 800.0)
            report.parities.append(GpuParity("cuda", "graphs", stage.preset, "bf16", 1e-3, 5e-3))
            if stage.kind == "tensorrt":
                report.skipped.append("TensorRT: it has no libnvinfer")
            found.write_text(json.dumps(report.as_dict()))
        return self.broken.get(stage.name)


@pytest.fixture
def no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)


def test_the_most_telling_comes_first() -> None:
    names = [stage.name for stage in stages(["base", "tiny"], tensorrt=True)]
    assert names == [
        "matmul",
        "cuda, base",
        "tensorrt, base",
        "compiled, base",
        "cuda, tiny",
        "tensorrt, tiny",
    ]
    assert [s.kind for s in stages(["base"], tensorrt=False)] == ["matmul", "cuda", "compiled"]


@pytest.mark.usefixtures("no_tensorrt")
def test_findings_are_gathered_and_what_is_not_installed_is_named(tmp_path: Path) -> None:
    found = Stages()
    report = run(("base", "tiny"), 1e6, tmp_path, found)
    assert report.passed
    assert found.asked[0] == ("matmul", None)
    assert set(found.asked[1:]) == {
        ("cuda, base", 800.0),
        ("compiled, base", 800.0),
        ("cuda, tiny", 800.0),
    }
    assert report.device == "NVIDIA Test"
    assert report.stage_s.keys() == {name for name, _ in found.asked}
    assert report.skipped == ["TensorRT: torch_tensorrt is not installed"]
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written["tensorrt_executed"] is False
    assert len(written["parities"]) == 4


@pytest.mark.usefixtures("no_tensorrt")
@pytest.mark.parametrize("silent", [True, False], ids=["nothing-found", "half-found"])
def test_a_stage_that_breaks_ends_no_other(tmp_path: Path, silent: bool) -> None:
    broke = "it was ended by SIGSEGV\nTraceback\nlast words"
    found = Stages({"matmul": broke, "cuda, base": broke, "compiled, base": broke}, silent)
    report = run(("base", "tiny"), 1e6, tmp_path, found)
    assert len(found.asked) == 4
    assert not report.passed
    assert report.failures == [
        "matmul: it was ended by SIGSEGV: last words",
        "cuda, base: it was ended by SIGSEGV: last words",
    ]
    assert report.skipped[1:] == ["compiled, base: it was ended by SIGSEGV: last words"]
    assert len(report.parities) == (1 if silent else 4)
    assert "Traceback" in (tmp_path / "gpu.md").read_text()


def test_tensorrt_that_cannot_be_imported_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_check, "find_spec", lambda name: name)
    found = Stages()
    report = run(("base", "tiny", "small"), 1e6, tmp_path, found)
    assert [name for name, _ in found.asked if "tensorrt" in name] == ["tensorrt, base"]
    assert report.skipped == ["TensorRT: it has no libnvinfer"]


@pytest.mark.usefixtures("no_tensorrt")
def test_time_that_is_up_is_named(tmp_path: Path) -> None:
    report = run(("tiny",), 0.0, tmp_path, Stages())
    assert report.skipped[1:] == [
        "matmul: the time was up",
        "cuda, tiny: the time was up",
        "compiled, tiny: the time was up",
    ]
    assert not report.passed


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_how_a_process_ended() -> None:
    assert ran(python("print('fine')"), 60) is None
    failed = ran(python("print('so far'); 1 / 0"), 60)
    assert failed is not None
    assert failed.startswith("it ended with status 1\nso far\nTraceback")
    assert failed.strip().endswith("ZeroDivisionError: division by zero")
    crashed = ran(python("import os; os.abort()"), 60)
    assert crashed is not None
    assert crashed.startswith("it was ended by SIGABRT")


def test_a_process_that_hangs_is_ended_with_its_children() -> None:
    """The fixture that every test has finds a child that is left."""
    child = "import subprocess; subprocess.run(['sleep', '60'])"
    began = time.monotonic()
    assert (ran(python(child), 1.0) or "").startswith("it was stopped after 1 s")
    assert time.monotonic() - began < 30


@no_gpu
def test_a_real_stage_breaks_in_words(tmp_path: Path) -> None:
    said = launch(Stage("cuda", "nano", 0, 60), tmp_path / "found.json", 800.0, 100)
    assert said is not None
    assert said.startswith("it ended with status 1")
    assert "NVIDIA" in said.strip().splitlines()[-1] or "CUDA" in said.strip().splitlines()[-1]


def test_presets_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--presets", "huge"])
    assert "there is no preset 'huge': choose of nano" in capsys.readouterr().err


BARE = """
import sys
for name in (
    "openvino", "webrtcvad", "aiortc", "aioice", "av", "fastapi", "httpx", "joblib", "lz4",
    "matplotlib", "mtcnn", "prometheus_client", "psutil", "rich", "standardwebhooks", "uvicorn",
):
    sys.modules[name] = None
import engines.gpu_stage
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
    assert "finds no CUDA device. Nothing was checked and no report was written" in done.stderr
    assert "skipped: matmul, cuda, base, tensorrt, base" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.timeout(500)
def test_the_check_passes_on_a_gpu(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--presets", "nano", "--seconds", "200"]) == 0
