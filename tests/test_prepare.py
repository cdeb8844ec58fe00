"""Real drawing, coding and face finding, for a handful of people."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.export_validation import export_validation
from training.people import TEST_SEED, TRAITS, draw_person
from training.prepare import Amounts, Split, person_seeds, prepare
from training.shards import PreparedPeople, spectrograms, trait_table, window

FEW = Amounts(train=3, validation=2, test=2, faces=2, voices=1, clip_s=3.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    prepare(out, FEW, seed=3, workers=1)
    return out


def test_no_identity_is_in_two_splits() -> None:
    seeds = person_seeds(Amounts(500, 50, 100, 1, 1, 3.0), seed=1)
    everybody = [s for split in seeds.values() for s in split]
    assert [len(seeds[s]) for s in Split] == [500, 50, 100]
    assert len(set(everybody)) == 650
    assert max(seeds[Split.TRAIN] + seeds[Split.VALIDATION]) < TEST_SEED <= min(seeds[Split.TEST])


def test_every_person_has_crops_and_clips(folder: Path) -> None:
    people = PreparedPeople(folder, Split.TRAIN)
    assert len(people) == 3
    crop, clip = people.crop(2, 1), people.clip(0, 0)
    assert crop.shape == (224, 224, 3)
    assert crop.std() > 15
    assert clip.shape == (51_200,)
    assert np.abs(clip).max() > 300
    assert not np.array_equal(people.crop(0, 0), people.crop(0, 1))
    assert spectrograms([clip], np.array([3_200])).shape == (1, 1, 512, 300)
    assert window(clip, 3_200).shape == (48_000,)


def test_traits_are_those_of_the_seeds(folder: Path) -> None:
    people = PreparedPeople(folder, Split.TEST)
    voices, faces = trait_table(people.seeds)
    person = draw_person(int(people.seeds[1]))
    assert voices.shape == faces.shape == (2, 1 + len(TRAITS))
    assert voices[1, 0] == faces[1, 0] == (1 if person.voice.male else -1)
    assert voices[1, 2] == pytest.approx(person.voice.size)
    assert faces[1, 1] == pytest.approx(person.face.age)


def test_an_interrupted_run_is_completed_and_gives_the_same(folder: Path) -> None:
    lost = folder / "test-0000-voices.npy"
    before, kept = lost.read_bytes(), (folder / "train-0000-faces.npy").stat().st_mtime_ns
    lost.unlink()
    (folder / "index.json").unlink()
    prepare(folder, FEW, seed=3, workers=1)
    assert lost.read_bytes() == before
    assert (folder / "train-0000-faces.npy").stat().st_mtime_ns == kept


def test_data_of_another_plan_are_not_mixed_in(folder: Path) -> None:
    with pytest.raises(FileExistsError, match=r"plan\.json"):
        prepare(folder, FEW, seed=4, workers=1)


def test_data_of_another_generator_are_refused(folder: Path, tmp_path: Path) -> None:
    index = json.loads((folder / "index.json").read_text()) | {"people_version": 99}
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="people_version is 99"):
        PreparedPeople(tmp_path, Split.TRAIN)


def test_people_never_found_are_left_out(folder: Path, tmp_path: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    lost = index["shards"][1]["seeds"][0]
    index["missing"] = [lost]
    for file in folder.glob("train-*.npy"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "index.json").write_text(json.dumps(index))
    people = PreparedPeople(tmp_path, Split.TRAIN)
    whole = PreparedPeople(folder, Split.TRAIN)
    assert lost not in people.seeds
    assert len(people) == 2
    np.testing.assert_array_equal(people.crop(0, 0), whole.crop(1, 0))


def test_the_people_are_exported_to_judge_engines_by(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.npz"
    assert export_validation(folder, out, Split.TRAIN, people=2) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["people.npz"]
    people = PreparedPeople(folder, Split.TRAIN)
    with np.load(out) as arrays:
        assert arrays["voice_ids"].tolist() == [0, 1]
        assert arrays["face_ids"].tolist() == [0, 0, 1, 1]
        np.testing.assert_array_equal(arrays["windows"][1], people.clip(1, 0)[:48_000])
        np.testing.assert_array_equal(arrays["crops"][3], people.crop(1, 1))
        assert {name: arrays[name].dtype for name in arrays} == {
            "windows": np.int16,
            "voice_ids": np.int64,
            "crops": np.uint8,
            "face_ids": np.int64,
        }
