"""The tracks of a file: sound at 16 kHz mono, upright pictures, and both merged by time."""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

from monitor.mono import MonoResampler
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

MAX_LEAD_S = 4.0  # how far one track may run ahead of the other before it stops waiting for it
MAX_SIDE_PX = 4096  # a larger picture is shrunk: 4K stays whole, and memory stays bounded
LIPS_SIDE_PX = 960  # three people beside each other still have 30 px between their eyes
LIPS_INTERVAL_S = 1 / 12  # mouths are told apart at 10 to 15 pictures a second (vfd.active_speaker)
FRAME_S = 0.04  # assumed of a frame without a timestamp of its own
MAX_BACK_S = 2.0  # timestamps that fall back further start a new timeline
MAX_AHEAD_S = 600.0  # a hole longer than that is a broken timestamp, not a pause
AUDIO_DRIFT_S = 0.03  # containers round times to 1 ms; more than one codec frame off is a hole


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """`samples` (n,) at 16 kHz mono in [-1, 1]; the first belongs to `time_s`."""

    time_s: float
    samples: Audio

    @property
    def end_s(self) -> float:
        return self.time_s + len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A video frame at `time_s`; `rgb` only for the few frames in which a face is looked for,
    `lips`, with sides of at most LIPS_SIDE_PX, only for the many in which mouths are watched."""

    time_s: float
    rgb: Rgb | None
    lips: Rgb | None = None

    @property
    def end_s(self) -> float:
        return self.time_s


Item = Sound | Picture
Stamped: TypeAlias = "AudioFrame | VideoFrame | Packet[Any]"


class Timeline:
    """Where the media's clock starts; both tracks share it, so their offset is kept. Without a
    stated start, it is that of the first frame."""

    def __init__(self, origin_s: float | None) -> None:
        self._origin_s = origin_s

    def since_start(self, frame: Stamped) -> float | None:
        """Seconds; None if the file gives no time for this frame."""
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is None or frame.time_base is None:
            return None
        stamp_s = float(ticks * frame.time_base)
        if self._origin_s is None:
            self._origin_s = stamp_s
        return stamp_s - self._origin_s


class TrackClock:
    """Media time of one track. Where a timestamp is missing, or starts a new timeline (encoder
    restarted, files pasted together), the track goes on where it was."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._shift_s = 0.0
        self._expected_s = 0.0

    def time(self, frame: Stamped, duration_s: float) -> float:
        """When `frame`, which lasts `duration_s`, begins."""
        stamp_s = self._timeline.since_start(frame)
        time_s = self._expected_s if stamp_s is None else stamp_s + self._shift_s
        if not -MAX_BACK_S <= time_s - self._expected_s <= MAX_AHEAD_S:
            self._shift_s += self._expected_s - time_s
            time_s = self._expected_s
        self._expected_s = time_s + duration_s
        return time_s


class PictureTrack:
    """Chooses the frames worth converting: the first one in every interval, and in every
    LIPS_INTERVAL_S while `closely` is set."""

    def __init__(self, timeline: Timeline, interval_s: float, pixel_aspect: float) -> None:
        self._clock = TrackClock(timeline)
        self._faces = _Due(interval_s)
        self._lips = _Due(LIPS_INTERVAL_S)
        self._pixel_aspect = pixel_aspect
        self.closely = False

    def items(self, frame: VideoFrame) -> Iterator[Picture]:
        time_s = self._clock.time(frame, FRAME_S)
        if time_s < 0:
            return
        rgb = upright_rgb(frame, self._pixel_aspect) if self._faces.comes(time_s) else None
        lips = None
        if self.closely and self._lips.comes(time_s):
            small = rgb is not None and max(rgb.shape) <= LIPS_SIDE_PX
            lips = rgb if small else upright_rgb(frame, self._pixel_aspect, LIPS_SIDE_PX)
        yield Picture(time_s, rgb, lips)

    def passed(self, packet: "Packet[Any]") -> Iterator[Picture]:
        """A picture that came and is not even decoded."""
        if packet.pts is not None:
            yield Picture(self._clock.time(packet, FRAME_S), None)


