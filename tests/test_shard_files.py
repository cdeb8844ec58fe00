"""Shards on disk: WebDataset's form, places in the index, all or nothing."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.shards import written
from training.clips import Clip
from training.drops import Drop, DroppedClip
from training.prepare_shard import key_of
from training.shard_files import ShardHeader, ShardWriter, parse_row


def test_a_shard_is_a_tar_of_samples(tmp_path: Path) -> None:
    header = written(tmp_path, clips=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train-00000.jsonl", "train-00000.tar"]
    with tarfile.open(tmp_path / "train-00000.tar") as archive:
        names = archive.getnames()
        keys = list(dict.fromkeys(name.split(".", 1)[0] for name in names))
        assert len(keys) == 3
        assert names[:4] == [
            f"{keys[0]}.{part}" for part in ("json", "v0.wav", "v0.f0.jpg", "v0.f1.jpg")
        ]
        file = archive.extractfile(f"{keys[1]}.json")
        assert file is not None
        assert json.load(file)["clip"]["clip"] == "1"
    assert header.size == (tmp_path / "train-00000.tar").stat().st_size
    assert header.clips == 3


def test_the_index_says_where_everything_lies(tmp_path: Path) -> None:
    written(tmp_path, clips=3)
    data = (tmp_path / "train-00000.tar").read_bytes()
    rows = (tmp_path / "train-00000.jsonl").read_text().splitlines()[1:]
    with tarfile.open(tmp_path / "train-00000.tar") as archive:
        for row in rows:
            record, places = parse_row(row)
            for name, (offset, size) in places.items():
                file = archive.extractfile(f"{key_of(record.clip)}.{name}")
                assert file is not None
                assert file.read() == data[offset : offset + size]


def test_what_was_dropped_stands_in_the_header(tmp_path: Path) -> None:
    dropped = DroppedClip("7", Drop.NO_FACE, "no_face 9")
    written(tmp_path, clips=1, dropped=(dropped,))
    header = ShardHeader.read(tmp_path / "train-00000.jsonl")
    assert header.dropped == (dropped,)
    assert header.stages_s == {"decode": 1.0}


def test_a_shard_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, "train-00000"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("first", "message"),
    [("{}", "no shard header"), ("no json", "no shard header"), ("", "header")],
)
def test_a_file_that_is_no_index_is_refused(tmp_path: Path, first: str, message: str) -> None:
    (tmp_path / "x.jsonl").write_text(first)
    with pytest.raises(ValueError, match=r"x\.jsonl: the first line is no shard header"):
        ShardHeader.read(tmp_path / "x.jsonl")


def test_another_schema_is_refused(tmp_path: Path) -> None:
    written(tmp_path, clips=1)
    index = tmp_path / "train-00000.jsonl"
    index.write_text(index.read_text().replace('"schema": 1', '"schema": 9'))
    with pytest.raises(ValueError, match="schema 9, not 1"):
        ShardHeader.read(index)


def test_keys_fit_webdataset() -> None:
    key = key_of(Clip("set", "a b/c.d (e).mp4", "x"))
    assert key.isalnum()
    assert key != key_of(Clip("set", "a b/c.d (e).mp5", "x"))
