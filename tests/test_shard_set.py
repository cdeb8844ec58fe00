"""Any crop and voice of any clip, from one or several prepared folders."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.shards import finished, shade, tone, written
from training.clips import RECORDED, Clip, Split
from training.readers.synthetic import NAMES
from training.shard_set import open_split
from training.shard_table import ShardError

LINES = (RECORDED, "call")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path, clips=5, lines=LINES)
    more = [Clip("set", f"m{k}", f"id{k}", source="film") for k in (1, 2)]
    written(tmp_path, more, lines=LINES, number=1)
    written(tmp_path, [Clip("set", "t", "id7")], Split.TEST)
    return finished(tmp_path)


def test_columns_of_a_split(folder: Path) -> None:
    people = open_split(folder, Split.TRAIN)
    assert len(people) == 7
    assert people.identities == 3
    assert people.names == ("id0", "id1", "id2")
    assert people.identity.tolist() == [0, 1, 0, 1, 0, 1, 2]
    assert people.real.tolist() == [True] * 3 + [False] + [True] * 3
    assert people.source[5] == people.source[6]
    assert people.source[0] == people.source[2] != people.source[1]
    assert people.trained_on == "set"
    assert people.traits is None
    assert len(open_split(folder, Split.TEST)) == 1


def test_faces_known_to_be_genuine(tmp_path: Path) -> None:
    kinds = [(False, None), (True, False), (True, True), (True, None)]
    clips = [Clip("set", str(k), "id", fake=f, face_fake=g) for k, (f, g) in enumerate(kinds)]
    written(tmp_path, clips)
    found = open_split(finished(tmp_path), Split.TRAIN).genuine_face
    assert found.tolist() == [True, True, False, False]


def test_crops_and_voices_are_those_of_their_clip(folder: Path) -> None:
    people = open_split(folder, Split.TRAIN)
    for clip, number, variant in ((0, 0, 0), (4, 1, 1), (2, 1, 0)):
        assert people.crops(clip, variant) == 2
        crop = people.crop(clip, number, variant)
        assert np.abs(crop.astype(int) - shade(clip, number, variant)).max() < 6
        sound = people.audio(clip, variant)
        assert sound.dtype == np.int16
        np.testing.assert_allclose(sound / 32_767, tone(clip, variant), atol=1e-4)
    np.testing.assert_allclose(people.audio(6) / 32_767, tone(1, 0), atol=1e-4)  # second shard


def test_records_by_number_slice_and_all_at_once(folder: Path) -> None:
    records = open_split(folder, Split.TRAIN).records
    names = [record.clip.clip for record in records]
    assert names == ["0", "1", "2", "3", "4", "m1", "m2"]
    assert records[5].clip.source == "film"
    assert records[-1].clip.clip == "m2"
    assert [r.clip.clip for r in records[1:3]] == ["1", "2"]
    assert [v.line for v in records[0].variants] == list(LINES)


def test_variants_are_found_by_their_line(folder: Path) -> None:
    people = open_split(folder, Split.TRAIN)
    assert people.variants(3) == 2
    assert people.line("call").tolist() == [1] * 7
    assert people.line(RECORDED).tolist() == [0] * 7
    with pytest.raises(ShardError, match="no line 'low-rate'; there are recorded, call"):
        people.line("low-rate")


def test_numbers_beyond_the_end_are_refused(folder: Path) -> None:
    people = open_split(folder, Split.TRAIN)
    with pytest.raises(IndexError, match="no crop 2"):
        people.crop(0, 2)
    with pytest.raises(IndexError, match="no variant 2"):
        people.audio(0, 2)


def test_a_copy_for_another_process_reads_the_same(folder: Path) -> None:
    people = open_split(folder, Split.TRAIN)
    first = people.audio(0)  # its file is open now
    copy = pickle.loads(pickle.dumps(people))
    people.close()
    np.testing.assert_array_equal(copy.audio(0), first)
    np.testing.assert_array_equal(people.audio(0), first)  # and closed ones are opened again


def test_several_folders_are_one_set(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    written(other, [Clip("second", "x", "id1")])
    both = open_split([folder, finished(other)], Split.TRAIN)
    assert len(both) == 8
    assert both.names == ("second: id1", "set: id0", "set: id1", "set: id2")
    assert both.trained_on == "second, set"


def test_traits_of_synthetic_people(tmp_path: Path) -> None:
    name = NAMES["source-filter"]
    fake = Clip(name, "b", "7", fake=True, donors=("8",))
    written(tmp_path, [Clip(name, "a", "7"), Clip(name, "c", "8"), fake])
    traits = open_split(finished(tmp_path), Split.TRAIN).traits
    assert traits is not None
    voices, faces = traits
    assert voices.shape == faces.shape == (3, 7)
    np.testing.assert_array_equal(faces[2], faces[0])
    np.testing.assert_array_equal(voices[2], voices[1])


def test_people_drawn_by_another_version_are_refused(tmp_path: Path) -> None:
    written(tmp_path, [Clip("synthetic people v0.0", "a", "7")])
    with pytest.raises(ValueError, match="drawn by another version"):
        _ = open_split(finished(tmp_path), Split.TRAIN).traits


def test_folders_that_are_not_finished_or_lack_the_split(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(FileNotFoundError, match="not prepared to the end"):
        open_split(tmp_path, Split.TRAIN)
    with pytest.raises(ShardError, match="split test has no clips"):
        open_split(finished(tmp_path), Split.TEST)


def test_a_missing_shard_is_noticed(folder: Path) -> None:
    for suffix in (".tar", ".jsonl"):
        (folder / "train-00001").with_suffix(suffix).unlink()
    with pytest.raises(ShardError, match=r"train has 5 clips, report.json counts 7"):
        open_split(folder, Split.TRAIN)
    (folder / "report.json").write_text("[]")
    with pytest.raises(ShardError, match=r"report.json: is no report of prepare"):
        open_split(folder, Split.TEST)


@pytest.mark.parametrize("suffix", [".tar", ".jsonl"])
def test_a_shard_cut_short_is_named(folder: Path, suffix: str) -> None:
    file = (folder / "train-00001").with_suffix(suffix)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - 1_100])
    with pytest.raises(ValueError, match=rf"train-00001\{suffix}"):
        open_split(folder, Split.TRAIN)
