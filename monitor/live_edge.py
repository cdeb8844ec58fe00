"""Where the media of a stream lies on the monitor's clock.

A live stream has an edge: what its sender has just sent, as far as it can be here already. Media
time and the monitor's clock are related by the item that came soonest. What is played keeps as far
behind the edge as the stream's own bursts need it to, and no further.
"""

import math
from collections import deque
from typing import Final, NamedTuple, Protocol

from vfd.types import SAMPLE_RATE_HZ

MARGIN_S: Final = 0.1
"""How much sooner than it is played an item should be here."""
SPARE_S: Final = 1.0
"""When all items of a whole span are here sooner than that beyond the margin, the stream is played
sooner. Less is not worth the break in the sound."""
WARM_UP_S: Final = 0.5
"""At first everything comes at once that was read in order to find the tracks; that is over when
nothing came sooner than before for so long."""
MAX_WARM_UP_S: Final = 5.0
LEAP_S: Final = 30.0
"""Media ahead of the edge by more: its clock leapt."""
SLICE_S: Final = 0.5


class Habit(NamedTuple):
    """How a kind of stream comes. `span_s`: over how long it shows all of its bursts;
    `max_behind_s`: later than that after the edge, it has fallen behind."""

    span_s: float
    max_behind_s: float


CONTINUOUS: Final = Habit(span_s=10.0, max_behind_s=5.0)
SEGMENTED: Final = Habit(span_s=60.0, max_behind_s=20.0)  # whole segments, of up to 10 s


class Pace(Protocol):
    """When what is read of a stream is to be played: at its media time plus `offset_s`."""

    offset_s: float | None
    skipped_s: float
    ahead_s: float

    @property
    def latency_s(self) -> float | None: ...

    @property
    def behind(self) -> bool: ...

    def read(self, media_s: float, time_s: float, leads: bool) -> bool:
        """An item of `media_s` was read at `time_s`; False if it comes too late to be played.
        `leads`: it is of the track by which the others go."""
        ...


class _Slice(NamedTuple):
    start_s: float
    soonest_s: float
    latest_s: float


class LiveEdge:
    """A `Pace`. Times that are called an offset are times of the clock minus media time."""

    def __init__(self, habit: Habit, *, in_bursts: bool) -> None:
        self._habit = habit
        self._slices: deque[_Slice] = deque()
        self._since_s = 0.0  # when the offset last changed
        self._warm = in_bursts
        self._begun_s: float | None = None
        self._sooner_s = 0.0  # when something last came sooner than all before
        self._skip_from_s: float | None = None  # the media time at which falling behind began
        self.offset_s: float | None = None
        self.skipped_s = 0.0
        """Media that was left out to get back to the edge."""
        self.ahead_s = habit.max_behind_s
        """How much may be held that is not due yet."""

    @property
    def behind(self) -> bool:
        """Whether it has fallen behind, and skips to the edge."""
        return self._skip_from_s is not None

    @property
    def latency_s(self) -> float | None:
        """How far behind the edge it is played."""
        if self.offset_s is None or not self._slices:
            return None
        return max(0.0, self.offset_s - self._edge())

    def read(self, media_s: float, time_s: float, leads: bool) -> bool:
        """See `Pace.read`."""
        offset_s = time_s - media_s
        if self._slices and offset_s < self._edge() - LEAP_S:
            self._slices.clear()
            self.offset_s = None
        while self._slices and self._slices[0].start_s < time_s - self._habit.span_s:
            self._slices.popleft()
        if self._slices and self._too_late(offset_s - self._edge(), media_s):
            return False
        self._note(offset_s, time_s, offset_s if leads else -math.inf)
        if leads or self.offset_s is None:
            self._adjust(offset_s, time_s)
        return True

    def _too_late(self, behind_s: float, media_s: float) -> bool:
        """Once it fell behind, it skips until it is at the edge again."""
        limit_s = self._habit.max_behind_s if self._skip_from_s is None else SPARE_S
        if behind_s > limit_s:
            self._skip_from_s = media_s if self._skip_from_s is None else self._skip_from_s
            return True
        if self._skip_from_s is not None:
            self.skipped_s += max(0.0, media_s - self._skip_from_s)
            self._skip_from_s = None
        return False

    def _adjust(self, offset_s: float, time_s: float) -> None:
        if not self._warm:
            self._warm_up(offset_s, time_s)
        elif self.offset_s is None or offset_s > self.offset_s:
            self._move(offset_s, time_s)
        else:
            self._use_spare(time_s)

    def _warm_up(self, offset_s: float, time_s: float) -> None:
        self._begun_s = time_s if self._begun_s is None else self._begun_s
        if self.offset_s is None or offset_s < self.offset_s - 2 * MARGIN_S:
            self._sooner_s = time_s
            self._move(offset_s, time_s)
        self._warm = time_s - self._sooner_s > WARM_UP_S or time_s - self._begun_s > MAX_WARM_UP_S

    def _use_spare(self, time_s: float) -> None:
        assert self.offset_s is not None
        latest_s = max(part.latest_s for part in self._slices)
        spare_s = self.offset_s - MARGIN_S - latest_s
        if spare_s > SPARE_S and time_s - self._since_s > self._habit.span_s:
            self.skipped_s += spare_s
            self._move(latest_s, time_s)

    def _move(self, offset_s: float, time_s: float) -> None:
        # Whole samples, or rounding might tear neighbours apart.
        self.offset_s = math.ceil((offset_s + MARGIN_S) * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        self._since_s = time_s

    def _note(self, soonest_s: float, time_s: float, latest_s: float) -> None:
        start_s = time_s
        if self._slices and time_s - self._slices[-1].start_s < SLICE_S:
            start_s, *before = self._slices.pop()
            soonest_s, latest_s = min(soonest_s, before[0]), max(latest_s, before[1])
        self._slices.append(_Slice(start_s, soonest_s, latest_s))

    def _edge(self) -> float:
        return min(part.soonest_s for part in self._slices)


class OwnPace:
    """A `Pace` for what has an end: it begins now and is played as fast as it was recorded."""

    latency_s: float | None = None
    behind = False

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self.skipped_s = 0.0
        self.ahead_s = 0.5

    def read(self, media_s: float, time_s: float, leads: bool) -> bool:
        """See `Pace.read`."""
        if self.offset_s is None:
            self.offset_s = time_s - media_s
        return True
