"""What is read of a stream reaches its participant when it is due, and not before."""

import asyncio
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from monitor.live_edge import CONTINUOUS, LiveEdge, OwnPace, Pace
from monitor.media_tracks import Item, Picture, Sound
from monitor.stream_player import MAX_CONVERTED, SOUND_PATIENCE_S, StreamPlayer
from tests.fakes import VirtualClock
from vfd.types import SAMPLE_RATE_HZ, Audio

FRAME_S = 0.02


class Script:
    """In the place of a ReadAhead: what was read, and when."""

    def __init__(self, *items: tuple[float, Item]) -> None:
        self.items = deque(items)
        self.over = False
        self.ends = True
        self.broke_off = ""
        self.source = SimpleNamespace(hurried=False, closely=False)

    def take(self) -> tuple[float, Item] | None:
        """As ReadAhead.take."""
        if self.items:
            return self.items.popleft()
        self.over = self.ends
        return None


class Sink:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.sounds: list[float] = []
        self.pictures: list[float] = []
        self.closely = False

    def sound(self, time_s: float, samples: Audio) -> None:
        """When."""
        self.sounds.append(time_s)

    def picture(self, picture: Picture) -> None:
        """When."""
        self.pictures.append(picture.time_s)


def sound(media_s: float) -> Sound:
    return Sound(media_s, np.zeros(round(FRAME_S * SAMPLE_RATE_HZ), np.float32))


def player(script: Script, pace: Pace, clock: VirtualClock) -> tuple[StreamPlayer, Sink]:
    sink = Sink()
    return StreamPlayer(script, sink, pace, clock), sink  # type: ignore[arg-type]


def test_what_was_read_early_waits_until_it_is_due() -> None:
    clock = VirtualClock(50.0)
    script = Script(*((50.0, sound(i * FRAME_S)) for i in range(100)), (50.0, Picture(1.5, None)))
    subject, sink = player(script, OwnPace(), clock)
    subject.hear(0.0)
    assert sink.sounds == [50.0]
    clock.now_s = 51.0
    subject.hear(0.0)
    assert sink.sounds[-1] == pytest.approx(51.0)
    assert not sink.pictures
    clock.now_s = 52.0
    subject.hear(0.0)
    assert len(sink.sounds) == 100
    assert sink.pictures == [51.5]


def test_of_a_file_no_more_is_held_than_is_due_soon() -> None:
    clock = VirtualClock(50.0)
    script = Script(*((50.0, sound(i * FRAME_S)) for i in range(1_000)))
    pace = OwnPace()
    player(script, pace, clock)[0].hear(0.0)
    assert 1_000 - len(script.items) == pytest.approx(pace.ahead_s / FRAME_S, abs=2)


def test_of_pictures_that_are_converted_few_are_held() -> None:
    clock = VirtualClock(50.0)
    tiny = np.zeros((2, 2, 3), np.uint8)
    items = [(50.0, Picture(i / 12, None, tiny)) for i in range(100)]
    script = Script((50.0, sound(0.0)), *items)
    pace = OwnPace()
    pace.ahead_s = 60.0
    subject, sink = player(script, pace, clock)
    subject.hear(0.0)
    assert 100 - len(script.items) == MAX_CONVERTED
    clock.now_s = 60.0
    subject.hear(0.0)
    subject.hear(0.0)
    assert len(sink.pictures) == 100


def test_the_reader_is_told_when_mouths_are_to_be_watched() -> None:
    script = Script(*((50.0, sound(i * FRAME_S)) for i in range(3)))
    subject, sink = player(script, OwnPace(), VirtualClock(50.0))
    sink.closely = True
    subject.hear(0.0)
    assert script.source.closely


def test_a_picture_whose_sound_comes_late_is_played_with_it() -> None:
    clock = VirtualClock(100.0)
    pace = OwnPace()
    script = Script((100.0, sound(0.0)), (100.0, Picture(0.1, None)))
    script.ends = False
    subject, sink = player(script, pace, clock)
    clock.now_s = 100.5
    subject.hear(0.0)
    assert not sink.pictures
    script.items.append((100.6, sound(0.1)))
    pace.offset_s = 100.8  # as far as that sound is late
    clock.now_s = 101.0
    subject.hear(0.0)
    assert sink.sounds[-1] == sink.pictures[0] == pytest.approx(100.9)


