"""Folders, tables and lists of anybody's own clips."""

from pathlib import Path

import pytest

from tests.datasets import clips, dropped, hears_and_sees
from tests.talking_files import picture_folder, sound_file, talking
from training.drops import Drop
from training.media import StillMedia
from training.readers.lists import read_csv, read_folder, read_list


def test_folders_name_identity_and_label(tmp_path: Path) -> None:
    talking(tmp_path / "real" / "anna b" / "day 1" / "a (1).MP4", seconds=1.2)
    talking(tmp_path / "fake" / "anna b" / "x.mp4", seconds=1.2)
    (tmp_path / "real" / "notes.txt").touch()
    found = read_folder(tmp_path)
    assert {n: (c.identity, c.fake) for n, c in clips(found).items()} == {
        "fake/anna b/x.mp4": ("anna b", True),
        "real/anna b/day 1/a (1).MP4": ("anna b", False),
    }
    hears_and_sees(found)


def test_a_clip_of_nobody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").touch()
    with pytest.raises(ValueError, match="names its identity"):
        read_folder(tmp_path)


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not one clip"):
        read_folder(tmp_path)


def test_all_columns(tmp_path: Path) -> None:
    talking(tmp_path / "a.mp4", seconds=1.2, silent=True)
    sound_file(tmp_path / "a.wav", seconds=1.2)
    (tmp_path / "set.csv").write_text(
        "path,identity,label,audio,source,donors,manipulation,sex,race\n"
        "a.mp4,anna,fake,a.wav,film,bert carl,swap,female,x\n"
        "a.mp4,anna,fake,a.wav,film,bert carl,swap,female,x\n"
        "lost.mp4,anna,real,,,,,,\n"
    )
    found = read_csv(tmp_path / "set.csv")
    clip = clips(found)["a.mp4"]
    assert (clip.donors, clip.source, clip.sex) == (("bert", "carl"), "film", "female")
    assert dropped(found) == [("a.mp4", Drop.DUPLICATE_ROW), ("lost.mp4", Drop.MISSING_FILE)]
    hears_and_sees(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,identity\na.mp4,x\n", "no column 'path'"),
        ("path,identity,colour\na.mp4,x,red\n", "column 'colour' is not one of"),
        ("path,identity,label\na.mp4,x,maybe\n", "line 2: label 'maybe'"),
        ("path,identity,sex\na.mp4,x,m\n", "line 2: sex 'm'"),
        ("path,identity\na.mp4\n", "line 2: more or fewer"),
        ("path,identity\na.mp4,\n", "line 2: path and identity"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "set.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(tmp_path / "set.csv")


def test_a_table_that_a_spreadsheet_wrote(tmp_path: Path) -> None:
    talking(tmp_path / "a.mp4", seconds=1.2)
    (tmp_path / "set.csv").write_text("path,identity\r\na.mp4,Zoë\r\n", encoding="utf-8-sig")
    assert clips(read_csv(tmp_path / "set.csv"))["a.mp4"].identity == "Zoë"


@pytest.mark.parametrize("place", ["set", "face/set"])
def test_stills_of_a_clip_are_joined(tmp_path: Path, place: str) -> None:
    tmp_path = tmp_path / place
    names = [f"face/Asian (East)/id1/00072_000{k}" for k in (17, 81)]
    for name in names:
        still = picture_folder(tmp_path / "made", count=1) / "001"
        file = tmp_path / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(still.read_bytes())
        sound_file(tmp_path / f"{name.replace('face', 'voice')}.wav", seconds=1.2)
    (tmp_path / "val.txt").write_text("".join(f"{name}.jpg 0\n" for name in names))
    found = read_list(tmp_path / "val.txt")
    (entry,) = found.entries
    assert isinstance(entry.media, StillMedia)
    assert (entry.clip.identity, entry.clip.fake) == ("id1", False)
    assert len(entry.media.pictures) == 2
    hears_and_sees(found)


def test_labels_of_two_and_of_four_kinds(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a/x.mp4 0\nb/y.mp4 1\n")
    assert [e.clip.face_fake for e in read_list(path).entries] == [False, None]
    path.write_text("a/x.mp4 0\nb/y.mp4 1\nb/z.mp4 2\n")
    told = [(e.clip.face_fake, e.clip.voice_fake) for e in read_list(path).entries]
    assert told == [(False, False), (True, False), (False, True)]
    path.write_text("a/x.mp4 4711\n")
    assert read_list(path, "identity").entries[0].clip.identity == "4711"


@pytest.mark.parametrize("line", ["a/x.mp4", "a/x.mp4 real", "a/x.mp4 4"])
def test_a_list_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"a/x.mp4 0\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_list(tmp_path / "list.txt")
