"""Data sets into shards: complete, resumable, accounted for."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import pytest

from tests.talking_files import picture_folder, sound_file, talking, two_faces
from training import prepare_shard
from training.cli import main
from training.clips import Split
from training.drops import Drop, DroppedClip
from training.prepare import Options, prepare
from training.prepare_shard import ShardTask, make_shard
from training.readers.lists import read_folder
from training.samples import Effort, Entry, Sample, SampleMaker
from training.shard_files import ShardHeader
from training.shard_set import open_split
from training.splits import LeakError, draw_splits

QUICK = Options(Effort(faces=1, max_s=1.5, variants=0), shard_clips=2)


def here(tasks: Sequence[ShardTask], _done: int) -> None:
    """The runner of these tests: no process is started."""
    for task in tasks:
        make_shard(task)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people with two clips each, and some that cannot be used."""
    root = tmp_path_factory.mktemp("mine")
    for person in range(4):
        for clip in range(2 if person else 1):
            talking(root / f"p{person}" / f"{clip}.mp4", person, seconds=1.3)
    talking(root / "p1" / "two.mp4", picture=two_faces, seconds=1.3)
    talking(root / "p2" / "mute.mp4", silent=True, seconds=1.3)
    (root / "p3" / "empty.mp4").touch()
    return root


def run(root: Path, out: Path, options: Options = QUICK, seed: int = 1) -> dict[str, object]:
    dataset = read_folder(root)
    return prepare(dataset, draw_splits(dataset, dataset.ratios, seed), out, options, here)


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done")
    run(root, out)
    return out


def names(folder: Path) -> list[str]:
    """Of all prepared clips."""
    return sorted(
        record.clip.clip
        for split in Split
        if list(folder.glob(f"{split}-*.jsonl"))
        for record in open_split(folder, split).records
    )


def test_every_clip_is_prepared_once_or_dropped_by_name(done: Path) -> None:
    assert names(done) == ["p0/0.mp4"] + [f"p{p}/{c}.mp4" for p in (1, 2, 3) for c in (0, 1)]
    lines = (done / "dropped.csv").read_text().splitlines()
    assert sorted(line.split(",")[:2] for line in lines) == [
        ["clip", "reason"],
        ["p1/two.mp4", Drop.SEVERAL_PEOPLE],
        ["p2/mute.mp4", Drop.NO_AUDIO],
        ["p3/empty.mp4", Drop.EMPTY_FILE],
    ]


def test_the_report_says_what_was_done_and_what_it_cost(done: Path) -> None:
    report = json.loads((done / "report.json").read_text())
    assert report["clips"] == 7
    assert report["dropped"] == {"several_people": 1, "no_audio": 1, "empty_file": 1}
    assert report["single_clip_identities"] == 1
    assert report["clips_per_s_per_core"] > 0
    assert {"decode", "detect", "write"} <= set(report["share_of_cpu"])
    assert sum(report["clips_of_split"].values()) == 7


def test_no_identity_is_in_two_splits(done: Path) -> None:
    seen: dict[str, str] = {}
    for split in Split:
        for record in open_split(done, split).records:
            assert seen.setdefault(record.clip.identity, split) == split
    assert set(seen.values()) == set(Split)


class PowerCutError(Exception):
    pass


