"""Which engine is chosen, what is said about the others, and what a monitor never loads."""

import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from checkpoints import write_checkpoint

from engines import load
from engines.engine import EngineError
from engines.load import load_engine
from engines.manifest import Manifest, write_manifest
from engines.openvino_engine import OpenVinoEngine
from engines.torch_engine import TorchEngine
from vfd.checkpoint import Checkpoint, load_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "nvidia_driver_visible", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_auto_is_openvino_without_a_gpu_and_says_why(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "engines")
    with closing(load_engine("auto", checkpoint)) as engine:
        assert isinstance(engine, OpenVinoEngine)
    assert [r.getMessage() for r in caplog.records] == [
        "engine tensorrt is passed over: no NVIDIA driver is visible on this machine",
        "engine cuda is passed over: no NVIDIA driver is visible on this machine",
        "engine openvino runs the model",
    ]


@pytest.mark.usefixtures("no_gpu")
def test_auto_goes_on_to_torch_and_then_says_why_nothing_runs(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_wish: object) -> None:
        raise EngineError("not today")

    monkeypatch.setitem(load._LOADERS, "openvino", refuse)
    assert isinstance(load_engine("auto", checkpoint), TorchEngine)
    monkeypatch.setitem(load._LOADERS, "torch", refuse)
    with pytest.raises(EngineError, match=r"no engine runs here: .*openvino: not today; torch: "):
        load_engine("auto", checkpoint)


def test_unknown_names_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="no engine 'tpu': choose one of auto, tensorrt, cuda,"):
        load_engine("tpu", checkpoint)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["tensorrt", "cuda"])
def test_gpu_engines_need_a_driver(checkpoint: Checkpoint, name: str) -> None:
    with pytest.raises(EngineError, match="no NVIDIA driver is visible"):
        load_engine(name, checkpoint)


def test_tensorrt_needs_a_folder(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "nvidia_driver_visible", lambda: True)
    with pytest.raises(EngineError, match="run vfd-engine build --engine tensorrt"):
        load_engine("tensorrt", checkpoint)


def test_precisions_that_do_not_run_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="f32, not in 'bf16'"):
        load_engine("torch", checkpoint, precision="bf16")
    with pytest.raises(EngineError, match="no precision 'f64': choose one of auto, f32, bf16"):
        load_engine("openvino", checkpoint, precision="f64")


def test_a_folder_for_another_engine_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = built_for(tmp_path, "tensorrt", checkpoint.sha256)
    with pytest.raises(EngineError, match="for the engine 'tensorrt', not for 'openvino'"):
        load_engine("openvino", checkpoint, folder=folder)


@pytest.mark.usefixtures("no_gpu")
def test_auto_passes_over_a_folder_that_does_not_fit(
    checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = built_for(tmp_path, "openvino", "00" * 32)
    with closing(load_engine("auto", checkpoint, folder=folder)) as engine:
        assert isinstance(engine, OpenVinoEngine)
    [warning] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "weights_sha256" in warning
    assert "vfd-engine build" in warning
    with pytest.raises(EngineError, match="weights_sha256"):
        load_engine("openvino", checkpoint, folder=folder)


def test_an_empty_folder_says_what_to_run(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="run vfd-engine build"):
        load_engine("openvino", checkpoint, folder=tmp_path)


def built_for(tmp_path: Path, engine: str, sha256: str) -> Path:
    folder = tmp_path / "built"
    folder.mkdir()
    manifest = Manifest(
        engine, "tiny-test", "f32", sha256, {"openvino": "2025"}, "CPU", (1, 8, 8), {}
    )
    write_manifest(folder, manifest)
    return folder


def test_choosing_an_engine_on_a_machine_without_a_gpu_loads_no_torch(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors")
    code = (
        "import sys; from pathlib import Path; from engines import load; "
        "from vfd.checkpoint import load_checkpoint; "
        "load.nvidia_driver_visible = lambda: False; "
        "load.load_engine('auto', load_checkpoint(Path(sys.argv[1]))).close(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
