"""The authors' checkpoints: converted exactly, or refused by the name of what does not fit."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released_oracle import OracleTower, face_input

from vfd.checkpoint import CheckpointError, CheckpointInfo, load_checkpoint
from vfd.mel import mel128
from vfd.model import VfdModel
from vfd.model_config import PRESETS, ModelConfig
from vfd.released import convert, import_released

SMALL = dataclasses.replace(
    PRESETS["released"], preset="small-released", width=128, heads=2, blocks=2, embedding=24
)
ORIGIN = {"command": "vfd-engine import-released", "commit": "0123abc"}


def towers(width: int = 128, blocks: int = 2, out: int = 24) -> dict[str, OracleTower]:
    torch.manual_seed(4)
    return {
        "face": OracleTower(3, 50, width, blocks, out).eval(),
        "voice": OracleTower(1, 33, width, blocks, out).eval(),
    }


def published(oracles: dict[str, OracleTower]) -> dict[str, dict[str, Any]]:
    """What DataParallel makes of their state dicts."""
    return {
        f"{tower}_model_state_dict": {f"module.{k}": v for k, v in oracle.state_dict().items()}
        for tower, oracle in oracles.items()
    }


def written(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def imported(out: Path, **sources: Path) -> CheckpointInfo:
    return import_released(out, **sources, **ORIGIN, config=SMALL)


def inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(6)
    audio = (0.1 * rng.standard_normal((rows, 48_000))).astype(np.float32)
    voices = torch.from_numpy(np.stack([mel128(a) for a in audio]))
    return voices, torch.from_numpy(rng.integers(0, 256, (rows, 224, 224, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("config", "sizes"), [(SMALL, (128, 2, 24)), (PRESETS["released"], (768, 12, 512))]
)
@torch.inference_mode()
def test_the_model_is_the_published_one(config: ModelConfig, sizes: tuple[int, int, int]) -> None:
    oracles = towers(*sizes)
    tensors: dict[str, np.ndarray] = {}
    for key, state in published(oracles).items():
        tensors |= convert(Path("published.pth"), key.split("_")[0], state, config)
    model = VfdModel(config).eval()
    model.load_state_dict({name: torch.tensor(t) for name, t in tensors.items()})
    voices, crops = inputs(2)
    for tower, ours, theirs in (
        ("voice", model.embed_voice(voices), oracles["voice"](voices)),
        ("face", model.embed_faces(crops), oracles["face"](face_input(crops))),
    ):
        difference = (ours - theirs).abs()
        print(f"{sizes} {tower}: max {difference.max():.1e} mean {difference.mean():.1e}")
        assert difference.max() < 1e-5
        assert (theirs[0] - theirs[1]).abs().max() > 1e-3  # the rows do differ


def optimiser_state() -> dict[str, Any]:
    """Of an AdamW that has made a step."""
    oracle = towers()["face"]
    optimiser = torch.optim.AdamW(oracle.parameters())
    oracle(torch.ones(1, 3, 224, 224)).sum().backward()
    optimiser.step()
    return optimiser.state_dict()


def test_one_file_or_two_and_what_half_precision_costs(tmp_path: Path) -> None:
    oracles = towers()
    content = published(oracles)
    whole = content | {"optimizer_state_dict": optimiser_state(), "epoch": 3}
    one, two, bare = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "bare"))
    info = imported(one, checkpoint=written(tmp_path / "both.pth", whole))
    halves = {
        tower: written(tmp_path / f"{tower}.pth", {key: content[key]})
        for tower in oracles
        for key in [f"{tower}_model_state_dict"]
    }
    imported(two, **halves)
    plain = {t: written(tmp_path / f"{t}.pt", oracles[t].state_dict()) for t in oracles}
    imported(bare, **plain)
    loaded = load_checkpoint(one)
    assert loaded.info == info
    assert info.trained_on == "what the authors' published both.pth was trained on"
    assert not info.synthetic
    for other in (two, bare):
        for name, tensor in load_checkpoint(other).tensors.items():
            np.testing.assert_array_equal(tensor, loaded.tensors[name])
    voices, crops = inputs(2)
    model = VfdModel.of_checkpoint(loaded)
    with torch.inference_mode():
        voice_cosine = (model.embed_voice(voices) * oracles["voice"](voices)).sum(1)
        face_cosine = (model.embed_faces(crops) * oracles["face"](face_input(crops))).sum(1)
    assert min(voice_cosine.min(), face_cosine.min()) > 1 - 1e-5


def test_every_key_that_does_not_fit_is_named(tmp_path: Path) -> None:
    content = published(towers())
    voice = content["voice_model_state_dict"]
    del voice["module.transformer.resblocks.1.attn.in_proj_bias"]
    voice["module.logit_scale"] = torch.tensor(1.0)
    voice["module.proj"] = voice["module.proj"].T
    voice["module.ln_post.bias"] = torch.zeros(128, dtype=torch.int64)
    voice["module.ln_pre.bias"] = torch.full((128,), float("nan"))
    path = written(tmp_path / "odd.pth", content)
    with pytest.raises(CheckpointError) as error:
        imported(tmp_path / "out.safetensors", checkpoint=path)
    message = str(error.value)
    assert message.startswith(f"{path}: the voice tower is not the published one, 5 keys")
    for line in (
        "key 'transformer.resblocks.1.attn.in_proj_bias' is missing",
        "key 'module.logit_scale' is unexpected",
        "key 'module.proj' has shape (24, 128), not (128, 24)",
        "key 'module.ln_post.bias' holds no floating-point tensor",
        "key 'module.ln_pre.bias' holds NaN or infinite values",
    ):
        assert f"\n  {line}" in message
    assert not (tmp_path / "out.safetensors").exists()


def test_keys_of_both_towers_are_named(tmp_path: Path) -> None:
    content = published(towers())
    paths = {}
    for tower in ("face", "voice"):
        state = content[f"{tower}_model_state_dict"]
        del state["module.proj"]
        paths[tower] = written(tmp_path / f"{tower}.pth", {f"{tower}_model_state_dict": state})
    with pytest.raises(CheckpointError) as error:
        imported(tmp_path / "out.safetensors", **paths)
    assert str(error.value).split("\n") == [
        line
        for tower in ("face", "voice")
        for line in (
            f"{paths[tower]}: the {tower} tower is not the published one, 1 keys do not fit:",
            "  key 'proj' is missing",
        )
    ]


def test_a_key_that_is_there_twice_is_named(tmp_path: Path) -> None:
    content = published(towers())
    content["face_model_state_dict"]["proj"] = torch.zeros(128, 24)
    path = written(tmp_path / "twice.pth", content)
    with pytest.raises(CheckpointError, match=r"key 'proj' means the same as 'module\.proj'"):
        imported(tmp_path / "out.safetensors", checkpoint=path)


def test_towers_that_are_swapped_are_noticed(tmp_path: Path) -> None:
    paths = {t: written(tmp_path / f"{t}.pt", o.state_dict()) for t, o in towers().items()}
    with pytest.raises(CheckpointError, match=r"'conv1.weight' has shape \(128, 1, 32, 32\), not"):
        imported(tmp_path / "out.safetensors", face=paths["voice"], voice=paths["face"])


class Harmful:
    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "it-ran"
    content = published(towers()) | {"args": Harmful(trace)}
    torch.save(content, tmp_path / "bad.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"bad\.pth: refused.*run code.*mkdir"):
        imported(tmp_path / "out.safetensors", checkpoint=tmp_path / "bad.pth")
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_torn_files_are_named(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "torn.pth"
    torch.save(published(towers()), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for size in (0, 1, 20, 1_000, 5_000, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"torn\.pth: is no complete file of torch.save"):
            imported(tmp_path / "out.safetensors", checkpoint=path)


def test_missing_and_other_files_are_named(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match=r"absent\.pth: there is no such file"):
        imported(out, checkpoint=tmp_path / "absent.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        imported(out, checkpoint=tmp_path)
    other = written(tmp_path / "other.pth", {"model": {"a": torch.zeros(1)}, "epoch": 3})
    with pytest.raises(CheckpointError, match=r"'face_model_state_dict' is missing.*'model', 'ep"):
        imported(out, checkpoint=other)
    alone = written(tmp_path / "list.pth", [1, 2])
    with pytest.raises(CheckpointError, match=r"is missing \(the file holds: list\)"):
        imported(out, checkpoint=alone)
    for sources in ({}, {"face": other}, {"checkpoint": other, "voice": other}):
        with pytest.raises(CheckpointError, match="one checkpoint with both towers, or both"):
            imported(out, **sources)
