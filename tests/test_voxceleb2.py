"""VoxCeleb2 in miniature, with the traps of the published files."""

from pathlib import Path

import pytest

from tests.datasets import clips, dropped, files, hears_and_sees
from tests.media_files import AAC
from tests.talking_files import sound_file, talking
from training.drops import Drop
from training.readers.voxceleb2 import left_out, read_voxceleb2

META_VOX = """VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set 
id00012 ,n000012 ,m ,dev 
id00015 ,n000015 ,f ,dev 
id00017 ,n000017 ,f ,test 
"""  # noqa: W291  # every header and value has a trailing blank
FAKE_HEADER = "source,target1,target2,method,category,type,race,gender,path,\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, clip in (
        ("dev", "id00012/aB-_3c/00001"),
        ("dev", "id00012/aB-_3c/00002"),
        ("dev", "id00015/xyz/00004"),
        ("test", "id00017/uvw/00001"),
    ):
        talking(tmp_path / part / "mp4" / f"{clip}.mp4", silent=True, seconds=1.2)
        sound_file(tmp_path / part / "aac" / f"{clip}.m4a", form=AAC, seconds=1.2)
    (tmp_path / "vox2_meta.csv").write_text(META_VOX)
    return tmp_path


def test_clips_with_their_sound_and_sex(root: Path) -> None:
    found = read_voxceleb2(root, None, frozenset({"id00015"}))
    assert list(clips(found)) == [
        "id00012/aB-_3c/00001",
        "id00012/aB-_3c/00002",
        "id00017/uvw/00001",
    ]
    clip = clips(found)["id00017/uvw/00001"]
    assert (clip.identity, clip.sex, clip.source) == ("id00017", "female", "id00017/uvw")
    assert not clip.fake
    assert dropped(found) == [("id00015/xyz/00004", Drop.LEFT_OUT)]
    hears_and_sees(found)


def test_wav_trees_and_sound_inside_the_videos(tmp_path: Path) -> None:
    video = talking(tmp_path / "mp4/id00012/a/1.mp4", seconds=1.2)
    assert files(read_voxceleb2(tmp_path, None, frozenset()))["id00012/a/1"].audio == video
    sound = sound_file(tmp_path / "wav/id00012/a/1.wav", seconds=1.2)
    found = read_voxceleb2(tmp_path, None, frozenset())
    assert files(found)["id00012/a/1"].audio == sound
    hears_and_sees(found)


def test_somebody_must_say_who_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"meta_data\.csv with --leave-out"):
        left_out(None, nobody=False)
    assert left_out(None, nobody=True) == frozenset()
    file = tmp_path / "meta_data.csv"
    file.write_text(FAKE_HEADER + "id00076,-,-,real,A,x,y,men,1.mp4,z\nid00166,-,-,a,b,c,d,e,f,g\n")
    assert left_out(file, nobody=False) == {"id00076", "id00166"}
    file.write_text("id00076\nJohn\n")
    with pytest.raises(ValueError, match="line 2: 'John'"):
        left_out(file, nobody=False)


def test_meta_of_another_kind_is_refused(root: Path) -> None:
    (root / "vox2_meta.csv").write_text("id,sex\nid00012,m\n")
    with pytest.raises(ValueError, match="no column 'VoxCeleb2 ID'"):
        read_voxceleb2(root, None, frozenset())
    (root / "vox2_meta.csv").write_text(META_VOX.replace(",f ,test", ",x ,test"))
    with pytest.raises(ValueError, match="line 4"):
        read_voxceleb2(root, None, frozenset())


def test_an_empty_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither mp4/"):
        read_voxceleb2(tmp_path, None, frozenset())