def test_an_interrupted_run_is_completed_without_loss_or_repetition(
    root: Path, tmp_path: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = SampleMaker.make

    def counted(maker: SampleMaker, entry: Entry, split: Split) -> Sample:
        made.append(entry.clip.clip)
        if len(made) == 4:
            raise PowerCutError
        return make(maker, entry, split)

    monkeypatch.setattr(prepare_shard.SampleMaker, "make", counted)
    with pytest.raises(PowerCutError):
        run(root, tmp_path)
    whole = sorted(tmp_path.glob("*.jsonl"))
    assert 0 < len(whole) < len(list(done.glob("*.jsonl")))
    kept = {index: index.stat().st_mtime_ns for index in whole}
    run(root, tmp_path)
    assert names(tmp_path) == names(done)
    assert {index: index.stat().st_mtime_ns for index in whole} == kept
    for tar in done.glob("*.tar"):
        assert (tmp_path / tar.name).read_bytes() == tar.read_bytes()


def test_data_of_another_plan_are_not_mixed_in(root: Path, done: Path) -> None:
    other = Options(Effort(faces=2, max_s=1.5, variants=0), shard_clips=2)
    with pytest.raises(FileExistsError, match=r"plan\.json: .* another plan \(options\)"):
        run(root, done, other)


def test_two_runs_do_not_fill_one_folder(root: Path, tmp_path: Path) -> None:
    dataset = read_folder(root)
    splits = draw_splits(dataset, dataset.ratios, 1)

    def second(_tasks: Sequence[ShardTask], _done: int) -> None:
        with pytest.raises(FileExistsError, match="another run"):
            run(root, tmp_path)
        raise PowerCutError

    with pytest.raises(PowerCutError):
        prepare(dataset, splits, tmp_path, QUICK, second)


def test_a_full_disk_stops_the_run_by_name_and_the_next_goes_on(
    root: Path, tmp_path: Path, done: Path
) -> None:
    (tmp_path / ".train-00000.tar.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"train-00000\.tar: No space left .*; run again") as caught:
        run(root, tmp_path)
    assert "No space left" in str(caught.value)
    assert not (tmp_path / "report.json").exists()
    run(root, tmp_path)
    assert names(tmp_path) == names(done)


@pytest.mark.parametrize("error", [ValueError("odd"), TypeError(), IndexError(), cv2.error("x")])
def test_what_nobody_foresaw_drops_one_clip_by_name(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def make(maker: SampleMaker, entry: Entry, split: Split) -> Sample:
        raise error

    monkeypatch.setattr(prepare_shard.SampleMaker, "make", make)
    entry = read_folder(root).entries[0]
    task = ShardTask(tmp_path, "train-00000", Split.TRAIN, (entry,), QUICK.effort)
    assert make_shard(task).dropped == (DroppedClip(entry.clip.clip, Drop.UNREADABLE, repr(error)),)


def test_a_shard_whose_tar_is_gone_or_cut_is_made_again(
    root: Path, tmp_path: Path, done: Path
) -> None:
    run(root, tmp_path)
    gone, cut = sorted(tmp_path.glob("*.tar"))[:2]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-512])
    run(root, tmp_path)
    for tar in (gone, cut):
        assert tar.read_bytes() == (done / tar.name).read_bytes()


def test_a_leak_stops_before_anything_is_written(root: Path, tmp_path: Path) -> None:
    dataset = read_folder(root)
    leak = {"p0": Split.TRAIN, "p1": Split.TEST, "p2": Split.TEST, "p3": Split.TRAIN}
    shared = tuple(
        Entry(type(e.clip)(e.clip.dataset, e.clip.clip, e.clip.identity, source="film"), e.media)
        for e in dataset.entries
    )
    with pytest.raises(LeakError, match="source film"):
        prepare(type(dataset)("mine", shared, (), dataset.ratios), leak, tmp_path, QUICK, here)
    assert not list(tmp_path.iterdir())


def cli(*arguments: str | Path) -> int:
    return main(["prepare", *map(str, arguments)])


def test_a_split_file_of_another_set_is_refused(
    root: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "split.csv"
    other.write_text((done / "split.csv").read_text().replace(root.name, "theirs"))
    assert cli("folder", root, "--out", tmp_path / "out", "--split-file", other) == 2
    assert "line 2: splits of 'theirs'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_workers_and_all_the_command_goes_on(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.cli", "prepare", "folder", root, "--out", tmp_path]
    command += ["--shard-clips", "1", "--workers", "2", "--faces", "1", "--variants", "0"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while not list(tmp_path.glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.jsonl")}
    assert before
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before
    assert len(names(tmp_path)) == 7
    assert len(set(names(tmp_path))) == 7
    assert re.search(r"10/10 clips, [\d.]+/s, 0:00:00 to go", done.stderr)
    assert "7 clips prepared" in done.stdout
    assert "dropped, no_audio: 1" in done.stdout
    assert not list(tmp_path.glob(".*.partial"))


def test_headers_account_for_every_clip(done: Path) -> None:
    headers = [ShardHeader.read(index) for index in done.glob("*.jsonl")]
    assert sum(header.clips + len(header.dropped) for header in headers) == 10


def test_timit_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject, donor in (("fadg0", "fram1"), ("mdab0", "mjsw0"), ("fdac1", "fcft0")):
        fake = tmp_path / "fakes" / "higher_quality" / subject / f"sa1-video-{donor}.avi"
        talking(fake, silent=True, seconds=1.3)
        sound_file(fake.with_suffix(".wav"), seconds=1.3)
        picture_folder(tmp_path / "vid" / subject / "video" / "sa1", count=30)
        sound_file(tmp_path / "vid" / subject / "audio" / "sa1.wav", seconds=1.3)
    monkeypatch.setattr("training.prepare_cli.in_processes", lambda _workers: here)
    arguments = ["timit", tmp_path / "fakes", "--vidtimit", tmp_path / "vid", "--quality"]
    common = ["higher_quality", "--out", tmp_path / "out", "--variants", "0", "--faces", "1"]
    assert cli(*arguments, *common, "--json") == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 6
    train = open_split(tmp_path / "out", Split.TRAIN)
    assert sorted(train.real.tolist()) == [False, True]
