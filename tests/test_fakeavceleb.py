"""FakeAVCeleb in miniature, with the traps of the published files."""

from pathlib import Path

import pytest

from tests.datasets import clips, dropped, hears_and_sees
from tests.talking_files import talking
from training.clips import Split
from training.drops import Drop
from training.readers.fakeavceleb import read_fakeavceleb
from training.splits import apply_splits

FAKE_HEADER = "source,target1,target2,method,category,type,race,gender,path,\n"


ROWS = (
    "id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,"
    "FakeAVCeleb/RealVideo-RealAudio/African/men/id00076",
    "id00076,id00476,10,wav2lip,D,FakeVideo-FakeAudio,African,men,00109_10_id00476_wavtolip.mp4,"
    "FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076",
    "id00076,id00476,10,faceswap-wav2lip,D,FakeVideo-FakeAudio,African,men,"
    "00109_10_id00476_wavtolip.mp4,FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076",
    "id00476,-,-,rtvc,B,RealVideo-FakeAudio,Asian (East),women,00020_fake.mp4,"
    "FakeAVCeleb/RealVideo-FakeAudio/Asian (East)/women/id00476",
    "id00476,id00476,-,fsgan,C,FakeVideo-RealAudio,Asian (East),women,lost.mp4,"
    "FakeAVCeleb/FakeVideo-RealAudio/Asian (East)/women/id00476",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "RealVideo-RealAudio/African/men/id00076/00109.mp4",
        "FakeVideo-FakeAudio/African/men/id00076/00109_10_id00476_wavtolip.mp4",
        "RealVideo-FakeAudio/Asian (East)/women/id00476/00020_fake.mp4",
    ):
        talking(tmp_path / name, seconds=1.2)
    table = FAKE_HEADER + "\n".join(ROWS) + "\n"
    (tmp_path / "meta_data.csv").write_text(table, encoding="utf-8-sig")
    return tmp_path


def test_the_unnamed_column_is_the_folder(root: Path) -> None:
    found = read_fakeavceleb(root)
    assert len(found.entries) == 3
    fake = clips(found)["FakeVideo-FakeAudio/African/men/id00076/00109_10_id00476_wavtolip.mp4"]
    assert (fake.identity, fake.donors, fake.manipulation) == (
        "id00076",
        ("id00476",),
        "wav2lip",
    )
    assert fake.face_fake
    assert fake.voice_fake
    cloned = clips(found)["RealVideo-FakeAudio/Asian (East)/women/id00476/00020_fake.mp4"]
    assert (cloned.sex, cloned.race, cloned.face_fake) == ("female", "Asian (East)", False)
    assert cloned.fake
    hears_and_sees(found)


def test_second_rows_and_missing_files_are_told(root: Path) -> None:
    assert [reason for _, reason in dropped(read_fakeavceleb(root))] == [
        Drop.DUPLICATE_ROW,
        Drop.MISSING_FILE,
    ]


def test_folders_may_have_been_renamed(root: Path) -> None:
    folder = root / "RealVideo-FakeAudio" / "Asian (East)"
    folder.rename(folder.with_name("Asian_East"))
    assert len(read_fakeavceleb(root).entries) == 3


def test_donors_of_another_split_take_their_fakes_away(root: Path) -> None:
    found = read_fakeavceleb(root)
    splits = {"id00076": Split.TRAIN, "id00476": Split.TEST}
    chosen, left = apply_splits(found, splits)
    assert [len(chosen[split]) for split in Split] == [1, 0, 1]
    assert [d.reason for d in left] == [Drop.DONOR_IN_OTHER_SPLIT]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",path,", ",path", r"no column \(unnamed\)"),
        ("gender", "sex", "no column gender"),
        ("A,RealVideo-RealAudio", "A,Real", "line 2: type 'Real'"),
        (",African,men,00109.mp4", ",African,man,00109.mp4", "line 2: gender 'man'"),
        (",-,-,real", ",-,real", "line 2: 9 values, not 10"),
    ],
)
def test_a_table_of_another_form_is_refused(root: Path, old: str, new: str, message: str) -> None:
    table = (root / "meta_data.csv").read_text()
    assert old in table
    (root / "meta_data.csv").write_text(table.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_fakeavceleb(root)


def test_a_file_that_is_real_and_fake_is_refused(root: Path) -> None:
    table = (root / "meta_data.csv").read_text()
    twice = table + ROWS[0].replace("RealVideo-RealAudio,", "FakeVideo-RealAudio,") + "\n"
    (root / "meta_data.csv").write_text(twice)
    with pytest.raises(ValueError, match=r"line 7: .* was RealVideo-RealAudio before"):
        read_fakeavceleb(root)
