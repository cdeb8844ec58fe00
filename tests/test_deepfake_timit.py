"""DeepfakeTIMIT and VidTIMIT in miniature, with the traps of the published files."""

from pathlib import Path

import pytest

from tests.datasets import clips, dropped, files, hears_and_sees
from tests.media_files import SoundForm
from tests.talking_files import PCM, picture_folder, sound_file, talking
from training.drops import Drop
from training.readers.deepfake_timit import read_deepfake_timit
from training.splits import apply_splits, draw_splits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    low = tmp_path / "DeepfakeTIMIT" / "lower_quality"
    mute = {"silent": True, "seconds": 1.2}
    talking(low / "fadg0" / "sa1-video-fram1.avi", **mute)
    sound_file(low / "fadg0" / "sa1.wav", seconds=1.2)
    talking(low / "fram1" / "si501-video-fadg0.avi", **mute)
    sound_file(low / "fram1" / "si501-video-fadg0.wav", seconds=1.2)
    talking(low / "mdab0" / "sx49-video-mjsw0.avi", form=PCM, seconds=1.2)
    for subject in ("fadg0", "mcem0"):
        for sequence in ("sa1", "head", "head2"):
            picture_folder(tmp_path / "VidTIMIT" / subject / "video" / sequence, count=30)
        form = SoundForm("pcm_s16le", 32_000, "mono")
        sound_file(tmp_path / "VidTIMIT" / subject / "audio" / "sa1.wav", form=form)
    return tmp_path


def test_fakes_with_their_sound_wherever_it_is(root: Path) -> None:
    found = read_deepfake_timit(root / "DeepfakeTIMIT", root / "VidTIMIT", "lower_quality")
    by_name = files(found)
    assert {name: media.audio.name for name, media in by_name.items()} == {
        "fake/fadg0/sa1-video-fram1": "sa1.wav",
        "fake/fram1/si501-video-fadg0": "si501-video-fadg0.wav",
        "fake/mdab0/sx49-video-mjsw0": "sx49-video-mjsw0.avi",
        "real/fadg0/sa1": "sa1.wav",
    }
    fake, real = clips(found)["fake/fadg0/sa1-video-fram1"], clips(found)["real/fadg0/sa1"]
    assert (fake.identity, fake.donors, fake.sex) == ("fadg0", ("fram1",), "female")
    assert (real.identity, real.fake) == ("fadg0", False)
    assert dropped(found) == [("real/mcem0/sa1", Drop.NOT_ALLOWED)]
    hears_and_sees(found)


def test_pairs_of_subjects_stay_together(root: Path) -> None:
    found = read_deepfake_timit(root / "DeepfakeTIMIT", root / "VidTIMIT", "lower_quality")
    splits = draw_splits(found, found.ratios, seed=1)
    assert splits["fadg0"] == splits["fram1"]
    assert splits["mdab0"] == splits["mjsw0"]
    apply_splits(found, splits)


def test_the_other_quality_is_not_there(root: Path) -> None:
    with pytest.raises(ValueError, match="no SUBJECT/SENTENCE"):
        read_deepfake_timit(root / "DeepfakeTIMIT", root / "VidTIMIT", "higher_quality")


def test_a_strange_name_is_refused(root: Path) -> None:
    low = root / "DeepfakeTIMIT" / "lower_quality"
    (low / "fadg0" / "sa2.avi").touch()
    with pytest.raises(ValueError, match=r"sa2\.avi: not named"):
        read_deepfake_timit(root / "DeepfakeTIMIT", root / "VidTIMIT", "lower_quality")
