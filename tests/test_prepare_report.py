"""The report of a preparation."""

from pathlib import Path

from tests.shards import written
from training.clips import Clip, Split
from training.drops import Drop, DroppedClip
from training.prepare_report import as_text, write_report


def test_costs_and_losses_of_all_shards_are_added(tmp_path: Path) -> None:
    lost = DroppedClip("9", Drop.NO_FACE, "no_face 9")
    headers = [
        written(tmp_path, clips=4, dropped=(lost,)),
        written(tmp_path, [Clip("set", "t", "id7")], Split.TEST),
    ]
    never = [DroppedClip("x, y", Drop.MISSING_FILE), DroppedClip("z", Drop.MISSING_FILE)]
    report = write_report(tmp_path / "report.json", "set", headers, never, wall_s=9.0)
    assert report["clips_of_split"] == {"train": 4, "test": 1}
    assert report["dropped"] == {"missing_file": 2, "no_face": 1}
    assert report["single_clip_identities"] == 2  # id1 has a fake beside its one real clip
    assert report["single_clip_names"] == ["id1", "id7"]
    assert report["clips_per_s_per_core"] == 1.5  # six clips in two times two seconds
    assert report["share_of_cpu"] == {"decode": 0.5}
    rows = (tmp_path / "dropped.csv").read_text().splitlines()
    assert rows[1:] == ['"x, y",missing_file,', "z,missing_file,", "9,no_face,no_face 9"]
    text = as_text(report)
    assert "set: 5 clips prepared" in text
    assert "dropped, missing_file: 2" in text
    assert "1.5 clips/s/core (decode 50%)" in text
