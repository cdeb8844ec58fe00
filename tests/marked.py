"""Media that tell where they are: every tenth of a second has a picture of its own, every second a
tone of its own; and how far apart the two come out of a monitor."""

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from tests.stream_servers import prepared
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

FPS: Final = 10
CYCLE_S: Final = 16
"""After that long pictures and tones come again."""
TONES_HZ: Final = 400.0 + 150.0 * np.arange(CYCLE_S)
WIDTH, HEIGHT = 320, 180
STEP: Final = 80  # samples, 5 ms
SPAN: Final = 400  # samples that a tone is recognised by, 25 ms
KEPT_S, OVERLAP_S = 5.0, 1.0
DISAGREE_S: Final = 0.02
STEADY: Final = 20  # steps on both sides that make a change of tone a certain one


def marked(folder: Path, seconds: int) -> Path:
    """H.264 with a keyframe a second, and AAC."""
    _film(folder / "marked.mkv", seconds)
    return prepared(folder / "marked.mp4", "-c:a", "aac", source=folder / "marked.mkv")


def tone(hz: float) -> Audio:
    """A second of it."""
    return np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ).astype(np.float32)


def _grey(index: int) -> int:
    return 20 + 14 * index


def _film(path: Path, seconds: int) -> None:
    """Both raw, second by second."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("rawvideo", FPS)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        pictures.time_base = Fraction(1, FPS)
        sound = container.add_stream("pcm_s16le", SAMPLE_RATE_HZ, layout="mono")
        for second in range(seconds):
            samples = (tone(TONES_HZ[second % CYCLE_S]) * 16_000).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            heard.sample_rate, heard.pts = SAMPLE_RATE_HZ, second * SAMPLE_RATE_HZ
            heard.time_base = Fraction(1, SAMPLE_RATE_HZ)
            container.mux(sound.encode(heard))
            for tenth in range(FPS):
                seen = av.VideoFrame.from_ndarray(picture(second % CYCLE_S, tenth), format="rgb24")
                seen = seen.reformat(format="yuv420p")
                seen.pts, seen.time_base = second * FPS + tenth, Fraction(1, FPS)
                container.mux(pictures.encode(seen))
        container.mux(pictures.encode(None))


def picture(second: int, tenth: int) -> Rgb:
    """The one of that place in the cycle, with the noise of a camera: flat pictures are so small
    that programs on the way hold them back until more comes."""
    rgb = np.empty((HEIGHT, WIDTH, 3))
    rgb[:, : WIDTH // 2], rgb[:, WIDTH // 2 :] = _grey(second), _grey(tenth)
    noise = np.random.default_rng(10 * second + tenth).normal(0, 6, (HEIGHT, WIDTH, 1))
    return (rgb + noise).clip(0, 255).astype(np.uint8)


def place_of(rgb: Rgb) -> float:
    """When, in seconds of its cycle, a picture was taken."""
    halves = rgb[:, : WIDTH // 2 - 8].mean(), rgb[:, WIDTH // 2 + 8 :].mean()
    second, tenth = (round((float(half) - _grey(0)) / 14) for half in halves)
    return second + tenth / FPS


class Marks:
    """What was heard and seen of one stream, on the clock of its monitor. Of the sound only the
    last seconds are kept, and where its tone changed."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, float]] = []  # when it was placed, and what it showed
        self._sounds: list[tuple[float, Audio]] = []
        self._changes: list[tuple[float, int]] = []

    def hear(self, time_s: float, samples: Audio) -> None:
        self._sounds.append((time_s, samples))
        if time_s - self._sounds[0][0] > KEPT_S:
            self._look_for_changes()
            self._sounds = [sound for sound in self._sounds if sound[0] > time_s - OVERLAP_S]

    def see(self, time_s: float, rgb: Rgb) -> None:
        self.pictures.append((time_s, place_of(rgb)))

    def skews_s(self) -> NDArray[np.float64]:
        """For every picture, how much later it was placed than the sound of the same moment. NaN
        where the changes of tone before and after it disagree: the sound skipped between them, and
        which part the picture belongs to cannot be told."""
        self._look_for_changes()
        changes = np.array(self._changes, float).reshape(-1, 2)
        found = []
        for time_s, place_s in self.pictures if changes.size else ():
            after = int(np.searchsorted(changes[:, 0], time_s))
            beside = changes[[max(after - 1, 0), min(after, len(changes) - 1)]]
            skews_s = (time_s - place_s) - (beside[:, 0] - beside[:, 1])
            skews_s = (skews_s + CYCLE_S / 2) % CYCLE_S - CYCLE_S / 2
            told = abs(skews_s[0] - skews_s[1]) <= DISAGREE_S
            found.append(skews_s[np.abs(beside[:, 0] - time_s).argmin()] if told else np.nan)
        return np.array(found)

    def _look_for_changes(self) -> None:
        """Only between tones that both are there for 0.1 s: what a hole cuts off says nothing."""
        if not self._sounds:
            return
        start_s = self._sounds[0][0]
        end_s = max(time_s + len(samples) / SAMPLE_RATE_HZ for time_s, samples in self._sounds)
        line = np.zeros(round((end_s - start_s) * SAMPLE_RATE_HZ) + SPAN, np.float32)
        for time_s, samples in self._sounds:
            at = round((time_s - start_s) * SAMPLE_RATE_HZ)
            line[at : at + len(samples)] = samples
        tones = _tones(line)
        for step in range(STEADY, len(tones) - STEADY):
            before, after = tones[step - STEADY : step], tones[step : step + STEADY]
            second = int(after[0])
            ends = second >= 0 and before[-1] == (second - 1) % CYCLE_S
            time_s = start_s + (step * STEP + SPAN / 2) / SAMPLE_RATE_HZ
            known = bool(self._changes) and time_s < self._changes[-1][0] + OVERLAP_S / 2
            if ends and not known and (before == before[-1]).all() and (after == second).all():
                self._changes.append((time_s, second))


def _tones(line: Audio) -> NDArray[np.int64]:
    """The number of the tone in every step; -1 where there is none."""
    spans = np.lib.stride_tricks.sliding_window_view(line, SPAN)[::STEP]
    times = np.arange(SPAN) / SAMPLE_RATE_HZ
    waves = np.exp(-2j * np.pi * TONES_HZ[:, None] * times).astype(np.complex64)
    strength = np.abs(spans @ (waves * np.hanning(SPAN).astype(np.float32)).T)
    tones = strength.argmax(axis=1)
    tones[strength.max(axis=1) < 1.0] = -1
    return tones
