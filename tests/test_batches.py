import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from tests.toy_clips import ToyClips, recipe
from training.batches import Batch, Batches, few, load
from training.recipe import AugmentRecipe, DataRecipe, LossRecipe, OptimiserRecipe, Recipe

FINE_TUNING = recipe(
    loss=LossRecipe("real-fake", negatives=3), optimiser=OptimiserRecipe(steps=9, batch=4)
)


def tensors(batch: Batch) -> dict[str, Any]:
    return {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}


def same(first: Batch, second: Batch) -> bool:
    pairs = zip(tensors(first).values(), tensors(second).values(), strict=True)
    return all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in pairs)


def augmented(plain: Recipe) -> Recipe:
    everything = AugmentRecipe(0.5, 0.5, 0.5, 0.5, 6, 0.1, 0.5)
    return dataclasses.replace(plain, augment=everything)


def test_a_batch_of_pretraining_shows_each_identity_once_with_faces_in_blocks() -> None:
    batches = Batches(ToyClips(6, each=2), recipe(data=DataRecipe("toys", faces_each=2)))
    batch = batches[1]
    assert batch.voices.shape == (4, 1, 512, 300)
    assert batch.faces.shape == (8, 224, 224, 3)
    assert batch.faces.dtype == torch.uint8
    assert len(set(batch.voice_identity.tolist())) == 4
    assert batch.face_identity.tolist() == 2 * batch.voice_identity.tolist()
    torch.testing.assert_close(batch.face_traits[:4], batch.voice_traits)


def test_every_identity_comes_once_an_epoch() -> None:
    batches = Batches(ToyClips(8), recipe())
    for epoch in (0, 1):
        seen = [batches[1 + 2 * epoch + k].voice_identity.tolist() for k in (0, 1)]
        assert sorted(seen[0] + seen[1]) == list(range(8))


@pytest.mark.parametrize("plain", [recipe(), FINE_TUNING])
def test_a_batch_depends_on_recipe_and_step_alone(plain: Recipe) -> None:
    clips = ToyClips(8, each=2, fakes=2)
    first, second = (Batches(clips, augmented(plain)) for _ in range(2))
    first[1]
    assert same(first[7], second[7])
    assert not same(first[7], first[8])
    other_seed = dataclasses.replace(plain, run=dataclasses.replace(plain.run, seed=2))
    assert not same(first[7], Batches(clips, augmented(other_seed))[7])


@pytest.mark.parametrize("plain", [recipe(data=DataRecipe("toys", faces_each=2)), FINE_TUNING])
def test_two_processes_share_the_batch_of_one(plain: Recipe) -> None:
    clips, changed = ToyClips(8, each=2, fakes=2), augmented(plain)
    whole = tensors(Batches(clips, changed)[3])
    parts = [tensors(Batches(clips, changed, part, 2)[3]) for part in (0, 1)]
    assert [part["reals"] for part in parts] == [2, 2]
    for name in whole.keys() - {"reals"}:
        blocks = [torch.split(part[name], 2) for part in parts]
        joined = torch.cat([b for pair in zip(*blocks, strict=True) for b in pair])
        assert torch.equal(joined, whole[name]), name


def test_a_batch_of_fine_tuning_has_reals_and_then_q_fakes_of_each() -> None:
    clips = ToyClips(4, each=1, fakes=2)
    related = dataclasses.replace(FINE_TUNING, data=DataRecipe("toys", fakes_of="source"))
    batch = Batches(clips, related)[1]
    assert batch.reals == 4
    assert len(batch.voices) == len(batch.faces) == 4 * (1 + 3)
    own = batch.face_identity[:4]
    assert all(torch.equal(own, block) for block in torch.split(batch.face_identity, 4))
    any_fake = Batches(clips, FINE_TUNING)[1]
    assert not torch.equal(any_fake.face_identity[4:8], any_fake.face_identity[:4])


def test_few_real_clips_keep_the_fakes_made_of_them() -> None:
    clips = ToyClips(10, each=1, fakes=3)
    some = dataclasses.replace(FINE_TUNING, data=DataRecipe("toys", real_clips=4))
    real, fake = few(clips, some)
    assert len(real) == 4
    assert len(fake) == 12
    assert set(clips.source[fake]) == set(clips.source[real])
    many = dataclasses.replace(FINE_TUNING, data=DataRecipe("toys", real_clips=11))
    with pytest.raises(ValueError, match=r"data.real_clips: 11 wanted, the training split has 10"):
        few(clips, many)


def test_a_cloned_voice_with_the_genuine_face_is_no_negative_of_info_nce() -> None:
    """Its face would be pushed away from the voice of the one whose it is."""
    clips = ToyClips(4, fakes=2, cloned_voices=1)  # one of the two fakes of each person
    _, fake = few(clips, FINE_TUNING)
    assert len(fake) == 8
    compared = dataclasses.replace(FINE_TUNING, loss=LossRecipe("info-nce", negatives=3))
    _, fake = few(clips, compared)
    assert fake.tolist() == [8, 9, 10, 11]
    with pytest.raises(ValueError, match="training split has none for its reals"):
        few(ToyClips(4, fakes=1, cloned_voices=1), compared)


def test_variants_are_read_as_often_as_the_recipe_says() -> None:
    plain = recipe(optimiser=OptimiserRecipe(steps=1, batch=40))
    clips = ToyClips(40)
    recorded = Batches(clips, plain)[1].faces
    half = dataclasses.replace(plain, augment=AugmentRecipe(variant=0.5))
    changed = (Batches(clips, half)[1].faces != recorded).flatten(1).any(dim=1)
    assert 8 < int(changed.sum()) < 32


def test_too_few_people_fakes_or_traits_are_errors() -> None:
    with pytest.raises(ValueError, match="3 identities do not fill a batch of 4"):
        Batches(ToyClips(3, each=9), recipe())
    with pytest.raises(ValueError, match="3 real clips do not fill a batch of 4"):
        Batches(ToyClips(3, fakes=2), FINE_TUNING)
    with pytest.raises(ValueError, match="has none for its reals"):
        Batches(ToyClips(8), FINE_TUNING)
    with pytest.raises(ValueError, match="no traits"):
        Batches(ToyClips(8, known_traits=False), recipe(loss=LossRecipe(trait_weight=1.0)))
    with pytest.raises(ValueError, match="4 does not divide among 3 processes"):
        Batches(ToyClips(8), recipe(), 0, 3)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_come_in_order_read_ahead_or_not(workers: int) -> None:
    batches = Batches(ToyClips(8), augmented(recipe()))
    expected = [batches[step] for step in (2, 3, 4)]
    found = list(load(batches, range(2, 5), workers))
    assert len(found) == 3
    assert all(map(same, found, expected))
    again = pickle.loads(pickle.dumps(batches))
    assert same(again[2], expected[0])
    assert np.array_equal(again[2].voice_identity, expected[0].voice_identity)
