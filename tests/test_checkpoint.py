"""Checkpoint files: what is written is read, and everything else is refused by name."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from checkpoints import (
    FAMILIES,
    TINY,
    TINY_RELEASED,
    TINY_VGG,
    info_of,
    random_tensors,
    write_checkpoint,
)

from vfd.checkpoint import (
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoint_path,
)
from vfd.model_config import PRESETS, ModelConfig


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A valid file whose metadata `change` has altered."""
    metadata = dataclasses.asdict(info_of(TINY))
    change(metadata)
    path.write_bytes(safetensors.numpy.save(random_tensors(TINY), {"vfd": json.dumps(metadata)}))
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "new" / "tiny.safetensors")
    checkpoint = load_checkpoint(path)
    assert checkpoint.info == info_of(TINY)
    assert checkpoint.info.synthetic
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, tensor in random_tensors(TINY).items():
        assert checkpoint.tensors[name].dtype == np.float16
        np.testing.assert_array_equal(checkpoint.tensors[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize("config", FAMILIES, ids=lambda c: c.preset)
def test_every_family_is_written_and_read(tmp_path: Path, config: ModelConfig) -> None:
    path = write_checkpoint(tmp_path / "any.safetensors", config)
    assert load_checkpoint(path).info.config == config
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(CheckpointError, match="is no complete safetensors file"):
        load_checkpoint(path)
    good = random_tensors(config)
    for name in ("face.projection.weight", list(good)[-2]):
        with pytest.raises(CheckpointError, match=f"{name}.*NaN"):
            save_checkpoint(path, info_of(config), good | {name: with_nan(good[name])})


def test_files_from_before_a_field_take_its_default(tmp_path: Path) -> None:
    later = ("family", "activation", "ln_pre", "patch_bias", "face_normalisation")
    path = rewrite(tmp_path / "old.safetensors", lambda m: [m["config"].pop(f) for f in later])
    assert load_checkpoint(path).info.config == TINY


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TINY_RELEASED, "tensor 'face.ln_pre.bias' is missing"),
        (TINY_VGG, "tensor 'face.blocks.0.attention.out.bias' is not part of this model"),
        (PRESETS["nano"], "tensor 'face.blocks.2.attention.out.bias' is missing"),
        (PRESETS["tiny"], "tensor 'face.blocks.10.attention.out.bias' is missing"),
    ],
    ids=lambda value: getattr(value, "preset", ""),
)
def test_weights_of_another_preset_are_refused(
    tmp_path: Path, wrong: ModelConfig, message: str
) -> None:
    config = dataclasses.asdict(wrong)
    path = rewrite(tmp_path / "mislabelled.safetensors", lambda m: m.update(config=config))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_a_config_that_is_not_what_it_is_called_is_refused(tmp_path: Path) -> None:
    message = "config: is called 'base', whose width is 768, not 24"
    path = rewrite(tmp_path / "proud.safetensors", lambda m: m["config"].update(preset="base"))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(path, info_of(dataclasses.replace(TINY, preset="base")), {})


def test_real_data_are_not_called_synthetic() -> None:
    assert not dataclasses.replace(info_of(TINY), trained_on="VoxCeleb2").synthetic


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [write_checkpoint(tmp_path / f"{i}.safetensors").read_bytes() for i in range(5)]
    assert len(set(files)) == 1


