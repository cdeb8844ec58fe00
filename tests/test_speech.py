from pathlib import Path

import numpy as np
import pytest
from clips import sound

from vfd.speech import FRAME_SAMPLES, speech_frames, speech_share
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES


def buzz(samples: int) -> np.ndarray:
    """A voiced sound: pulses at 120 Hz through resonances at 500 and 1500 Hz."""
    t = np.arange(samples) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, 30) * 120.0
    gain = 1 / (1 + ((harmonics - 500) / 150) ** 2) + 0.5 / (1 + ((harmonics - 1500) / 150) ** 2)
    wave = (gain[:, None] * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(axis=0)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def test_silence_has_no_speech_and_a_voiced_sound_has() -> None:
    assert speech_share(np.zeros(WINDOW_SAMPLES, np.float32)) == 0
    assert speech_share(buzz(WINDOW_SAMPLES)) > 0.9


def test_speech_is_found_where_it_is() -> None:
    audio = np.zeros(WINDOW_SAMPLES, np.float32)
    audio[WINDOW_SAMPLES // 2 :] = buzz(WINDOW_SAMPLES // 2)
    frames = speech_frames(audio)
    assert frames.shape == (100,)
    assert frames.dtype == np.bool_
    assert not frames[:48].any()
    assert frames[52:].mean() > 0.9


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (479, 0), (480, 1), (1000, 2)])
def test_only_whole_frames_are_judged(samples: int, frames: int) -> None:
    audio = np.zeros(samples, np.float32)
    assert FRAME_SAMPLES == 480
    assert speech_frames(audio).shape == (frames,)
    assert speech_share(audio) == 0


def test_overdriven_sound_is_clipped_not_wrapped() -> None:
    audio = 8 * buzz(WINDOW_SAMPLES)
    assert (speech_frames(audio) == speech_frames(np.clip(audio, -1, 1))).all()


def test_the_same_audio_gets_the_same_answer() -> None:
    audio = buzz(WINDOW_SAMPLES)
    speech_frames(np.zeros(WINDOW_SAMPLES, np.float32))
    assert (speech_frames(audio) == speech_frames(audio)).all()


def test_real_people_speak(media: list[Path]) -> None:
    shares = [speech_share(sound(clip)) for clip in media]
    assert min(shares) > 0.3
