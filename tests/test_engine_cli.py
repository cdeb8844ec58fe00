"""`vfd-engine` as it is called: answers, JSON, exit codes."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from checkpoints import TINY, random_tensors, write_checkpoint
from test_released import SMALL, published, towers

from engines import info
from engines.cli import main
from vfd.released import import_released


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
    monkeypatch.setattr(info, "find_spec", lambda _name: object())
    assert "if TensorRT's libraries load" in info.usable_engines(TINY)["tensorrt"]


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


def test_a_command_without_a_checkpoint_is_about_the_shipped_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["info"]) == 0
    assert "preset            nano" in capsys.readouterr().out
    assert main(["verify", "--engine", "openvino"]) == 0
    assert "openvino, nano, f32: 8 voices and 8 faces" in capsys.readouterr().out


@pytest.mark.parametrize("files", ["one", "two"])
def test_import_released_writes_a_checkpoint_that_runs(
    tmp_path: Path, files: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vfd.released.import_released", partial(import_released, config=SMALL))
    content = published(towers())
    sources = [tmp_path / "both.pth"]
    if files == "one":
        torch.save(content, sources[0])
        arguments = [str(sources[0])]
    else:
        arguments = []
        for tower in ("face", "voice"):
            torch.save(content[f"{tower}_model_state_dict"], tmp_path / f"{tower}.pth")
            arguments += [f"--{tower}", str(tmp_path / f"{tower}.pth")]
    out = tmp_path / "released.safetensors"
    assert main(["import-released", *arguments, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    for note in (f"wrote {out}", "verdicts stay unknown", "no licence", "alignment is not theirs"):
        assert note in told
    assert main(["info", str(out)]) == 0
    assert "calibration       none: verdicts stay unknown" in capsys.readouterr().out
    assert main(["info", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibration"] is None
    arguments = ["verify", str(out), "--engine", "openvino", "--precision", "f32"]
    assert main(arguments) == 0


def test_the_module_runs_as_a_command(weights: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines.cli", "info", str(weights)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "preset            tiny-test" in done.stdout
