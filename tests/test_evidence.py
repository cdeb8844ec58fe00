"""Which windows and crops are embedded, and that the vectors are the model's own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import shards
from tests.checkpoints import write_checkpoint
from training.clips import Clip, Split
from training.evidence import gather
from training.shard_set import open_split
from vfd.model import VfdModel
from vfd.spectrogram import stft512


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VfdModel:
    path = write_checkpoint(tmp_path_factory.mktemp("weights") / "random.safetensors")
    return VfdModel.from_checkpoint(path).eval()


def test_windows_are_a_hop_apart_and_short_clips_repeat(
    tmp_path: Path, model: VfdModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {0: 1.5, 1: 5.2}

    def noise(number: int, variant: int) -> np.ndarray:  # type: ignore[type-arg]
        rng = np.random.default_rng((number, variant))
        samples = round(16_000 * seconds[number])
        return (0.1 * rng.standard_normal(samples)).astype(np.float32)

    monkeypatch.setattr(shards, "tone", noise)
    clips = [Clip("set", str(k), f"id{k}") for k in range(2)]
    shards.written(tmp_path, clips, Split.TEST, ("recorded", "call"))
    prepared = open_split(shards.finished(tmp_path), Split.TEST)
    found = gather(model, prepared, "call", windows=9, crops=1)
    prepared.close()
    assert found.voice_clip.tolist() == [0, 1, 1, 1]
    assert found.end_s.tolist() == [3, 3, 4, 5]
    assert found.face_clip.tolist() == [0, 1]
    assert found.crop.tolist() == [0, 0]
    np.testing.assert_allclose(np.linalg.norm(found.voice, axis=1), 1, atol=1e-4)
    few = gather(model, prepared, "call", windows=2, crops=9)
    prepared.close()
    assert few.end_s.tolist() == [3, 3, 4]
    assert few.crop.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(few.voice, found.voice[:3], atol=1e-5)


def test_vectors_are_those_of_the_named_variant(tmp_path: Path, model: VfdModel) -> None:
    shards.written(tmp_path, 2, Split.TEST, ("recorded", "call"))
    prepared = open_split(shards.finished(tmp_path), Split.TEST)
    found = gather(model, prepared, "call", windows=1, crops=2)
    audio = np.resize(prepared.audio(1, 1).astype(np.float32) / 32_768, 48_000)
    with torch.inference_mode():
        voice = model.embed_voice(torch.from_numpy(stft512(audio)[None]))
        face = model.embed_faces(torch.from_numpy(prepared.crop(1, 1, 1)[None]))
    prepared.close()
    np.testing.assert_allclose(found.voice[1], voice[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(found.face[3], face[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(found.colour[3], prepared.crop(1, 1, 1).mean(axis=(0, 1)) / 255)
