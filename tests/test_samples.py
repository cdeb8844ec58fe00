"""One clip through preparation: what is kept of it, or why nothing is."""

import io
import wave
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.talking_files import face, talking, two_faces, voice
from training.clips import RECORDED, Clip, Record, Split
from training.drops import Drop, DropError
from training.media import FileMedia
from training.samples import Effort, Entry, Sample, SampleMaker, clip_number, from_first_speech
from vfd.types import SAMPLE_RATE_HZ, Rgb

EFFORT = Effort(faces=2, max_s=3.0, variants=1, seed=5)


@pytest.fixture(scope="module")
def maker() -> SampleMaker:
    return SampleMaker(EFFORT)


def entry(file: Path) -> Entry:
    return Entry(Clip("set", file.name, "id1"), FileMedia(file, file))


def picture(data: bytes) -> Rgb:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


@pytest.fixture(scope="module")
def sample(maker: SampleMaker, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return maker.make(entry(talking(tmp_path_factory.mktemp("clip") / "a.mp4")), Split.TRAIN)


def test_crops_and_voice_of_every_variant(sample: Sample) -> None:
    assert [variant.line for variant in sample.record.variants] == [RECORDED, "train-1"]
    assert sorted(sample.files) == sorted(
        f"v{v}.{name}" for v in range(2) for name in ("wav", "f0.jpg", "f1.jpg")
    )
    crop = picture(sample.files["v0.f1.jpg"])
    assert crop.shape == (224, 224, 3)
    assert crop.std() > 15
    with wave.open(io.BytesIO(sample.files["v1.wav"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() == sample.record.variants[1].samples


def test_moments_are_spread_and_shared_by_all_variants(sample: Sample) -> None:
    recorded, sent = (variant.faces for variant in sample.record.variants)
    assert [f.time_s for f in recorded] == [f.time_s for f in sent]
    assert recorded[0].time_s < 1 < recorded[1].time_s
    assert recorded[0].height_px == 360 >= sent[0].height_px
    assert recorded[0].eye_distance_px > 20
    assert 0 < recorded[0].quality <= 1


def test_records_survive_json(sample: Sample) -> None:
    assert Record.from_json(sample.record.as_json()) == sample.record


def test_the_same_clip_is_made_the_same_again(maker: SampleMaker, tmp_path: Path) -> None:
    file = talking(tmp_path / "a.mp4")
    first = maker.make(entry(file), Split.TRAIN)
    assert SampleMaker(EFFORT).make(entry(file), Split.TRAIN).files == first.files


def test_silence_before_speech_is_cut(maker: SampleMaker, tmp_path: Path) -> None:
    late = maker.make(entry(talking(tmp_path / "late.mp4", lead_in_s=1.0)), Split.VALIDATION)
    assert late.record.variants[0].samples < 2.1 * SAMPLE_RATE_HZ
    with wave.open(io.BytesIO(late.files["v0.wav"])) as file:
        start = np.frombuffer(file.readframes(1_600), "<i2")
    assert np.abs(start).max() > 300


def test_speech_begins_where_it_is_cut() -> None:
    sound = np.concatenate([np.zeros(8_000, np.float32), voice(0)])
    cut = from_first_speech(sound)
    assert len(voice(0)) - 3_200 < len(cut) <= len(voice(0)) + 960


def test_more_than_asked_for_is_not_kept(tmp_path: Path) -> None:
    made = SampleMaker(Effort(faces=1, max_s=1.2, variants=0))
    sample = made.make(entry(talking(tmp_path / "a.mp4")), Split.TRAIN)
    assert sample.record.variants[0].samples == 19_200


def test_numbers_of_clips_are_their_own() -> None:
    clips = [Clip("set", "a", "x"), Clip("set", "b", "x"), Clip("other", "a", "x")]
    assert len({clip_number(clip) for clip in clips}) == 3


def grey(_time_s: float) -> Rgb:
    return np.full((360, 640, 3), 120, np.uint8)


def small(_time_s: float) -> Rgb:
    shrunk = np.asarray(cv2.resize(face(0), (160, 90), interpolation=cv2.INTER_AREA), np.uint8)
    return np.pad(shrunk, ((0, 270), (0, 480), (0, 0)))


@pytest.mark.parametrize(
    ("shown", "reason", "detail"),
    [
        (grey, Drop.NO_FACE, "no_face 6"),
        (two_faces, Drop.SEVERAL_PEOPLE, "in 6 of 6 pictures"),
        (lambda t: face(0) if t < 0.5 else two_faces(t), Drop.SEVERAL_PEOPLE, "of"),
    ],
)
def test_clips_that_do_not_show_one_person(
    maker: SampleMaker,
    tmp_path: Path,
    shown: Callable[[float], Rgb],
    reason: Drop,
    detail: str,
) -> None:
    file = talking(tmp_path / "a.mp4", picture=shown)
    with pytest.raises(DropError, match=detail) as caught:
        maker.make(entry(file), Split.VALIDATION)
    assert caught.value.reason == reason


def test_clips_in_which_nobody_speaks(maker: SampleMaker, tmp_path: Path) -> None:
    with pytest.raises(DropError) as caught:
        from_first_speech(np.zeros(32_000, np.float32))
    assert caught.value.reason == Drop.NO_SPEECH
    with pytest.raises(DropError, match=r"0\.\d+ s from the first speech") as caught:
        maker.make(entry(talking(tmp_path / "short.mp4", seconds=0.7)), Split.TRAIN)
    assert caught.value.reason == Drop.TOO_SHORT
