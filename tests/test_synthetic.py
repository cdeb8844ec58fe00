"""Synthetic people as a data set."""

import itertools

import numpy as np
import pytest

from training.clips import Split
from training.people import TEST_SEED, TRAITS, draw_person
from training.readers.synthetic import (
    NAMES,
    Amounts,
    DrawnMedia,
    VoiceFamily,
    person_seed_of_voice,
    person_seeds,
    read_synthetic,
    trait_table,
)
from training.splits import apply_splits, draw_splits
from vfd.speech import speech_share
from vfd.types import SAMPLE_RATE_HZ

FEW = Amounts(train=6, validation=2, test=3, clips=2, fakes=1, clip_s=1.5)


def test_no_identity_is_in_two_splits() -> None:
    seeds = person_seeds(Amounts(500, 50, 100), seed=1)
    everybody = [s for split in seeds.values() for s in split]
    assert [len(seeds[s]) for s in Split] == [500, 50, 100]
    assert len(set(everybody)) == 650
    assert max(seeds[Split.TRAIN] + seeds[Split.VALIDATION]) < TEST_SEED <= min(seeds[Split.TEST])


def test_fakes_have_the_voice_of_somebody_else_of_the_split() -> None:
    people = read_synthetic(FEW, seed=1)
    chosen, dropped = apply_splits(people, draw_splits(people, people.ratios, seed=9))
    assert {split: len(numbers) for split, numbers in chosen.items()} == {
        Split.TRAIN: 18,
        Split.VALIDATION: 6,
        Split.TEST: 9,
    }
    assert not dropped
    fakes = [e for e in people.entries if e.clip.fake]
    assert len(fakes) == 11
    for entry in fakes:
        assert isinstance(entry.media, DrawnMedia)
        assert entry.media.face == int(entry.clip.identity)
        assert entry.media.voice == person_seed_of_voice(entry.clip) != entry.media.face


def test_the_same_seed_draws_the_same_clips() -> None:
    assert read_synthetic(FEW, seed=1) == read_synthetic(FEW, seed=1)
    assert read_synthetic(FEW, seed=1) != read_synthetic(FEW, seed=2)


def test_media_are_drawn_and_spoken_repeatably() -> None:
    media = DrawnMedia(7, 8, (1, 7, 0), 1.5)
    sound = media.sound(10.0)
    assert sound.shape == (round(1.5 * SAMPLE_RATE_HZ),)
    np.testing.assert_array_equal(sound, media.sound(10.0))
    first, second = (look.run() for look in media.looks((0.5, 1.0), 4))
    assert len(first) == 4
    assert first[0].shape == (360, 640, 3)
    np.testing.assert_array_equal(first[0], first[1])  # every picture is sent twice
    assert np.abs(first[-1].astype(int) - second[-1]).mean() > 1
    again = next(iter(media.looks((0.5,), 4))).run()
    np.testing.assert_array_equal(first[-1], again[-1])


def test_every_family_says_something_else_in_the_same_room() -> None:
    sounds = [DrawnMedia(7, 7, (1,), 1.5, family).sound(1.0) for family in NAMES]
    for one, other in itertools.combinations(sounds, 2):
        assert np.abs(one - other).mean() > 0.001
    names = [read_synthetic(Amounts(2, 0, 0, family=family), 1).name for family in NAMES]
    assert names == list(dict.fromkeys(NAMES.values()))


@pytest.mark.parametrize("family", NAMES)
def test_the_speech_detector_takes_every_family_for_speech(family: VoiceFamily) -> None:
    people = [DrawnMedia(seed, seed, (seed,), 3.0, family) for seed in range(12)]
    shares = [speech_share(person.sound(3.0)) for person in people]
    assert np.mean(shares) > 0.9
    assert min(shares) > 0.7


def test_traits_are_those_of_the_seeds() -> None:
    voices, faces = trait_table(faces=[7, 7], voices=[7, 8])
    assert voices.shape == faces.shape == (2, 1 + len(TRAITS))
    assert voices[1, 0] == (1 if draw_person(8).voice.male else -1)
    assert voices[1, 2] == pytest.approx(draw_person(8).voice.size)
    assert faces[1, 1] == pytest.approx(draw_person(7).face.age)
