"""Places decoded audio by time: media time -> the monitor's clock, any rate -> 16 kHz mono.

A jitter buffer holds packets back for as long as one is missing and then lets them go in a burst,
so the time at which a frame comes out says only that it is not younger than that. What is true of
the stream shows in the frames that waited least: the clock follows the smallest delay.
"""

from collections.abc import Callable
from typing import NamedTuple

from av import AudioFrame

from monitor.media_clock import ArrivalClock
from monitor.mono import MonoResampler
from vfd.types import SAMPLE_RATE_HZ, Audio

CONTIGUOUS_S = 0.001  # media times closer than this are one run


class Hole(NamedTuple):
    """Time without audio between two frames, on the monitor's clock."""

    start_s: float
    duration_s: float


class AudioPlacer:
    """Resamples the frames of one track and writes them where they belong.

    `write(time_s, samples)` takes the first sample's time on the monitor's clock.
    """

    def __init__(self, write: Callable[[float, Audio], None]) -> None:
        self._write = write
        self._clock = ArrivalClock()
        self._resampler: MonoResampler | None = None
        self._format: tuple[int, str, str] | None = None
        self._run_start_s = 0.0  # media time
        self._run_samples = 0
        self._next_s = 0.0  # media time at which the run would go on

    def push(self, frame: AudioFrame, arrival_s: float) -> Hole | None:
        """Writes `frame`, decoded at `arrival_s`; returns the hole before it, if there is one."""
        if frame.time is None:  # it cannot be placed
            return None
        start_s = frame.time
        end_s = start_s + frame.samples / frame.sample_rate
        offset_s = self._clock.offset_s(end_s, arrival_s)
        hole = self._continue_run(frame, start_s, offset_s)
        self._next_s = end_s
        self._emit(frame, offset_s)
        return hole

    def _continue_run(self, frame: AudioFrame, start_s: float, offset_s: float) -> Hole | None:
        """Starts a new run after a gap, a jump or a new format: a resampler knows no holes."""
        shape = (frame.sample_rate, frame.layout.name, frame.format.name)
        gap_s = start_s - self._next_s
        first = self._resampler is None
        if not first and shape == self._format and abs(gap_s) < CONTIGUOUS_S:
            return None
        self._emit(None, offset_s)
        self._resampler = MonoResampler()
        self._format, self._run_start_s, self._run_samples = shape, start_s, 0
        if first or gap_s < CONTIGUOUS_S:
            return None
        return Hole(self._next_s + offset_s, gap_s)

    def _emit(self, frame: AudioFrame | None, offset_s: float) -> None:
        """Resamples `frame`; None takes the run's last samples out of the filter."""
        if self._resampler is None:
            return
        for samples in self._resampler.push(frame):
            self._write(self._run_start_s + self._run_samples / SAMPLE_RATE_HZ + offset_s, samples)
            self._run_samples += samples.size
