"""`vfd-engine` as it is called: answers, JSON, exit codes, one line for what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import TINY, random_tensors, write_checkpoint

from engines import info
from engines.cli import main


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny.safetensors")


def test_info_about_a_checkpoint(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(weights), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["preset"] == "tiny-test"
    assert described["parameters"]["total"] == sum(t.size for t in random_tensors(TINY).values())
    assert described["gflop_per_window"] > 0
    assert described["calibration"]["threshold"] == pytest.approx(0.2)
    assert described["trained_on"] == "synthetic people v1"
    assert list(described["engines"]) == ["tensorrt", "cuda", "openvino", "torch"]
    assert described["engines"]["openvino"].startswith("usable")


def test_info_about_a_preset_says_what_tensorrt_has_not_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(info, "GPU_REPORT", tmp_path / "gpu.json")
    assert main(["info", "--preset", "base"]) == 0
    text = capsys.readouterr().out
    assert "172.3 M" in text
    assert "lowered and checked, not executed" in text
    (tmp_path / "gpu.json").write_text('{"tensorrt_executed": false}')
    assert info.tensorrt_status() == info.NOT_EXECUTED
    (tmp_path / "gpu.json").write_text('{"tensorrt_executed": true}')
    assert info.tensorrt_status() == "executed, see gpu.json"


def test_engines_that_cannot_run_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "nvidia_driver_visible", lambda: False)
    monkeypatch.setattr(info, "find_spec", lambda _name: None)
    assert info.usable_engines(TINY) | {"openvino": ""} == {
        "tensorrt": "no NVIDIA driver is visible",
        "cuda": "no NVIDIA driver is visible",
        "openvino": "",
        "torch": "torch is not installed: install vfd-monitor[training]",
    }
    monkeypatch.setattr(info, "nvidia_driver_visible", lambda: True)
    assert "vfd-monitor[tensorrt]" in info.usable_engines(TINY)["tensorrt"]


def test_verify_passes_and_prints_the_differences(
    weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["verify", str(weights), "--engine", "openvino", "--precision", "f32"]
    assert main(arguments) == 0
    assert "cosine difference: max" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_build_then_verify_the_folder(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "engine"
    assert main(["build", str(weights), "--out", str(out), "--precision", "f32", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["engine"] == "openvino"
    assert f"wrote {out}" in captured.err
    assert main(["verify", str(weights), "--folder", str(out)]) == 0


def test_a_failed_proof_is_exit_code_1(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engines.verify.COSINE_LIMITS", {"f32": -1.0})
    assert main(["verify", str(weights), "--engine", "openvino", "--precision", "f32"]) == 1
    assert "FAILED: a cosine difference of" in capsys.readouterr().out


def test_import_released_refuses_a_file_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs.pt"
    torch.save({"face_model_state_dict": {}, "voice_model_state_dict": {}}, theirs)
    out = tmp_path / "ours.safetensors"
    assert main(["import-released", str(theirs), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("vfd-engine: ")
    assert "Traceback" not in error
    assert not out.exists()


def broken(kind: str, tmp_path: Path) -> Path:
    path = write_checkpoint(tmp_path / f"{kind}.safetensors")
    content = path.read_bytes()
    match kind:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "mislabelled":
            path.write_bytes(content.replace(b"stft512", b"stft999"))
        case "wrong-preset":
            path.write_bytes(content.replace(b'\\"width\\": 24', b'\\"width\\": 27'))
        case "nan":
            values = np.frombuffer(content[-4:], np.float16)
            path.write_bytes(content[:-4] + np.full_like(values, np.nan).tobytes())
        case "missing":
            path.unlink()
        case "text":
            path.write_text("weights")
        case "folder":
            path.unlink()
            path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind", ["truncated", "mislabelled", "wrong-preset", "nan", "missing", "text", "folder"]
)
@pytest.mark.parametrize("command", ["info", "verify", "build"])
def test_bad_checkpoints_are_one_line_and_exit_code_2(
    kind: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = broken(kind, tmp_path)
    extra = ["--out", str(tmp_path / "engine")] if command == "build" else []
    assert main([command, str(path), *extra]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vfd-engine: {path}: ")
    assert error.count("\n") == 1


def test_a_folder_that_is_no_engine_is_exit_code_2(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(weights), "--folder", str(tmp_path)]) == 2
    assert "run vfd-engine build" in capsys.readouterr().err


def test_the_module_runs_as_a_command(weights: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines.cli", "info", str(weights)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "preset            tiny-test" in done.stdout
