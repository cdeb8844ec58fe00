"""A model small enough to learn a few people by heart in seconds."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from training import pretrain as module
from training.batches import Batch, batches
from training.network import PretrainModel
from training.prepare import Amounts, Split, prepare
from training.pretrain import Origin, Recipe, Trainer, pretrain, schedule
from training.shards import PreparedPeople
from vfd.checkpoint import load_checkpoint
from vfd.model import VfdModel
from vfd.model_config import ModelConfig

SMALL = ModelConfig("small-test", 24, 2, 2, 24, (56, 56), (128, 60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("people")
    prepare(out, Amounts(4, 2, 1, faces=1, voices=1, clip_s=3.1), seed=1, workers=1)
    return out


def batch(folder: Path) -> Batch:
    people = PreparedPeople(folder, Split.TRAIN)
    return next(batches(people, 4, np.random.default_rng(0)))


def test_a_batch_holds_whole_people(folder: Path) -> None:
    drawn = batch(folder)
    assert drawn.voices.shape == (4, 1, 512, 300)
    assert drawn.faces.shape == (8, 3, 224, 224)
    assert drawn.faces.abs().max() <= 1
    assert sorted(drawn.identity.tolist()) == [0, 1, 2, 3]
    assert drawn.voice_traits.shape == drawn.face_traits.shape == (4, 7)


def test_too_few_people_for_a_batch_are_an_error(folder: Path) -> None:
    people = PreparedPeople(folder, Split.TRAIN)
    with pytest.raises(ValueError, match="4 identities do not fill a batch of 64"):
        next(batches(people, 64, np.random.default_rng(0)))


def test_a_few_people_are_learned_by_heart(folder: Path) -> None:
    torch.manual_seed(1)
    recipe = Recipe(steps=30, seed=1, batch=4, warm_up_steps=3, keep_voice=1.0, keep_face=1.0)
    drawn = batch(folder)
    with closing(Trainer(PretrainModel(SMALL, identities=4), recipe)) as trainer:
        parts = [trainer.step(drawn, number) for number in range(1, 31)]
    for name, first in parts[0].items():
        assert parts[-1][name] < 0.7 * first, name


def test_the_learning_rate_warms_up_and_fades() -> None:
    recipe = Recipe(steps=100, seed=0, warm_up_steps=10)
    rates = [schedule(step, recipe) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[9:] == sorted(rates[9:], reverse=True)


def test_training_writes_a_checkpoint_that_embeds_alike_and_repeats(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRESETS", {"small": SMALL})
    recipe = Recipe(steps=4, seed=5, preset="small", batch=4, warm_up_steps=1, validate_every=2)
    origin = Origin("vfd-train pretrain --seed 5", "abc1234")
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in paths:
        assert 0 <= pretrain(folder, path, recipe, origin) <= 1
    first, second = (load_checkpoint(path) for path in paths)
    assert first.sha256 == second.sha256
    assert first.info.synthetic
    assert first.info.command == origin.command
    assert first.info.calibration.fake_mean != 0
    crops = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    vectors = VfdModel.from_checkpoint(paths[0]).embed_faces(crops)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
