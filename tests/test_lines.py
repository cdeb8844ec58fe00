"""What lines do to pictures and voices."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.clips import drawn
from tests.talking_files import voice
from training.clips import Split
from training.lines import (
    CALL,
    LOW_RATE,
    Settings,
    draw_settings,
    in_words,
    lines_of,
    send_pictures,
    send_voice,
    training_line,
)
from vfd.types import SAMPLE_RATE_HZ, Audio

PLAIN: Settings = draw_settings(CALL, np.random.default_rng(0))


def loudness(sound: Audio) -> NDArray[np.float32]:
    """Of frames of 10 ms: of phases a codec keeps none."""
    return np.abs(sound[: len(sound) // 160 * 160].reshape(-1, 160)).mean(axis=1)


def test_tests_have_rates_that_training_never_has() -> None:
    rng = np.random.default_rng(0)
    learnt = [draw_settings(training_line(1), rng) for _ in range(200)]
    unseen = [draw_settings(LOW_RATE, rng) for _ in range(200)]
    for rate in ("video_bit_rate", "audio_bit_rate"):
        assert max(float(s[rate]) for s in unseen) < min(float(s[rate]) for s in learnt)
    assert {s["video_codec"] for s in learnt} == {"vp8", "h264"}
    assert 0.1 < np.mean([float(s["room"]) for s in learnt]) < 0.4


def test_every_split_has_its_lines() -> None:
    assert [line.name for line in lines_of(Split.TRAIN, 2)] == ["train-1", "train-2"]
    assert lines_of(Split.VALIDATION, 2) == (CALL,)
    assert lines_of(Split.TEST, 0) == (CALL, LOW_RATE)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_the_last_picture_arrives(codec: str) -> None:
    run = [drawn(0), drawn(1)]
    sent = send_pictures(run, PLAIN | {"video_codec": codec, "video_bit_rate": 3_000_000})
    assert sent.shape == (360, 640, 3)
    errors = [np.abs(sent.astype(int) - picture).mean() for picture in run]
    assert errors[1] < 6 < errors[0]


def test_fewer_bits_and_smaller_pictures_lose_more() -> None:
    rich, poor = (
        send_pictures([drawn(0)] * 3, PLAIN | {"video_bit_rate": rate})
        for rate in (4_000_000, 100_000)
    )
    edges = [np.abs(np.diff(p.astype(int), axis=1)).mean() for p in (rich, poor)]
    assert edges[1] < 0.9 * edges[0]
    assert send_pictures([drawn(0)], PLAIN | {"scale": 0.6}).shape == (216, 384, 3)


def test_no_more_than_720_lines_are_sent_and_sides_are_even() -> None:
    tall = np.full((1081, 607, 3), 128, np.uint8)
    assert send_pictures([tall], PLAIN).shape == (720, 404, 3)


def test_a_voice_arrives_in_time_and_at_its_length() -> None:
    sound = voice(3)
    sent = send_voice(sound, PLAIN, np.random.default_rng(0))
    assert sent.shape == sound.shape
    kept, arrived = loudness(sound), loudness(sent)
    assert np.corrcoef(kept, arrived)[0, 1] > 0.8


def test_lost_packets_are_silence_at_their_places() -> None:
    sound = np.full(4 * SAMPLE_RATE_HZ, 0.0, np.float32)
    sound += 0.3 * np.sin(2 * np.pi * 300 * np.arange(len(sound)) / SAMPLE_RATE_HZ)
    sent = send_voice(sound, PLAIN | {"loss": 0.3}, np.random.default_rng(1))
    packets = sent[: len(sent) // 320 * 320].reshape(-1, 320)
    silent = ~packets.any(axis=1)
    assert 0.15 < silent.mean() < 0.45
    assert not silent[0]
    runs = np.diff(np.flatnonzero(np.diff(silent.astype(int)) != 0))
    assert runs.max() > 1  # packets are lost in runs
    heard = np.sqrt(np.mean(packets[~silent] ** 2))
    assert heard == pytest.approx(0.3 / np.sqrt(2), rel=0.2)


def test_lines_of_tests_are_put_in_words() -> None:
    assert "VP8 at 500 kbit/s" in in_words("call")
    assert "Opus at 32 kbit/s." in in_words("call")
    low = in_words("low-rate")
    assert "VP8 or H.264 at 120 to 200 kbit/s" in low
    assert "Opus at 8 to 12 kbit/s, of which 2 to 5 % are lost." in low
    assert in_words("train-1") == ""


@pytest.mark.parametrize("effect", ["room", "noise", "suppression"])
def test_effects_change_the_voice(effect: str) -> None:
    plain, changed = (
        send_voice(voice(3), PLAIN | {effect: on}, np.random.default_rng(0)) for on in (0, 1)
    )
    assert np.abs(plain - changed).mean() > 0.05 * np.abs(plain).mean()
    np.testing.assert_array_equal(
        changed, send_voice(voice(3), PLAIN | {effect: 1}, np.random.default_rng(0))
    )
