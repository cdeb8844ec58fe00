"""Whose mouth moves with the voice: the speaker among several faces, or why nobody can be named.

A mouth opens for what is loud between 700 and 2000 Hz, where open vowels are. Every track's series
of `vfd.mouth.mouth_contrast` is correlated with that loudness over one window. What is said
of the thresholds was measured on eleven streams of `training.gallery` (two to four people, 10 to 15
pictures a second, 418 windows), none of which is among those of the report.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vfd.mouth import mouth_contrast
from vfd.types import SAMPLE_RATE_HZ, WINDOW_S, Audio, Face, Reason, Rgb

MIN_AGREEMENT: Final = 0.5
"""Correlation of a speaker's mouth with the voice. In windows of one speaker 0.71 in the middle and
at least 0.55 in 95 of 100; of five real people 0.53 to 0.71, so more cannot be asked for."""
MIN_LEAD: Final = 0.1
"""Before the next best. At 0.2 one choice in 80 is wrong instead of one in 45, and a tenth less is
scored."""
MAX_OFF_SCREEN_AGREEMENT: Final = 0.35
"""The best of the faces is below it in 4 of 5 windows of somebody off screen, and in fewer than one
in 20 where two on screen share the window."""
MIN_MOTION: Final = 0.25
"""Of a mouth in each loud third of the window, as a part of its motion in the whole: somebody who
spoke for half of it was still in the other half. Without it 0.17 of the chosen windows hold another
voice for a fifth of their speech or more, with it 0.05; it costs 0.03 of those of one speaker."""
_LOUD: Final = 0.6  # a third of the window, as a part of the mean
_THIRDS: Final = 3

MIN_PICTURES: Final = 20  # of a window: 10 a second without a third of them
MAX_GAP_S: Final = 0.7  # between them, also at both ends of the window
KEPT_S: Final = 8.0  # a window may be asked about a few seconds after its last picture
MAX_PICTURES: Final = 256  # of a track: KEPT_S at 30 a second
MAX_TRACKS: Final = 32  # twice those that can be on screen at once: some have just gone

_LAGS_S: Final = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)  # ITU-R BT.1359: hardly noticed
_BAND_HZ: Final = (700.0, 2000.0)
_ENVELOPE_HZ: Final = 100
_HOP: Final = SAMPLE_RATE_HZ // _ENVELOPE_HZ

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Speaker:
    """The `track` whose mouth moves with the voice. `agreement` in [0, 1] is their correlation,
    `lead` by how much that of the next best track is less."""

    track: int
    agreement: float
    lead: float


class SpeakerFinder:
    """The mouths of one stream over the last KEPT_S. For one thread at a time."""

    def __init__(self) -> None:
        self._mouths: dict[int, deque[tuple[float, float]]] = {}

    def see(self, faces: Mapping[int, Face], rgb: Rgb, time_s: float) -> None:
        """Takes the next picture; `faces` by track, as FaceTracker.update gives them. They may be
        of a picture up to a third of a second before: lips move faster than heads, and finding
        faces is what costs."""
        for track, face in faces.items():
            mouth = self._mouths.pop(track, None) or deque(maxlen=MAX_PICTURES)
            mouth.append((time_s, mouth_contrast(rgb, face)))
            self._mouths[track] = mouth  # at the end: first are those that were not seen for long
        gone = [k for k, mouth in self._mouths.items() if mouth[-1][0] < time_s - KEPT_S]
        for track in gone + list(self._mouths)[len(gone) : -MAX_TRACKS]:
            del self._mouths[track]

    def choose(self, audio: Audio, start_s: float) -> Speaker | Reason:
        """Who speaks in the window that begins at `start_s`, on the clock of the pictures, and
        whose sound is `audio` (WINDOW_SAMPLES,). There has to be speech in it.

        NO_FACE: there was none. SPEAKER_OFF_SCREEN: all mouths are known, none moves with the
        voice. SEVERAL_FACES: two do, or none well enough, or one does for a part of the window, or
        pictures are missing.
        """
        known, unknown = self._window(start_s)
        if not known:
            return Reason.SEVERAL_FACES if unknown else Reason.NO_FACE
        envelope = voice_envelope(audio)
        agreements = {k: agreement(*mouth, envelope) for k, mouth in known.items()}
        best, *others = sorted(agreements, key=agreements.__getitem__, reverse=True)
        if agreements[best] < MAX_OFF_SCREEN_AGREEMENT and not unknown:
            return Reason.SPEAKER_OFF_SCREEN
        lead = agreements[best] - (agreements[others[0]] if others else 0.0)
        if agreements[best] < MIN_AGREEMENT or lead < MIN_LEAD:
            return Reason.SEVERAL_FACES
        if _least_motion(*known[best], envelope) < MIN_MOTION:
            return Reason.SEVERAL_FACES
        return Speaker(best, agreements[best], lead)

    def _window(self, start_s: float) -> tuple[dict[int, tuple[Floats, Floats]], bool]:
        """Times in the window and contrasts, of every track that was seen all through it; and
        whether there are others."""
        known: dict[int, tuple[Floats, Floats]] = {}
        unknown = False
        for track, mouth in self._mouths.items():
            series = np.array(mouth)
            times_s = series[:, 0] - start_s
            inside = (times_s >= 0) & (times_s < WINDOW_S)
            if is_dense(times_s[inside]):
                known[track] = times_s[inside], series[inside, 1]
            else:
                unknown |= bool(inside.any())
        return known, unknown


def voice_envelope(audio: Audio) -> Floats:
    """How loud `audio` (n,) is where open vowels are: (n // 160,), 100 a second, in square roots of
    RMS. Over all frequencies, or in RMS or decibels, mouths agree with it less."""
    spectrum = np.fft.rfft(audio)
    frequency_hz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE_HZ)
    spectrum[(frequency_hz < _BAND_HZ[0]) | (frequency_hz > _BAND_HZ[1])] = 0
    band = np.fft.irfft(spectrum, len(audio))
    frames = band[: len(band) // _HOP * _HOP].reshape(-1, _HOP)
    return np.asarray(np.mean(frames * frames, axis=1) ** 0.25, np.float64)


def agreement(
    times_s: Floats, mouth: Floats, envelope: Floats, lags_s: Sequence[float] = _LAGS_S
) -> float:
    """Correlation in [0, 1] of `mouth` (n,), seen at `times_s` (n,) of the window, with the voice's
    `envelope`, smoothed to the pace of the pictures and shifted by whichever of `lags_s` fits best.
    """
    per_picture = float(np.median(np.diff(times_s))) * _ENVELOPE_HZ
    kernel = np.hanning(max(3, round(2 * per_picture)) + 2)[1:-1]
    smooth = np.convolve(envelope, kernel / kernel.sum(), mode="same")
    grid_s = (np.arange(len(envelope)) + 0.5) / _ENVELOPE_HZ
    voices = np.stack([np.interp(times_s + lag, grid_s, smooth) for lag in lags_s])
    voices -= voices.mean(axis=1, keepdims=True)
    mouth = mouth - mouth.mean()
    power = (mouth @ mouth) * (voices * voices).sum(axis=1)
    return max(0.0, float((voices @ mouth / np.sqrt(np.maximum(power, 1e-12))).max()))


def is_dense(times_s: Floats) -> bool:
    """Whether pictures at these times of a window show a mouth all through it."""
    gaps = np.diff(times_s, prepend=0.0, append=WINDOW_S)
    return len(times_s) >= MIN_PICTURES and bool(gaps.max() <= MAX_GAP_S)


def _least_motion(times_s: Floats, mouth: Floats, envelope: Floats) -> float:
    """How much the mouth moves in that loud third of the window in which it moves least, as a part
    of its motion in the whole."""
    loudness = [part.mean() for part in np.array_split(envelope, _THIRDS)]
    third = (times_s * _THIRDS / WINDOW_S).astype(int)
    motion = [float(mouth[third == k].std()) for k in range(_THIRDS)]
    loud = [
        m for m, level in zip(motion, loudness, strict=True) if level >= _LOUD * envelope.mean()
    ]
    return min(loud) / max(float(mouth.std()), 1e-9)