class _Due:
    """The first moment in every interval."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due_s = 0.0

    def comes(self, time_s: float) -> bool:
        """Whether `time_s` is that moment."""
        # A little early is on time: 24.999 fps must not slip a frame at every interval.
        if time_s < self._due_s - 1e-3:
            return False
        self._due_s = (math.floor(time_s / self._interval_s + 1e-3) + 1) * self._interval_s
        return True


class SoundTrack:
    """Resamples to 16 kHz mono. Samples are counted from an anchor, so that rounded timestamps
    leave no seams; a timestamp that is really elsewhere sets a new anchor."""

    def __init__(self, timeline: Timeline) -> None:
        self._clock = TrackClock(timeline)
        self._resampler: MonoResampler | None = None
        self._form: tuple[int, str, str] | None = None
        self._input_end_s = 0.0
        self._next_s = 0.0

    def items(self, frame: AudioFrame) -> Iterator[Sound]:
        duration_s = frame.samples / frame.sample_rate
        time_s = self._clock.time(frame, duration_s)
        form = (frame.sample_rate, frame.format.name, frame.layout.name)
        if form != self._form or abs(time_s - self._input_end_s) > AUDIO_DRIFT_S:
            yield from self.flush()
            self._form, self._next_s, self._input_end_s = form, time_s, time_s
            self._resampler = MonoResampler()
        assert self._resampler is not None
        self._input_end_s += duration_s
        yield from self._placed(self._resampler.push(frame))

    def flush(self) -> Iterator[Sound]:
        """What the resampler still holds back."""
        if self._resampler is not None:
            yield from self._placed(self._resampler.push(None))
            self._resampler = None

    def _placed(self, pieces: list[Audio]) -> Iterator[Sound]:
        for samples in pieces:
            time_s = self._next_s
            self._next_s += len(samples) / SAMPLE_RATE_HZ
            # Encoders prepend samples that are meant for the trash: they lie before zero.
            early = min(len(samples), max(0, round(-time_s * SAMPLE_RATE_HZ)))
            if early < len(samples):
                yield Sound(time_s + early / SAMPLE_RATE_HZ, samples[early:])


class TimeOrder:
    """Merges tracks by time: an item waits until every track has come as far, but no longer than
    `MAX_LEAD_S`, so that a track that ends early or never starts holds nothing up."""

    def __init__(self, kinds: Iterable[type[Item]]) -> None:
        self.kinds = frozenset(kinds)
        self._reached_s = dict.fromkeys(kinds, -math.inf)
        self._heap: list[tuple[float, int, Item]] = []
        self._pushed = 0

    def push(self, item: Item) -> Iterator[Item]:
        heapq.heappush(self._heap, (item.time_s, self._pushed, item))
        self._pushed += 1
        self._reached_s[type(item)] = max(self._reached_s[type(item)], item.time_s)
        ready_s = max(min(self._reached_s.values()), max(self._reached_s.values()) - MAX_LEAD_S)
        while self._heap and self._heap[0][0] <= ready_s:
            yield heapq.heappop(self._heap)[2]

    def rest(self) -> Iterator[Item]:
        while self._heap:
            yield heapq.heappop(self._heap)[2]


def upright_rgb(
    frame: VideoFrame, pixel_aspect: float = 1.0, max_side_px: int = MAX_SIDE_PX
) -> Rgb:
    """(height, width, 3) uint8, turned as the file's display matrix says (phones film sideways)
    and stretched to square pixels; `pixel_aspect` is width over height of one pixel."""
    width, height = frame.width * pixel_aspect, float(frame.height)
    shrink = min(1.0, max_side_px / max(width, height))
    rgb = frame.to_ndarray(
        format="rgb24",
        width=max(1, round(width * shrink)),
        height=max(1, round(height * shrink)),
    )
    # rotation is counter-clockwise in degrees, as np.rot90 counts quarter turns
    turned = np.rot90(rgb, round(frame.rotation / 90))
    return np.ascontiguousarray(turned, dtype=np.uint8)