def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "tiny.safetensors")
    before = path.read_bytes()
    (tmp_path / ".tiny.safetensors.partial").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"tiny\.safetensors: cannot be written \(No space"):
        write_checkpoint(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_the_shipped_path_is_in_the_package() -> None:
    assert shipped_checkpoint_path().parts[-3:] == ("vfd", "weights", "nano.safetensors")


def test_missing_truncated_and_foreign_files_are_named(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "tiny.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=r"absent\.safetensors: there is no such file"):
        load_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path)
    cut = tmp_path / "cut.safetensors"
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors: is no complete safetensors"):
            load_checkpoint(cut)
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.numpy.save({"a": np.zeros(3)}))
    with pytest.raises(CheckpointError, match="not our checkpoint"):
        load_checkpoint(foreign)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format_version=1), "format_version is 1, this program reads 2"),
        (lambda m: m.pop("format_version"), "no field 'format_version'"),
        (lambda m: m.pop("config"), "config is missing"),
        (lambda m: m.pop("commit"), "metadata: field 'commit' is missing"),
        (lambda m: m.update(extra=1), "metadata: field 'extra' is unknown"),
        (lambda m: m["config"].update(width="24"), "config: field 'width' is '24'"),
        (lambda m: m["config"].update(width=True), "config: field 'width' is True"),
        (lambda m: m["config"].update(width=[24, 24]), r"config: field 'width' is \[24, 24\]"),
        (lambda m: m["config"].update(face_patch=[56]), r"field 'face_patch' is \[56\]"),
        (lambda m: m["config"].update(face_patch=56), "field 'face_patch' is 56"),
        (lambda m: m["config"].update(heads=5), "config: width 24 is no multiple of heads 5"),
        (lambda m: m["config"].update(front_end="mel"), "config: front_end 'mel' is unknown"),
        (lambda m: m["config"].update(ln_pre=1), "config: field 'ln_pre' is 1"),
        (lambda m: m["config"].update(family="cnn"), "config: family 'cnn' is unknown"),
        (lambda m: m["config"].update(blocks=3), "tensor 'face.blocks.2.*' is missing"),
        (lambda m: m["config"].update(blocks=1), "'face.blocks.1.*' is not part of this model"),
        (lambda m: m["config"].update(embedding=9), r"has shape \(10, 24\), not \(9, 24\)"),
        (lambda m: m["calibration"].pop("threshold"), "'threshold' is missing"),
        (lambda m: m["calibration"].update(real_mean=float("nan")), "'real_mean' is nan"),
        (lambda m: m["calibration"].update(real_mean="0.5"), "'real_mean' is '0.5'"),
    ],
)
def test_wrong_metadata_names_the_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = rewrite(tmp_path / "odd.safetensors", change)
    with pytest.raises(CheckpointError, match=message) as error:
        load_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")


def test_metadata_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    for text in ("{", "[]", '"x"', "3"):
        path.write_bytes(safetensors.numpy.save(random_tensors(TINY), {"vfd": text}))
        with pytest.raises(CheckpointError, match="no field 'format_version'"):
            load_checkpoint(path)


def with_nan(tensor: np.ndarray) -> np.ndarray:
    changed = tensor.copy()
    changed.flat[3] = np.nan
    return changed


def test_unfit_tensors_are_named_when_read_and_when_written(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    name = "voice.norm.weight"
    good = random_tensors(TINY)
    metadata = {"vfd": json.dumps(dataclasses.asdict(info_of(TINY)))}
    for bad, message in (
        (with_nan(good[name]), "NaN"),
        (good[name][:-1], r"has shape \(23,\), not \(24,\)"),
    ):
        with pytest.raises(CheckpointError, match=f"{name}.*{message}"):
            save_checkpoint(path, info_of(TINY), good | {name: bad})
        assert not path.exists()
        path.write_bytes(safetensors.numpy.save(good | {name: bad}, metadata))
        with pytest.raises(CheckpointError, match=f"{name}.*{message}"):
            load_checkpoint(path)
        path.unlink()
    path.write_bytes(safetensors.numpy.save(good | {name: good[name].astype("i4")}, metadata))
    with pytest.raises(CheckpointError, match=f"{name}.* I32, not F16 or F32"):
        load_checkpoint(path)
    huge = np.full(24, 1e6, np.float32)  # beyond float16
    with pytest.raises(CheckpointError, match=f"{name}.*infinite"):
        save_checkpoint(tmp_path / "huge.safetensors", info_of(TINY), good | {name: huge})


def test_reading_a_checkpoint_loads_no_torch() -> None:
    code = "import sys, vfd.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
