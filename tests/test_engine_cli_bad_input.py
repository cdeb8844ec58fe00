"""What a user of `vfd-engine` may get wrong: exit code 2 and a line that says what and where,
never a traceback, and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from test_released import Harmful, published, towers
from validation_files import write_samples

from engines import load, openvino_engine
from engines.cli import main
from engines.manifest import MANIFEST_NAME, read_manifest

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny.safetensors")


@pytest.fixture
def built(weights: Path, tmp_path: Path, capsys: Capture) -> Path:
    out = tmp_path / "engine"
    assert main(["build", str(weights), "--out", str(out), "--precision", "f32"]) == 0
    capsys.readouterr()
    return out


def refused(capsys: Capture, *arguments: object) -> str:
    """The message of a command that must fail, without the name of the program."""
    assert main([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("vfd-engine: ")
    return captured.err.removeprefix("vfd-engine: ")


def broken(kind: str, tmp_path: Path) -> Path:
    path = write_checkpoint(tmp_path / f"{kind}.safetensors")
    content = path.read_bytes()
    match kind:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "unknown-front-end":
            path.write_bytes(content.replace(b"stft512", b"stft999"))
        case "mislabelled":  # as long as the true name, so that the header's length still fits
            path.write_bytes(content.replace(b'\\"tiny-test\\"', b'\\"base\\"     '))
        case "wrong-preset":
            path.write_bytes(content.replace(b'\\"width\\": 24', b'\\"width\\": 27'))
        case "nan":
            path.write_bytes(content[:-4] + np.full(2, np.nan, np.float16).tobytes())
        case "missing":
            path.unlink()
        case "text":
            path.write_text("weights")
        case "folder":
            path.unlink()
            path.mkdir()
    return path


BROKEN = {
    "truncated": "is no complete safetensors file",
    "unknown-front-end": "front_end 'stft999' is unknown (known: stft512, mel128)",
    "mislabelled": "is called 'base', whose width is 768, not 24",
    "wrong-preset": "has shape",
    "nan": "holds NaN or infinite values",
    "missing": "there is no such file",
    "text": "is no complete safetensors file",
    "folder": "cannot be read",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", ["info", "verify", "build", "bench"])
def test_bad_checkpoints(kind: str, command: str, tmp_path: Path, capsys: Capture) -> None:
    path = broken(kind, tmp_path)
    out = tmp_path / "engine"
    arguments = {"build": [path, "--out", out], "bench": ["--checkpoint", path]}.get(
        command, [path]
    )
    error = refused(capsys, command, *arguments)
    assert error.startswith(f"{path}: ")
    assert BROKEN[kind] in error
    assert error.count("\n") == 1
    assert not out.exists()


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / MANIFEST_NAME
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(device="NVIDIA L4"), "device is 'NVIDIA L4', this machine and"),
        (lambda m: m["versions"].update(openvino="1999"), "version of openvino is '1999'"),
        (lambda m: m.update(preset="base"), "preset is 'base'"),
        (lambda m: m.update(weights_sha256="00"), "weights_sha256 is '00'"),
        (lambda m: m.update(batches=[1, 2, 2]), "batches is (1, 2, 2)"),
    ],
)
def test_a_folder_that_was_built_for_something_else(
    weights: Path, built: Path, capsys: Capture, edit: Callable[..., object], message: str
) -> None:
    change(built, edit)
    error = refused(capsys, "verify", weights, "--folder", built)
    assert error.startswith(f"{built}: this engine was built for something else: ")
    assert message in error
    assert "build it again: vfd-engine build" in error


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_the_command_that_builds_it_again(
    weights: Path, built: Path, tmp_path: Path, capsys: Capture, precision: str
) -> None:
    """Is one that is understood, and does not change the precision."""
    change(built, lambda m: m.update(preset="base", precision=precision))
    error = refused(capsys, "verify", weights, "--folder", built)
    _, command = error.rstrip().split("build it again: vfd-engine ")
    places = {"CHECKPOINT": weights, "NEW_FOLDER": tmp_path / "new", "FILE": tmp_path / "none.npz"}
    arguments = [places.get(word, word) for word in command.split()]
    if precision == "int8":
        assert "--int8" in arguments
        assert "none.npz: there is no such file" in refused(capsys, *arguments)
    else:
        assert main([str(a) for a in arguments]) == 0
        assert read_manifest(tmp_path / "new").precision == precision


def test_a_folder_has_its_own_precision(weights: Path, built: Path, capsys: Capture) -> None:
    for engine in ("auto", "openvino"):
        arguments = ["--engine", engine, "--folder", built, "--precision", "f32"]
        error = refused(capsys, "verify", weights, *arguments)
        assert "leave out --folder or --precision f32" in error


def test_a_folder_of_another_precision(weights: Path, built: Path, capsys: Capture) -> None:
    change(built, lambda m: m.update(precision="f64"))
    error = refused(capsys, "verify", weights, "--folder", built)
    assert "there is no precision 'f64'" in error


@pytest.mark.parametrize("name", ["voice.bin", "face.bin", "face.xml", MANIFEST_NAME])
def test_a_file_of_half_the_size(weights: Path, built: Path, capsys: Capture, name: str) -> None:
    file = built / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    error = refused(capsys, "verify", weights, "--folder", built)
    assert error.startswith(f"{file}: ")
    assert "build the engine again" in error


def test_a_folder_that_is_no_engine(weights: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "run vfd-engine build" in refused(capsys, "verify", weights, "--folder", tmp_path)
    assert "run vfd-engine build" in refused(
        capsys, "verify", weights, "--folder", tmp_path / "none"
    )


def test_a_folder_for_a_gpu_on_a_machine_without_one(
    weights: Path, built: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "nvidia_driver_visible", lambda: False)
    change(built, lambda m: m.update(engine="tensorrt", device="NVIDIA H200"))
    assert "no NVIDIA driver" in refused(capsys, "verify", weights, "--folder", built)
    change(built, lambda m: m.update(engine="abacus"))
    assert "no engine 'abacus'" in refused(capsys, "verify", weights, "--folder", built)


def test_bf16_where_the_processor_has_none(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_engine, "capabilities", lambda: ["FP32"])
    for arguments in (
        ["verify", weights, "--engine", "openvino"],
        ["build", weights, "--out", tmp_path / "engine"],
    ):
        error = refused(capsys, *arguments, "--precision", "bf16")
        assert "computes FP32 but not BF16: choose f32" in error
    assert not (tmp_path / "engine").exists()


def test_validation_inputs_that_cannot_be_read(
    weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    torn = write_samples(tmp_path / "torn.npz", 2)
    torn.write_bytes(torn.read_bytes()[:1000])
    out = tmp_path / "engine"
    for path, message in (
        (torn, "is no file of validation inputs"),
        (tmp_path / "none.npz", "there is no such file"),
    ):
        for arguments in (["verify", weights], ["build", weights, "--out", out, "--int8"]):
            error = refused(capsys, *arguments, "--validation", path)
            assert error.startswith(f"{path}: {message}")
    assert not out.exists()


def test_places_that_cannot_be_written(weights: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "is not empty" in refused(capsys, "build", weights, "--out", tmp_path)
    assert str(weights) in refused(capsys, "build", weights, "--out", weights / "engine")
    assert str(weights) in refused(capsys, "bench", "--preset", "nano", "--report", weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "--batch", "0"], "must be a whole number from 1 on, not '0'"),
        (["bench", "--batch", "two"], "must be a whole number from 1 on, not 'two'"),
        (["info", "--preset", "huge"], "invalid choice: 'huge'"),
        (["info", "file", "--preset", "base"], "not allowed with argument"),
        (["verify", "--engine", "abacus"], "invalid choice: 'abacus'"),
        (["build", "file"], "--out"),
        ([], "COMMAND"),
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], message: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


# The authors' checkpoints


def theirs(kind: str, tmp_path: Path) -> Path:
    path = tmp_path / f"{kind}.pth"
    content: dict[str, Any] = published(towers())
    match kind:
        case "harmful":
            content["args"] = Harmful(tmp_path / "it-ran")
        case "empty":
            content = {"face_model_state_dict": {}, "voice_model_state_dict": {}}
        case "foreign":
            content = {"model": {}}
    torch.save(content, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("truncated", "is no complete file of torch.save"),
        ("harmful", "refused, to read it would run code of its own"),
        ("empty", "key 'class_embedding' is missing"),
        ("foreign", "'face_model_state_dict' is missing"),
        ("other-size", "has shape (128,), not (768,)"),
    ],
)
def test_files_that_are_not_the_authors(
    kind: str, message: str, tmp_path: Path, capsys: Capture
) -> None:
    path, out = theirs(kind, tmp_path), tmp_path / "ours.safetensors"
    error = refused(capsys, "import-released", path, "--out", out)
    assert error.startswith(f"{path}: ")
    assert message in error
    assert "Traceback" not in error
    assert not out.exists()
    assert not (tmp_path / "it-ran").exists()


def test_half_of_the_authors_files(tmp_path: Path, capsys: Capture) -> None:
    path = theirs("whole", tmp_path)
    error = refused(capsys, "import-released", "--face", path, "--out", tmp_path / "ours")
    assert "both a face and a voice file" in error
