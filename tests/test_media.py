"""Sound and pictures of clips as data sets have them, and of clips that are broken."""

from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.media_files import AAC, SoundForm
from tests.talking_files import PCM, face, picture_folder, sound_file, talking, voice
from training.drops import Drop, DropError
from training.media import FileMedia, Look, Media, StillMedia
from vfd.types import SAMPLE_RATE_HZ


def looks(media: Media, times_s: tuple[float, ...] = (0.5, 1.5), run: int = 1) -> list[Look]:
    return list(media.looks(times_s, run))


def read_all(media: Media) -> None:
    media.sound(10.0)
    for look in media.looks((0.5, 1.0, 1.5, 1.9), 1):
        look.run()


def reason(file: Path) -> Drop:
    with pytest.raises(DropError) as caught:
        read_all(FileMedia(file, file))
    return caught.value.reason


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_sound_and_pictures_of_a_video(tmp_path: Path, name: str) -> None:
    file = talking(tmp_path / name)
    media = FileMedia(file, file)
    sound = media.sound(10.0)
    assert len(sound) / SAMPLE_RATE_HZ == pytest.approx(2.0, abs=0.1)
    heard = sound[: len(voice(0))]
    best = max(np.corrcoef(np.roll(voice(0), k)[: len(heard)], heard)[0, 1] for k in range(2_000))
    assert best > 0.9
    found = looks(media)
    assert [round(look.time_s, 1) for look in found] == [0.5, 1.5]


def test_pictures_are_those_of_their_times(tmp_path: Path) -> None:
    file = talking(tmp_path / "two.avi", picture=lambda t: face(0 if t < 1 else 1), form=PCM)
    first, second = (look.run() for look in FileMedia(file, file).looks((0.5, 1.5), 3))
    assert len(first) == len(second) == 3
    assert np.abs(first[-1].astype(int) - face(0)).mean() < 6
    assert np.abs(second[-1].astype(int) - face(1)).mean() < 6


def test_a_picture_without_a_time_drops_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = talking(tmp_path / "a.mp4", seconds=0.5)
    timeless = VideoFrame(64, 64, "rgb24")
    monkeypatch.setattr("training.media._frames", lambda *_: iter([timeless]))
    assert reason(file) is Drop.CORRUPT


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    file = talking(tmp_path / "long.mp4", seconds=4.0)
    assert len(FileMedia(file, file).sound(1.5)) == 1.5 * SAMPLE_RATE_HZ


def test_a_recording_of_16_khz_in_aac(tmp_path: Path) -> None:
    """As VoxCeleb2's: its encoder's delay must not shift the voice against the pictures."""
    file = sound_file(tmp_path / "00001.m4a", form=SoundForm("aac", SAMPLE_RATE_HZ, "mono"))
    found, source = FileMedia(file, file).sound(10.0), voice(0)
    assert len(found) == pytest.approx(len(source), abs=1024)
    lags = range(-1100, 1101, 20)
    middle = slice(4_000, 20_000)
    match = [float(np.dot(np.roll(source, lag)[middle], found[middle])) for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 40


def test_a_folder_of_numbered_pictures(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "sa1", count=30)
    media = FileMedia(folder, sound_file(tmp_path / "sa1.wav"))
    found = looks(media, (0.4, 1.0, 1.9), run=2)
    assert [look.time_s for look in found] == [0.4, 1.0]  # 30 pictures are 1.2 s
    run = found[0].run()
    assert len(run) == 2
    assert np.abs(run[0].astype(int) - face(0)).mean() < 3
    assert len(media.sound(10.0)) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=400)


def test_stills_are_sent_over_and_over(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "face", count=2)
    media = StillMedia(tuple(sorted(folder.iterdir())), tmp_path / "none.wav")
    found = looks(media, (0.1, 0.2, 0.3, 0.4), run=3)
    assert [look.time_s for look in found] == [0.1, 0.3]
    assert len(found[0].run()) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert reason(tmp_path / "none.mp4") == Drop.MISSING_FILE


def test_a_file_of_zero_length(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert reason(tmp_path / "empty.mp4") == Drop.EMPTY_FILE


def test_a_file_that_is_no_media(tmp_path: Path) -> None:
    (tmp_path / "note.mp4").write_text("not a video\n" * 50)
    assert reason(tmp_path / "note.mp4") == Drop.UNREADABLE


def test_a_video_cut_before_its_index(tmp_path: Path) -> None:
    file = talking(tmp_path / "cut.mp4")
    file.write_bytes(file.read_bytes()[:20_000])
    assert reason(file) == Drop.UNREADABLE


def test_a_video_without_sound(tmp_path: Path) -> None:
    assert reason(talking(tmp_path / "mute.mp4", silent=True)) == Drop.NO_AUDIO


def test_sound_without_a_video(tmp_path: Path) -> None:
    assert reason(sound_file(tmp_path / "voice.wav")) == Drop.NO_VIDEO


@pytest.mark.parametrize(
    ("name", "codec"), [("torn.mp4", "mpeg4"), ("torn.avi", "mpeg4"), ("torn.mp4", "libx264")]
)
def test_a_video_with_a_corrupt_middle(tmp_path: Path, name: str, codec: str) -> None:
    file = talking(tmp_path / name, form=PCM if name.endswith("avi") else AAC, codec=codec)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle - 6_000 : middle + 6_000] = np.random.default_rng(0).bytes(12_000)
    file.write_bytes(bytes(data))
    assert reason(file) == Drop.CORRUPT


def test_a_damaged_picture_in_a_folder(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "sa1", count=20)
    (folder / "013").write_bytes(b"no picture")
    media = FileMedia(folder, folder)
    with pytest.raises(DropError, match="013") as caught:
        looks(media, (0.5,))[0].run()
    assert caught.value.reason == Drop.CORRUPT
