"""A second start finds the compiled model; nothing that is wrong with the cache stops a start."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_checkpoint

from engines import openvino_cache, openvino_engine
from engines.build import Order, build
from engines.engine import EngineError
from engines.openvino_engine import OpenVinoEngine, chosen_precision
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.model_config import PRESETS

CROPS = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_checkpoint(tmp_path / "tiny.safetensors"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vfd-monitor" / "openvino"


def faces(checkpoint: Checkpoint) -> np.ndarray:
    return OpenVinoEngine(checkpoint).embed_faces(CROPS)


def test_a_second_start_builds_no_graph(
    checkpoint: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = faces(checkpoint)
    [folder] = cache.iterdir()
    assert len(list(folder.glob("*.blob"))) == 2
    monkeypatch.setattr(openvino_engine, "tower_graphs", None)
    np.testing.assert_allclose(faces(checkpoint), first, atol=1e-6)


def test_other_weights_have_another_folder(
    checkpoint: Checkpoint, cache: Path, tmp_path: Path
) -> None:
    other = load_checkpoint(write_checkpoint(tmp_path / "other.safetensors", seed=1))
    assert np.abs(faces(checkpoint) - faces(other)).max() > 0.01
    assert len(list(cache.iterdir())) == 2


def test_old_models_are_removed(checkpoint: Checkpoint, cache: Path) -> None:
    for age in range(openvino_cache.MAX_MODELS + 2):
        (cache / f"old-{age}").mkdir(parents=True)
        os.utime(cache / f"old-{age}", (1e9 - age, 1e9 - age))
    faces(checkpoint)
    left = {f.name for f in cache.iterdir()}
    assert len(left) == openvino_cache.MAX_MODELS
    assert "old-0" in left
    assert "old-7" not in left


def from_cache(engine: OpenVinoEngine) -> list[bool]:
    requests = (engine._voice, engine._faces)
    return [r.get_compiled_model().get_property("LOADED_FROM_CACHE") for r in requests if r]


def test_a_second_start_of_a_built_folder_compiles_nothing(
    checkpoint: Checkpoint, cache: Path, tmp_path: Path
) -> None:
    built = tmp_path / "engine"
    assert build(checkpoint, built, Order(precision="f32")).passed
    assert not list(cache.iterdir())  # of the place where it was built
    first = OpenVinoEngine.from_folder(checkpoint, built)
    assert from_cache(first) == [False, False]
    second = OpenVinoEngine.from_folder(checkpoint, built)
    assert from_cache(second) == [True, True]
    np.testing.assert_array_equal(second.embed_faces(CROPS), first.embed_faces(CROPS))
    [folder] = cache.iterdir()
    assert len(list(folder.iterdir())) == 2
    for blob in folder.iterdir():
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:1000])
    third = OpenVinoEngine.from_folder(checkpoint, built)
    np.testing.assert_array_equal(third.embed_faces(CROPS), first.embed_faces(CROPS))


def test_a_built_folder_starts_without_a_cache(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []  # a kept log record would hold on to the files of the engine
    monkeypatch.setattr(openvino_cache.logger, "warning", lambda text, *_: told.append(text))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert build(checkpoint, tmp_path / "engine", Order(precision="f32")).passed
    assert "the model cache cannot be used" in told[0]


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nothing"])
def test_a_cache_that_cannot_be_written_is_logged_and_ignored(
    checkpoint: Checkpoint,
    home: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    assert faces(checkpoint).shape == (2, 10)
    assert "the model cache cannot be used" in caplog.text
    assert all(r.levelno == logging.WARNING for r in caplog.records)


@pytest.mark.parametrize("pattern", ["face.bin", "face.xml", "*.blob"])
def test_a_torn_cache_is_no_obstacle(checkpoint: Checkpoint, cache: Path, pattern: str) -> None:
    first = faces(checkpoint)
    [folder] = cache.iterdir()
    for file in folder.glob(pattern):
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    np.testing.assert_allclose(faces(checkpoint), first, atol=1e-6)


@pytest.mark.parametrize(
    ("processor", "asked", "preset", "expected"),
    [
        (["FP32", "BF16"], "auto", "nano", "f32"),
        (["FP32", "BF16"], "auto", "tiny", "bf16"),
        (["FP32", "INT8"], "auto", "base", "f32"),
        (["FP32", "BF16"], "f32", "base", "f32"),
        (["FP32", "BF16"], "bf16", "nano", "bf16"),
    ],
)
def test_the_processor_decides_the_precision(
    monkeypatch: pytest.MonkeyPatch, processor: list[str], asked: str, preset: str, expected: str
) -> None:
    monkeypatch.setattr(openvino_engine, "capabilities", lambda: processor)
    assert chosen_precision(asked, PRESETS[preset]) == expected


def test_bf16_without_hardware_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "capabilities", lambda: ["FP32", "INT8"])
    with pytest.raises(EngineError, match="FP32, INT8 but not BF16: choose f32"):
        chosen_precision("bf16", PRESETS["base"])