def test_a_picture_does_not_wait_for_long_for_sound_that_stopped() -> None:
    clock = VirtualClock(100.0)
    script = Script((100.0, sound(0.0)), (100.0, Picture(0.1, None)), (100.0, Picture(0.2, None)))
    script.ends = False
    subject, sink = player(script, OwnPace(), clock)
    clock.now_s = 100.15 + SOUND_PATIENCE_S
    subject.hear(0.0)
    assert sink.pictures == [100.1]
    script.ends = True
    subject.hear(0.0)
    subject.hear(0.0)
    assert sink.pictures == [100.1, 100.2]


def test_sound_that_lies_over_what_was_heard_is_left_out() -> None:
    clock = VirtualClock(100.0)
    pace = OwnPace()
    script = Script(*((100.0, sound(i * FRAME_S)) for i in range(20)))
    script.ends = False
    subject, sink = player(script, pace, clock)
    clock.now_s = 100.2
    subject.hear(0.0)
    assert len(sink.sounds) == 11
    pace.offset_s = 99.9  # it skips a tenth of a second
    clock.now_s = 100.3
    subject.hear(0.0)
    assert sink.sounds[11:] == pytest.approx([100.22, 100.24, 100.26, 100.28])


def test_pictures_of_what_was_skipped_lie_over_no_other_sound() -> None:
    clock = VirtualClock(100.0)
    pace = OwnPace()
    sounds = [(100.0, sound(i * FRAME_S)) for i in range(30)]
    pictures = [(100.0, Picture(0.1 * i, None)) for i in range(6)]
    script = Script(*sorted([*sounds, *pictures], key=lambda read: read[1].time_s))
    script.ends = False
    subject, sink = player(script, pace, clock)
    clock.now_s = 100.15
    subject.hear(0.0)
    assert sink.pictures == pytest.approx([100.0, 100.1])
    pace.offset_s = 99.8  # it skips two tenths of a second
    clock.now_s = 100.35
    subject.hear(0.0)
    assert sink.pictures[2:] == pytest.approx([100.2, 100.3])  # of 0.4 and 0.5, none of 0.2 and 0.3


def test_a_reader_that_falls_behind_is_hurried_until_it_is_at_the_edge() -> None:
    clock = VirtualClock(100.0)
    script = Script(*((100 + i * FRAME_S, sound(i * FRAME_S)) for i in range(100)))
    script.ends = False
    subject, _ = player(script, LiveEdge(CONTINUOUS, in_bursts=False), clock)
    clock.now_s = 102.0
    subject.hear(0.0)
    assert not script.source.hurried
    script.items.append((110.0, sound(2.0)))
    clock.now_s = 110.0
    subject.hear(0.0)
    assert script.source.hurried
    script.items.append((110.0, sound(9.9)))
    subject.hear(0.0)
    assert not script.source.hurried
    assert subject.skipped_s == pytest.approx(7.9)


async def test_it_ends_when_all_was_played_and_says_why() -> None:
    clock = VirtualClock(50.0)
    script = Script((50.0, sound(0.0)), (50.0, sound(0.2)))
    script.broke_off = "nothing received for 10 s"
    subject, sink = player(script, OwnPace(), clock)
    running = asyncio.create_task(subject.run())
    await asyncio.sleep(0.2)
    assert not running.done()
    clock.now_s = 50.3
    assert await running == "nothing received for 10 s"
    assert subject.ended.is_set()
    assert len(sink.sounds) == 2


async def test_an_error_of_the_reader_ends_it() -> None:
    class Broken(Script):
        def take(self) -> tuple[float, Item] | None:
            raise RuntimeError("a defect")

    subject, _ = player(Broken(), OwnPace(), VirtualClock())
    assert "a defect" in await subject.run()
