"""What a microphone hears besides the person before it: the loudspeaker, playing somebody else.

Around what `training.voice_synthesis.record` makes of a voice, which it leaves as it is.
"""

from typing import Final

import numpy as np
from scipy import fft

from training.effects import room
from training.voice_synthesis import within_range
from vfd.types import SAMPLE_RATE_HZ, Audio

LOUDSPEAKER_HZ: Final = ((150.0, 400.0), (3_500.0, 7_000.0))
"""Where those of laptops and telephones begin and end."""
_STEEPNESS: Final = 4  # of these ends: 24 dB an octave


def loudspeaker(voice: Audio, delay_s: float, rng: np.random.Generator) -> Audio:
    """`voice` (n,), as it came out of a call, through a loudspeaker and a room, `delay_s` later;
    the same level. What the delay pushes out at the end goes in at the beginning, as in a loop."""
    frequency_hz = np.fft.rfftfreq(len(voice), 1 / SAMPLE_RATE_HZ)
    low_hz, high_hz = (rng.uniform(*ends) for ends in LOUDSPEAKER_HZ)
    gain = 1 / np.sqrt(1 + (low_hz / np.maximum(frequency_hz, 1.0)) ** (2 * _STEEPNESS))
    gain /= np.sqrt(1 + (frequency_hz / high_hz) ** (2 * _STEEPNESS))
    played = fft.irfft(fft.rfft(voice) * gain, len(voice)).astype(np.float32)
    heard = room(np.roll(played, round(delay_s * SAMPLE_RATE_HZ)), rng)
    return within_range(heard * (_rms(voice) / max(_rms(heard), 1e-9)))


def with_echo(own: Audio, other: Audio, level_db: float) -> Audio:
    """`own` (n,) and, `level_db` louder than it, `other` (n,), each measured where it is loud: a
    pause makes nobody softer."""
    gain = 10 ** (level_db / 20) * _loud_rms(own) / max(_loud_rms(other), 1e-9)
    return within_range(own + gain * other)


def _loud_rms(audio: Audio) -> float:
    """Over the louder half of its tenths of a second."""
    size = SAMPLE_RATE_HZ // 10
    power = np.mean(np.square(audio[: len(audio) // size * size]).reshape(-1, size), axis=1)
    return float(np.sqrt(np.mean(np.sort(power)[len(power) // 2 :])))


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))
